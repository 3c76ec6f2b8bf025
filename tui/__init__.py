"""The wizard: a thin, fast face of the trainer. It starts jobs as separate processes and follows what they write."""
