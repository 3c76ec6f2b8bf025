"""A worker that counts instead of training: `python -m fake_worker RUN [STEPS] [STEP_SECONDS]`."""

import sys
from pathlib import Path

from trainer.errors import AppError
from trainer.run.control import Commands
from trainer.run.events import EventWriter, read_events
from trainer.run.folder import RunFolder
from trainer.run.heartbeat import Heartbeat
from trainer.run.lock import RunLock, process_identity
from trainer.run.signals import StopRequest
from trainer.run.state import replay


def main(folder: RunFolder, steps: int, step_s: float) -> int:
    stop = StopRequest()
    stop.install()
    try:
        with RunLock(folder), EventWriter(folder.events_file) as writer, Heartbeat(writer, 0.2):
            return _work(folder, writer, stop, steps, step_s)
    except AppError as error:
        print(error, file=sys.stderr)
        return 1


def _work(folder: RunFolder, writer: EventWriter, stop: StopRequest, steps: int, step_s: float) -> int:
    done = replay(read_events(folder.events_file)).step
    writer.emit("started", **process_identity(), steps=steps, resumed_at_step=done)
    writer.emit("phase", name="training", done=0, total=1, device="abacus")
    commands = Commands(folder, writer)
    paused = False
    while done < steps:
        for command in commands.take():
            if command.name == "stop":
                stop.request()
            elif command.name in ("pause", "resume"):
                paused = command.name == "pause"
                writer.emit("paused" if paused else "resumed", step=done)
        if stop.requested:
            writer.emit("stopped", step=done)
            return 0
        stop.wait(step_s)
        if not paused:
            done += 1
            writer.emit("step", step=done, loss=1 / done, learning_rate=1e-5, seconds=step_s)
    writer.emit("finished", step=done, seconds=done * step_s, results=[])
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    numbers = (float(arguments[2]) if len(arguments) > 2 else 0.01,)
    sys.exit(main(RunFolder(Path(arguments[0])), int(arguments[1]) if len(arguments) > 1 else 1_000_000, *numbers))
