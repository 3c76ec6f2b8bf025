"""The process that owns a run: it holds lock and log, starts the worker, and decides how the run goes on after faults.

It loads nothing heavy and touches no device, so that whatever takes the worker down leaves it standing.
"""

import hashlib
import importlib.metadata
import logging
import signal
from pathlib import Path

from trainer.errors import AppError
from trainer.faults import FaultKind
from trainer.recovery.changes import Change, add_change, effective_config
from trainer.recovery.child import WORKER, Child
from trainer.recovery.circumstances import circumstances
from trainer.recovery.decide import Circumstances, Decision, decide, lost, told
from trainer.recovery.disk_log import PatientWriter
from trainer.recovery.fault import Fault
from trainer.recovery.kernel import oom_kills
from trainer.recovery.options import STOP, Option
from trainer.recovery.pipe import FAULT, RESTART
from trainer.recovery.question import Answer, Desk
from trainer.recovery.states import first_step, roll_back
from trainer.recovery.watchdog import Watchdog
from trainer.run.control import Commands
from trainer.run.events import Event
from trainer.run.folder import RunFolder
from trainer.run.heartbeat import Heartbeat
from trainer.run.launch import log_lines
from trainer.run.lock import RunLock, process_identity
from trainer.run.signals import StopRequest
from trainer.text import duration_text, printable

log = logging.getLogger(__name__)
POLL_S = 0.2
MOST_RESTARTS_AT_A_STEP = 24
"""However the ladder looks, a run that makes no step any more ends."""


