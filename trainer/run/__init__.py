"""A run on disk and the process that works on it: everything that worker and viewers must agree on.

`folder` names the files, `events` writes and reads the log, `state` replays it, `status` judges it,
`lock` proves who works, `control` carries commands, `launch` starts workers, `follow` tells the story as text.
"""
