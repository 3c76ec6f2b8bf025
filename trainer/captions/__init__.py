"""What the pictures are said to show: caption files, file names, prompt templates, tags."""