def supervise(path: Path, module: str = WORKER) -> int:
    """Carry out the run of a folder, or go on with it; return the exit code.

    Args:
        path: The run's folder.
        module: The module that does the work.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder, stop = RunFolder(path.resolve()), StopRequest()
    stop.install()
    try:
        with RunLock(folder), PatientWriter(folder) as events, Heartbeat(events.writer):
            try:
                return Supervisor(folder, events, stop, module).run()
            except AppError as error:
                events.emit("failed", error=error.title, message=error.message, hint=error.hint)
            except Exception as error:  # whatever it is, a viewer must learn of it
                log.exception("the run failed")
                message = f"The run's supervisor met a bug ({type(error).__name__})."
                hint = f"Resume the run, and report the traceback in {printable(folder.worker_log)}."
                events.emit("failed", error="Internal error", message=message, hint=hint)
    except AppError as error:
        log.error("%s", error)
    except OSError as error:
        log.error("the run's folder cannot be written: %s", error)
    return 1


class Supervisor:
    """Starts workers one after the other until the run ends.

    Args:
        folder: The run, whose lock is held.
        events: Its log.
        stop: Whether a signal asked for the end.
        module: The module that does the work.
    """

    def __init__(self, folder: RunFolder, events: PatientWriter, stop: StopRequest, module: str) -> None:
        self._folder = folder
        self._events = events
        self._stop = stop
        self._module = module
        self._commands = Commands(folder, events)
        self._desk = Desk(folder, events, stop)
        self._before: list[Fault] = []
        self._step = first_step(folder) or 0
        self._on_gpu = False
        self._phase = "starting"
        self._paused = False
        self._ending: Event | None = None
        self._wanted: Change | None = None
        """What the user changed while the worker ran."""

    def run(self) -> int:
        """Work until the run is finished, stopped or failed; return the exit code."""
        kills = oom_kills()
        child = Child(self._folder.path, self._module)
        try:
            self._tell_start()
        except BaseException:
            child.kill()
            child.end()
            raise
        while True:
            fault = self._follow(child, kills)
            if self._wanted is not None:
                self._change(self._wanted)
            elif fault is None:
                self._report()
                return 1 if self._ending is None or self._ending["kind"] == "failed" else 0
            elif not self._recover(fault):
                self._report()
                return 0 if self._ending is None or self._ending["kind"] == "stopped" else 1
            kills = oom_kills()
            self._events.keep_reserve()
            child = Child(self._folder.path, self._module)

    def _report(self) -> None:
        """Write the run's report after its last event, unless it failed."""
        if self._ending is not None and self._ending["kind"] != "failed":
            # Loaded here, as it brings the imaging library.
            from trainer.report import report_at_end

            report_at_end(self._folder)

    def _tell_start(self) -> None:
        config = effective_config(self._folder)
        self._events.emit(
            "started",
            **process_identity(),
            config_hash=hashlib.sha256(self._folder.config_file.read_bytes()).hexdigest()[:16],
            torch=importlib.metadata.version("torch"),
            steps=config.training.steps,
            resumed_at_step=first_step(self._folder),
        )
        self._events.emit("phase", name="starting", done=0, total=0)

    def _follow(self, child: Child, kills: int | None) -> Fault | None:
        """Pass a worker's events on until it ends; return its fault, or None when the run is over."""
        self._ending = None
        watchdog, told_stop, fault = Watchdog(effective_config(self._folder).recovery.hang_s), False, None
        while True:
            over = child.is_over
            arrived = child.events(0 if over else POLL_S)
            for event in arrived:
                watchdog.hear(float(event["seconds"]) if event["kind"] == "step" else None)
                fault = self._pass_on(event) or fault
            self._events.retry()
            if over and not arrived:
                break
            if not told_stop and self._should_stop():
                # Told at once: until the worker has left off what it is doing, viewers would see no change.
                self._events.emit("stopping")
                child.ask_to_stop()
                told_stop = True
            if self._silent(watchdog, child):
                fault = fault or self._hang(watchdog)
                child.kill()
        code = child.end()
        if self._ending is not None or self._wanted is not None:
            return None
        return fault or self._how_it_died(code, kills)

    def _should_stop(self) -> bool:
        """Tell whether a command or a signal asks for the end."""
        if self._commands.take(("stop",)):
            self._stop.request()
        return self._stop.requested

    def _pass_on(self, event: Event) -> Fault | None:
        kind = event.pop("kind")
        if kind == FAULT:
            return Fault.of(event)
        if kind == RESTART:
            self._wanted = Change(event["step"], "user", event["settings"])
            return None
        if kind == "step":
            self._step = event["step"]
        if kind in ("paused", "resumed", "step"):
            self._paused = kind == "paused"
        if kind == "phase":
            self._phase = event["name"]
            self._on_gpu = self._on_gpu or event.get("device") not in (None, "cpu")
        written = self._events.emit(kind, **event)
        if kind in ("finished", "stopped", "failed"):
            self._ending = written
        return None

    def _silent(self, watchdog: Watchdog, child: Child) -> bool:
        """Warn of a suspicious silence; tell whether it is a hang."""
        if self._paused:
            watchdog.hear()
        if watchdog.suspects():
            silence = duration_text(watchdog.silence_s)
            message = f"No progress for {silence} in {self._phase} after step {self._step:,}: it may hang."
            self._events.emit("warning", about="hang", message=message, pid=child.pid)
        return watchdog.hangs

    def _hang(self, watchdog: Watchdog) -> Fault:
        silence = duration_text(watchdog.silence_s)
        message = f"The worker made no progress for {silence} in {self._phase} after step {self._step:,}."
        return Fault(FaultKind.HANG, self._step, self._phase, "Run hangs", message)

    def _how_it_died(self, code: int, kills: int | None) -> Fault:
        """Judge a worker that ended without a word.

        Raises:
            AppError: it never began, so that starting it again would be no use.
        """
        if code >= 0:
            said = " ".join(log_lines(self._folder, count=3))
            raise AppError(
                "Worker ended",
                f"The worker ended with exit code {code}: {printable(said)}",
                f"All it printed is in {printable(self._folder.worker_log)}.",
            )
        name = signal.Signals(-code).name
        now = oom_kills()
        by_kernel = code == -signal.SIGKILL and kills is not None and now is not None and now > kills
        why = ": the kernel ended it as memory ran out" if by_kernel else ""
        message = f"The worker was ended by {name} in {self._phase} after step {self._step:,}{why}."
        broke = self._on_gpu and -code in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
        kind = FaultKind.CUDA if broke else FaultKind.KILLED
        title = "GPU fault" if broke else "Worker killed"
        return Fault(kind, self._step, self._phase, title, message, details={"kernel_killed": by_kernel})

    def _recover(self, fault: Fault) -> bool:
        """Change what is needed and return True to go on; or tell the end and return False."""
        log.warning("%s in %s: %s", fault.kind, fault.during, fault.message)
        config = effective_config(self._folder)
        now = circumstances(self._folder, config, fault, self._on_gpu)
        decision = decide(fault, self._before, now)
        stuck = sum(each.step >= fault.step for each in self._before) >= MOST_RESTARTS_AT_A_STEP
        self._before.append(fault)
        if self._stop.requested:
            return self._stopped(fault)
        if stuck or (config.recovery.on_oom == "stop" and fault.kind is not FaultKind.DISK):
            raise decision.end or AppError(fault.title, told(fault), fault.hint or _RESUME)
        answer = self._answer(fault, decision, config.recovery.on_oom == "ask", config.recovery.answer_s, now)
        if answer.option.id == STOP.id:
            return self._stopped(fault)
        self._go_on(fault, answer, now)
        return True

    def _answer(self, fault: Fault, decision: Decision, ask: bool, answer_s: float, now: Circumstances) -> Answer:
        waits = fault.kind is FaultKind.DISK
        if decision.end is not None and not (ask and decision.options):
            raise decision.end
        if not ask and not waits:
            assert decision.default is not None
            return Answer(decision.default, "policy")
        answer = self._desk.ask(fault, decision, told(fault), lost(fault, now.back), 0 if waits else answer_s, now)
        if answer.option.id == STOP.id and answer.by == "time-out" and decision.end is not None:
            raise decision.end
        return answer

    def _go_on(self, fault: Fault, answer: Answer, now: Circumstances) -> None:
        option, step = answer.option, now.back.step or 0
        if fault.kind is FaultKind.NAN:
            roll_back(self._folder)
        if option.changes:
            add_change(self._folder, Change(step, str(fault.kind), option.changes))
        self._step = step
        self._events.emit(
            "recovering",
            why=str(fault.kind),
            message=f"{told(fault)} {lost(fault, now.back)} {_way(option)}",
            step=step,
            changes=dict(option.changes),
            details=dict(fault.details),
            undone=now.back.undone,
            by=answer.by,
        )

    def _change(self, change: Change) -> None:
        """Go on with what the user changed."""
        add_change(self._folder, change)
        self._wanted = None
        changed = ", ".join(f"{name}={value}" for name, value in change.settings.items())
        message = f"Going on from step {change.step:,} with {printable(changed)}."
        self._events.emit(
            "recovering", why="user", message=message, step=change.step, changes=dict(change.settings), by="user"
        )

    def _stopped(self, fault: Fault) -> bool:
        self._ending = self._events.emit("stopped", step=first_step(self._folder) or 0, why=fault.message)
        return False


_RESUME = "Resume the run: it goes on from the last state."


def _way(option: Option) -> str:
    settings = ", ".join(option.as_dict()["settings"])
    return f"Going on: {option.title[0].lower()}{option.title[1:]}{f' ({settings})' if settings else ''}."
