"""Data that ships with the program: presets, templates, base-model configurations, the demo."""
