"""From source pictures to training pictures: look, decode, choose a frame, crop. Never touches a source."""
