"""The `hypernet` command. Every screen of the wizard has its twin here."""

import os
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any

import typer

from trainer.cli import captions, carry, data, model, projects, rewind, runs, train, use
from trainer.errors import AppError
from trainer.text import printable

app = typer.Typer(
    name="hypernet",
    help="Train Stable Diffusion hypernetworks: pictures in, a working A1111 file out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": train.demo,
    "new": projects.new,
    "check": data.check,
    "crop": data.crop,
    "caption": data.caption,
    "captions": captions.captions,
    "plan": train.plan,
    "train": train.train,
    "runs": runs.runs,
    "attach": runs.attach,
    "status": runs.status,
    "pause": runs.pause,
    "resume": runs.resume,
    "stop": runs.stop,
    "save": runs.save,
    "preview": runs.preview,
    "answer": runs.answer,
    "set": runs.set_,
    "rewind": rewind.rewind,
    "projects": projects.projects,
    "presets": projects.presets,
    "settings": projects.settings,
    "generate": use.generate,
    "report": carry.report,
    "install": carry.install,
    "export": carry.export,
    "convert": carry.convert,
    "models": model.models,
    "inspect": model.inspect,
    "doctor": model.doctor,
}
for _name, _function in COMMANDS.items():
    app.command(_name)(_function)


def run() -> None:
    """Run the command line; exit codes 0 done, 1 failed with a message, 2 wrong usage, 130 interrupted."""
    # Model and tokenizer files are read from disk; nothing here should ask a server unless told to download.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        app()
    except AppError as error:
        sys.exit(_say(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe has left; keep Python from complaining when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = printable(error.filename or "a file")
        sys.exit(_say(AppError("File error", f"{where}: {error.strerror or error}.", "Make room or mend the path.")))
    except Exception as error:  # a bug: its traceback goes to a log, the user gets a message
        sys.exit(_say(_logged(error)))


def _logged(error: Exception) -> AppError:
    from platformdirs import user_log_path

    file = user_log_path("hypernet-wizard", ensure_exists=True) / "errors.log"
    with open(file, "a", encoding="utf-8") as log:
        log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} hypernet {sys.argv[1:]}\n{traceback.format_exc()}\n")
    return AppError(
        "Internal error",
        f"hypernet met a bug ({type(error).__name__}); the traceback is in {printable(file)}.",
        "No run is harmed by it. Please report the traceback.",
    )


def _say(error: AppError) -> int:
    print(f"{error.title}: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    run()
