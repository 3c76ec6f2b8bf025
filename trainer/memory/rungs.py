"""The ladder: ways to compute the same step in less memory, each with its predicted peak."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from trainer.memory.pace import Work
from trainer.memory.predict import Parts, Predictor
from trainer.memory.ways import Way, own_way

SMALLER_SIZES_PX = (384, 256)


@dataclass(frozen=True)
class Rung:
    """A way to compute the step, with what it takes."""

    name: str
    """full, micro-batch, checkpointing, medvram, lowvram, or the smaller size."""
    way: Way
    accumulation: int
    """Micro-batches per optimizer step."""
    parts: Parts
    preview_bytes: int
    """What must be free while a preview is drawn; 0 without previews. A preview that doesn't fit ends nothing."""
    time_factor: float
    """Seconds a step, relative to full at the size that is set: an estimate by operations and transfers."""
    as_set: bool
    """Whether it is what the settings ask for."""
    smaller: bool
    """Whether pictures get smaller than the settings ask for."""

    def fits(self, free_bytes: int | None) -> bool | None:
        """Tell whether it fits; None where free memory is unknown."""
        return None if free_bytes is None else self.parts.total <= free_bytes

    @property
    def price(self) -> str:
        """What it costs in the result, for people."""
        if self.smaller:
            return "coarser pictures"
        return "tiny differences from rounding" if self.way.weights == "8bit" else "same result"


@dataclass(frozen=True)
class Ladder:
    """The rungs for one model, network and device."""

    predictor: Predictor

    @property
    def own(self) -> Way:
        """What the settings ask for."""
        return own_way(self.predictor.config)

    def rungs(self) -> list[Rung]:
        """Return the ladder, costliest in memory first; what is set stands in it at its place or before it."""
        rungs = [self._rung(way) for way in self._ways(self._batch)]
        return rungs if any(rung.as_set for rung in rungs) else [self._rung(self.own), *rungs]

    def below(self) -> list[Rung]:
        """Return the rungs that take less memory than what is set, the least costly first.

        None has more pictures at once than what is set: that ran out of memory, whatever was predicted.
        """
        own = self._rung(self.own)
        fewer = [self._largest(self.own, below=self.own.micro_batch)] if self.own.micro_batch > 1 else []
        rungs = [self._rung(way) for way in dict.fromkeys((*fewer, *self._ways(self.own.micro_batch)))]
        return [rung for rung in rungs if rung.parts.allocated < own.parts.allocated]

    def _ways(self, most: int) -> Iterator[Way]:
        """Yield the ladder's ways.

        Args:
            most: Pictures at once, at most.
        """
        full = Way(most, False, self.own.size_px)
        yield full
        if most > 1:
            yield self._largest(full, below=most)
        yield from self._slower(full)
        for size in SMALLER_SIZES_PX:
            if size < self.own.size_px:
                yield self._least_costly(replace(full, size_px=size))

    def _slower(self, full: Way) -> Iterator[Way]:
        checkpointing = replace(full, checkpointing=True)
        yield self._largest(checkpointing)
        if self.predictor.target.shares_ram:  # nothing is gained by keeping it elsewhere in the same memory
            yield self._largest(replace(checkpointing, weights="8bit"))
            return
        aside = replace(checkpointing, optimizer_on_host=True)
        yield self._faster(replace(aside, weights="8bit"), replace(aside, offload="half"))
        yield self._largest(replace(aside, offload="all"))

    def _faster(self, *ways: Way) -> Way:
        """Return the way that takes the least time of those that fit."""
        by_time = sorted(map(self._largest, ways), key=self._time)
        return next((way for way in by_time if self._fits(way)), by_time[0])

    def _least_costly(self, full: Way) -> Way:
        if self.predictor.target.free_bytes is None:
            return full
        ways = [full, self._largest(full), *self._slower(full)]
        return next((way for way in ways if self._fits(way)), ways[-1])

    def _largest(self, way: Way, below: int = 0) -> Way:
        """Return a way with the largest micro-batch (by halves) that fits, or with 1 where none does."""
        sizes = [way.micro_batch]
        while sizes[-1] > 1:
            sizes.append(-(-sizes[-1] // 2))
        ways = [replace(way, micro_batch=size) for size in sizes if not below or size < below]
        return next((way for way in ways if self._fits(way)), ways[-1])

    def _fits(self, way: Way) -> bool:
        free = self.predictor.target.free_bytes
        return free is not None and self.predictor.parts(way).total <= free

    @property
    def _batch(self) -> int:
        return self.predictor.config.training.batch_size

    def _time(self, way: Way) -> float:
        predictor, full = self.predictor, Way(self._batch, False, self.own.size_px)
        work = Work(predictor.config, predictor.architecture, predictor.network)
        return work.seconds(way, predictor.target) / work.seconds(full, predictor.target)

    def _rung(self, way: Way) -> Rung:
        predictor, own = self.predictor, self.own
        return Rung(
            name=self._name(way),
            way=way,
            accumulation=predictor.accumulation(way),
            parts=predictor.parts(way),
            preview_bytes=predictor.preview_bytes(way) if predictor.config.preview.every else 0,
            time_factor=self._time(way),
            as_set=way == own,
            smaller=way.size_px < own.size_px,
        )

    def _name(self, way: Way) -> str:
        if way.size_px != self.own.size_px:
            return f"{way.size_px} px"
        if way.offload == "all":
            return "lowvram"
        if way.offload == "half" or way.weights == "8bit":
            return "medvram"
        if way.checkpointing:
            return "checkpointing"
        return "micro-batch" if way.micro_batch < self._batch else "full"
