"""A worker that plays a script instead of training: `python -m fake_child RUN PIPE PARENT`.

`script.json` in the run's folder holds a list of acts for each worker of the run, the first one first.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from trainer.recovery.changes import effective_config
from trainer.recovery.kernel import die_with_parent
from trainer.recovery.pipe import FAULT, EventPipe
from trainer.run.control import Commands
from trainer.run.folder import RunFolder
from trainer.run.signals import StopRequest


def main(folder: RunFolder, pipe: EventPipe, parent: int) -> int:
    stop = StopRequest()
    stop.install_child()
    die_with_parent(parent)
    script = folder.path / "script.json"
    acts, *rest = json.loads(script.read_text())
    script.write_text(json.dumps(rest))
    pipe.emit(
        "phase", name="training", done=0, total=9, device="cpu", settings=effective_config(folder).memory.model_dump()
    )
    for act, value in acts:
        if act == "step":
            pipe.emit("step", step=value, loss=1.0, learning_rate=1e-5, seconds=0.01)
        elif act == "state":
            (folder.state / f"state-{value:08d}.safetensors").write_text("")
        elif act == "fault":
            pipe.emit(FAULT, **value)
            return 1
        elif act == "signal":
            os.kill(os.getpid(), value)
        elif act == "exit":
            print("last words", file=sys.stderr)
            return int(value)
        elif act == "wait":
            commands = Commands(folder, pipe)
            while not stop.wait(0.05) and not any(command.name == "stop" for command in commands.take()):
                pass
            pipe.emit("stopped", step=value)
            return 0
        elif act == "finish":
            pipe.emit("finished", step=value, seconds=1.0, results=[])
            return 0
    time.sleep(60)
    return 1


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    sys.exit(main(RunFolder(Path(sys.argv[1])), EventPipe(int(sys.argv[2])), int(sys.argv[3])))
