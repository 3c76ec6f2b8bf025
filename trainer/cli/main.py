"""The `hypernet` command. Every screen of the wizard has its twin here."""

import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from trainer.cli import data, model, projects, runs, train
from trainer.errors import AppError

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
    "set": runs.set_,
    "projects": projects.projects,
    "presets": projects.presets,
    "settings": projects.settings,
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


def _say(error: AppError) -> int:
    print(f"{error.title}: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    run()
