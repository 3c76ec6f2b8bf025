"""What a run sees of itself: validation, health, and the verdict that they add up to."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from trainer.health import UNRELATED, HealthMeter, preview_facts, watch_teacher
from trainer.likeness import Likeness, variety_of
from trainer.placement import empty_cache
from trainer.preparation import Prepared
from trainer.preview import Drawn, Previewer
from trainer.run.events import Emitter, read_events
from trainer.run.folder import RunFolder
from trainer.run.state import RunState, reduce, replay
from trainer.text import printable
from trainer.verdict import STOPS, Standing, Verdict, judge_training

log = logging.getLogger(__name__)
_TOLD = frozenset({"started", "validated", "health"})
"""The kinds of events from which a verdict is made."""


class Watch:
    """Measures a run at its validations and previews; neither training nor its randomness is touched.

    Args:
        prepared: What is trained; no network is attached to its UNet yet.
        previewer: Draws the pictures whose variety is measured.
        folder: The run, whose log may hold an earlier sitting.
        events: Where what was measured is told.
        check: Called all the while; what it raises leaves off what is being measured, and nothing is told.
    """

    def __init__(
        self,
        prepared: Prepared,
        previewer: Previewer,
        folder: RunFolder,
        events: Emitter,
        check: Callable[[], None],
    ) -> None:
        self._prepared, self._previewer, self._events, self._check = prepared, previewer, events, check
        self._settings = prepared.config.health
        self._meter = _meter(prepared, check) if prepared.validator and self._settings.every else None
        order = prepared.inputs.order
        self._likeness = Likeness.of(
            [posterior.mean_CHW for posterior in prepared.inputs.posteriors],
            [picture.path.name for picture in order.pictures],
        )
        past = read_events(folder.events_file)
        self._state: RunState = replay(event for event in past if event["kind"] in _TOLD)
        told = [event for event in past if event["kind"] == "verdict"]
        self._told = str(told[-1].get("standing")) if told else str(Standing.NOTHING_YET)
        self.norms = self._meter.norms if self._meter else []
        """Where the norm of each step's gradient is noted."""

    @property
    def verdict(self) -> Verdict:
        """What is to be said of the run so far."""
        return judge_training(self._state)

    def validate(self, step: int) -> bool:
        """Measure loss and health after `step` steps, and tell; return whether this is the best step so far."""
        prepared, validator = self._prepared, self._prepared.validator
        assert validator is not None
        is_start = not validator.start
        prepared.net.eval()
        try:
            found = validator.measure(prepared.denoiser, self._check)
            place = len(self._state.validations)
            is_due = self._meter is not None and place % self._settings.every == 0
            health = self._health(place) if is_due else {}
        finally:
            prepared.net.train()
        losses = {"held_out": found.held_out, "training": found.training, "mirrored": found.mirrored}
        if health:
            self._tell("health", step=step, **health)
        best_step = self._best_with(step, losses)
        self._tell(
            "validated",
            step=step,
            **{name: loss for name, loss in losses.items() if loss is not None or name != "mirrored"},
            best=best_step == step,
            best_step=best_step,
            **({"start": validator.start} if is_start else {}),
        )
        return best_step == step

    def _best_with(self, step: int, losses: Mapping[str, float | None]) -> int | None:
        """Return the best step once this validation counts too."""
        event = {"v": 1, "seq": 0, "t": self._state.last_t or 0.0, "kind": "validated", "step": step, **losses}
        return judge_training(reduce(self._state, event)).best_step

    def judge(self, step: int) -> bool:
        """Tell when the verdict has changed; return whether the settings say that the run should end for it."""
        verdict = self.verdict
        standing = str(verdict.standing)
        if standing == self._told:
            return False
        self._told = standing
        self._events.emit(
            "verdict",
            step=step,
            standing=standing,
            since_step=verdict.since_step,
            best_step=verdict.best_step,
            text=verdict.text,
            advice=verdict.advice,
        )
        return verdict.standing in STOPS[self._prepared.config.validation.stop_when]

    def look_at(self, step: int, drawn: Drawn) -> None:
        """Tell what a preview looks like, and whether it resembles a training picture."""
        if self._meter is None:
            return
        facts = preview_facts(drawn.picture, drawn.latents_CHW, self._likeness)
        self._tell("health", step=step, prompt=self._previewer.prompt, **facts)

    def _health(self, place: int) -> dict[str, Any]:
        assert self._meter is not None
        found = self._meter.measure(self._prepared.denoiser)
        settings = self._settings
        if self._prepared.config.preview.every and settings.variety_every and place % settings.variety_every == 0:
            found["variety"] = self._variety()
        return found

    def _variety(self) -> float | None:
        try:
            return variety_of(self._previewer.sketches(self._settings.variety_seeds, self._settings.variety_steps))
        except Exception as error:  # like a preview, this never ends a run
            log.exception("the variety could not be measured")
            reason = printable((str(error).splitlines() or [type(error).__name__])[0])
            self._events.emit("warning", message=f"The variety over seeds was not measured: {reason}")
            return None
        finally:
            empty_cache(self._prepared.denoiser.device)

    def _tell(self, kind: str, **fields: Any) -> None:
        self._state = reduce(self._state, self._events.emit(kind, **fields))


def _meter(prepared: Prepared, check: Callable[[], None]) -> HealthMeter:
    contexts = prepared.contexts.load(UNRELATED[: prepared.config.health.captions])
    shape = tuple(prepared.inputs.posteriors[0].mean_CHW.shape)
    sightings = watch_teacher(
        prepared.denoiser, prepared.base.noise_scheduler, contexts, (shape[0], shape[1], shape[2]), check
    )
    return HealthMeter(prepared.net, sightings, check)
