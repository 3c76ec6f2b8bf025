"""Long jobs other than training, each a process of its own: `python -m trainer.jobs FOLDER`.

`trainer.run.jobs` starts them; `worker` carries them out; `job` is what a job's function sees of it.
"""
