"""What was changed while a run went on, as it still holds: going back after a divergence undoes changes."""

from collections.abc import Iterable

from trainer.run.events import Event


def without_undone(events: Iterable[Event]) -> list[Event]:
    """Return a run's events without the changes that were undone later on."""
    kept: list[Event] = []
    changes: list[int] = []
    for event in events:
        if event["kind"] == "changed":
            changes.append(len(kept))
        elif event["kind"] == "recovering":
            undone = event.get("undone")
            for _ in range(min(len(changes), len(undone) if isinstance(undone, list) else 0)):
                del kept[changes.pop()]
        kept.append(event)
    return kept
