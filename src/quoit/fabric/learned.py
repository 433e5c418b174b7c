"""A learned detector: a linear classifier on what the tests see, trained on the twin's own data.

Named `learned` among the entry points `quoit.detectors`; a network turns it on with `policies: {detectors: [learned]}`.
The numbers in `learned.json` are written by `python -m quoit.testing.learned train` (scikit-learn); here is plain
arithmetic. It knows a link by its own first readings, so what is wrong from the start it does not see.
"""

from __future__ import annotations

import json
from importlib.resources import files
from math import exp, log, sqrt
from typing import NamedTuple

from quoit.fabric.detection import Cause, Finding, Seen

LEARN_READINGS = 240
"""Readings after the tests' own baselines from which means and spreads are learned."""
MEMORIES = (1.0, 1 / 8, 1 / 64)
"""Weights of a reading in the running means that are looked at."""
LARGEST = 30.0
"""Standard errors beyond which a deviation is no larger."""
CAUSES: dict[str, Cause | None] = {
    "quiet": None,
    "eavesdropping": Cause.EAVESDROPPING,
    "noise": Cause.NOISE,
    "loss": Cause.LOSS,
    "splitting": Cause.SPLITTING,
}


class Model(NamedTuple):
    """Rows of weights and an offset for each of `CAUSES`; the score above which something is found."""

    weights: tuple[tuple[float, ...], ...]
    offsets: tuple[float, ...]
    threshold: float


def shipped() -> Model:
    """The model that comes with the product."""
    data = json.loads(files("quoit.fabric").joinpath("learned.json").read_text(encoding="utf-8"))
    if data["classes"] != list(CAUSES):
        raise ValueError(f"learned.json is for the classes {data['classes']}, expected {list(CAUSES)}")
    return Model(tuple(tuple(row) for row in data["weights"]), tuple(data["offsets"]), data["threshold"])


class Deviations:
    """Running means of a link's error rate, rate and decoy share, in standard errors of what they were at first."""

    def __init__(self) -> None:
        self._count = 0
        self._sum = [0.0] * 3
        self._squares = [0.0] * 3
        self._centre: list[float] = []
        self._spread: list[float] = []
        self._means = [0.0] * (3 * len(MEMORIES))

    def add(self, seen: Seen) -> list[float] | None:
        """The deviations after a reading; None while there is nothing to compare with."""
        if not seen.tested or seen.baseline_qber is None:
            return None
        values = [seen.errors / seen.tested, 1.0 if seen.rate_ratio is None else seen.rate_ratio, seen.decoy_ratio]
        if self._count < LEARN_READINGS:
            self._learn(values)
            return None
        z = [(v - c) / s for v, c, s in zip(values, self._centre, self._spread, strict=True)]
        z = [min(LARGEST, max(-LARGEST, one)) for one in z]
        told = []
        for k, weight in enumerate(MEMORIES):
            for i in range(3):
                at = 3 * k + i
                self._means[at] += weight * (z[i] - self._means[at])
                told.append(self._means[at] * sqrt((2 - weight) / weight))
        return told

    def clear(self) -> None:
        """Forget the running means, keep what was learned."""
        self._means = [0.0] * len(self._means)

    def _learn(self, values: list[float]) -> None:
        self._count += 1
        for i, value in enumerate(values):
            self._sum[i] += value
            self._squares[i] += value * value
        if self._count == LEARN_READINGS:
            n = self._count
            self._centre = [s / n for s in self._sum]
            spread = [max(0.0, q / n - c * c) for q, c in zip(self._squares, self._centre, strict=True)]
            self._spread = [max(1e-6, sqrt(v)) for v in spread]  # a value that never moves has no spread


class LearnedDetector:
    """See `LinkDetector`."""

    def __init__(self, model: Model | None = None) -> None:
        self._model = shipped() if model is None else model
        self._deviations = Deviations()
        self._since = 0
        self._found = False

    def score(self, told: list[float]) -> tuple[float, Cause]:
        """ln of the odds that something is wrong, and what most likely is."""
        logits = [
            sum(w * x for w, x in zip(row, told, strict=True)) + offset
            for row, offset in zip(self._model.weights, self._model.offsets, strict=True)
        ]
        quiet, *others = logits
        top = max(others)
        odds = top + log(sum(exp(one - top) for one in others)) - quiet
        cause = list(CAUSES.values())[1 + others.index(top)]
        assert cause is not None
        return odds, cause

    def add(self, seen: Seen) -> Finding | None:
        told = self._deviations.add(seen)
        if told is None:
            return None
        odds, cause = self.score(told)
        if odds < 0:
            self._since = seen.block
            self._found = False
        if odds <= self._model.threshold or self._found:
            return None
        self._found = True  # once, until it is quiet again
        return Finding(cause, self._since, f"odds of e^{odds:.0f}", void=cause is not Cause.LOSS)

    def rearm(self) -> None:
        self._deviations.clear()
        self._found = False
