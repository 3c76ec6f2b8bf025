"""The embedded demo model: its pictures, its training, its judge, and where its files lie.

`trainer.demo.assets` and `trainer.demo.drawing` are light; the rest needs torch.
Run `python -m trainer.demo.build` to train the model again and `python -m trainer.demo.evaluate`
to measure it.
"""
