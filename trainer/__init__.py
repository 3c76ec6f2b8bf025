"""A headless trainer of Stable Diffusion hypernetworks."""
