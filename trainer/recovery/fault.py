"""A fault as the worker tells it and the supervisor judges it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer.faults import FaultKind
from trainer.run.events import Event


@dataclass(frozen=True)
class Fault:
    """What ended a worker before its time."""

    kind: FaultKind
    step: int
    """Steps done and saved, or to be done again from the last state."""
    during: str
    """What was going on: loading, caching, probe, step, optimizer, validation, preview, saving."""
    title: str
    message: str
    hint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """asked_, free_, total_, limit_, live_ and needed_bytes, holders, pictures, timesteps, path: what is known."""
    saved: bool = False
    """Whether the state of this very step is on disk."""

    def as_payload(self) -> dict[str, Any]:
        """Return what `of` reads."""
        return {
            "about": str(self.kind),
            "step": self.step,
            "during": self.during,
            "title": self.title,
            "message": self.message,
            "hint": self.hint,
            "details": dict(self.details),
            "saved": self.saved,
        }

    @staticmethod
    def of(event: Event) -> "Fault":
        """Read what a worker sent."""
        return Fault(
            FaultKind(event["about"]),
            int(event["step"]),
            str(event["during"]),
            str(event["title"]),
            str(event["message"]),
            str(event["hint"]),
            dict(event["details"]),
            bool(event["saved"]),
        )
