"""Stable Diffusion base models: found, recognised, read safely, loaded without a network.

Light (no torch): `find`, `hashes`, `recognise`, `hub`. Heavy: `load`, `tokenizer`, `text_encoding`.
"""
