"""The scenarios that simulators are compared by, and how far apart their figures may lie.

Two figures agree if they differ by no more than SIGMAS times their joint standard error, plus what the case allows for
differences of model that are known and stated with it. Of figures that were computed and not sampled, rounding is all
that is allowed. With standard errors from 32 batches (Student's t), a figure that is the same in truth fails at 4 sigma
in fewer than 4 of 10,000 comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, isclose

from quoit.engine.simulators.port import (
    Bb84,
    Chain,
    Dejmps,
    Figure,
    Ghz,
    Pair,
    Result,
    Scenario,
    SwapTwo,
    Teleport,
    Wait,
)

SIGMAS = 4.0
ROUNDING = 1e-9
PERFECT = (1.0, 0.0, 0.0, 0.0)
ONE = (0.90, 0.05, 0.03, 0.02)
OTHER = (0.80, 0.10, 0.06, 0.04)
"""All four different, so that no two Bell states can be mistaken for each other unnoticed."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A share of the larger value that two figures may differ by beyond statistics, and why."""

    share: float
    why: str


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario with its name, and the differences of model it allows, by figure."""

    name: str
    scenario: Scenario
    allowed: Mapping[str, Allowed] = field(default_factory=dict)

    @property
    def sampled_s(self) -> float:
        """Simulated seconds; 0 for cases without time."""
        return getattr(self.scenario, "duration_s", 0.0)


_SLACK = Allowed(0.001, "SeQUeNCe sends in bins of 12.5 ns and leaves 10 ps of slack, so its attempts last longer")
_AHEAD = Allowed(
    0.02,
    "a SeQUeNCe router asks its right neighbour for the next pair while the news of their swap is still on its way "
    "there, which saves a light time of the hop now and then (1.2 % of the time of a pair over two hops of 20 km)",
)
_CLICKS = Allowed(0.005, "SeQUeNCe drops a period in which both detectors click, where quoit draws a random bit")

CASES: tuple[Case, ...] = (
    Case("pair", Pair(20, 0.99, 5.0), {"rate_hz": _SLACK}),
    Case("pair-perfect", Pair(20, 1.0, 5.0), {"rate_hz": _SLACK}),
    Case("wait", Wait(0.95, 0.1, 1.0)),
    Case("swap", SwapTwo(ONE, OTHER, 0.97, 0.98)),
    Case("swap-perfect", SwapTwo(PERFECT, PERFECT)),
    Case("dejmps", Dejmps(ONE, OTHER, 0.97, 0.98)),
    Case("dejmps-perfect", Dejmps(PERFECT, PERFECT)),
    Case("chain-2", Chain(2, 20, 0.99, 5.0, 1.0), {"rate_hz": _AHEAD}),
    Case("chain-4", Chain(4, 20, 0.99, 5.0, 1.0), {"rate_hz": _AHEAD}),
    Case("chain-2-perfect", Chain(2, 20, 1.0, 3.0), {"rate_hz": _AHEAD}),
    Case("bb84", Bb84(20, 1.0, dark_hz=100.0, misalignment=0.01), {"sifted_hz": _CLICKS}),
    Case("bb84-perfect", Bb84(20, 1.0), {"sifted_hz": _CLICKS}),
    Case("ghz-3", Ghz(3, 0.95)),
    Case("ghz-4-perfect", Ghz(4, 1.0)),
    Case("teleport", Teleport(0.90)),
    Case("teleport-perfect", Teleport(1.0)),
)  # fmt: skip
"""Some with noise, for all that know of it; some without, for those that do not."""


def shortened(cases: Sequence[Case], factor: float) -> tuple[Case, ...]:
    """The same with so much less simulated time and so many fewer repetitions, never so little that no error bar can
    be given. Standard errors grow with it, so what agrees at length agrees here too."""
    return tuple(replace(case, scenario=_shorter(case.scenario, factor)) for case in cases)


def _shorter(scenario: Scenario, factor: float) -> Scenario:
    shots = max(8, round(scenario.shots * factor))
    if isinstance(scenario, Pair | Chain | Bb84):
        least = 0.05 if isinstance(scenario, Bb84) else 1.0
        return replace(scenario, shots=shots, duration_s=max(least, scenario.duration_s * factor))
    return replace(scenario, shots=shots)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of two simulators. `bound`: how far apart they may lie."""

    figure: str
    one: Figure
    other: Figure
    bound: float

    @property
    def difference(self) -> float:
        """Of the values."""
        return abs(self.one.value - self.other.value)

    @property
    def agree(self) -> bool:
        """Whether it is no more than the bound."""
        return self.difference <= self.bound


def compared(case: Case, one: Result, other: Result) -> tuple[Comparison, ...]:
    """All figures that both have."""
    both = [name for name in type(case.scenario).figures if name in one.figures and name in other.figures]
    return tuple(_compared(case, name, one.figures[name], other.figures[name]) for name in both)


def _compared(case: Case, name: str, one: Figure, other: Figure) -> Comparison:
    larger = max(abs(one.value), abs(other.value))
    share = case.allowed[name].share if name in case.allowed else 0.0
    bound = SIGMAS * hypot(one.sigma, other.sigma) + share * larger + ROUNDING * max(1.0, larger)
    return Comparison(name, one, other, bound)


def alike(one: Result, other: Result) -> bool:
    """Whether two results of the same simulator are the same, up to rounding."""
    return (
        one.missing.keys() == other.missing.keys()
        and one.figures.keys() == other.figures.keys()
        and all(
            isclose(f.value, other.figures[name].value, rel_tol=1e-12, abs_tol=1e-15)
            and isclose(f.sigma, other.figures[name].sigma, rel_tol=1e-9, abs_tol=1e-15)
            for name, f in one.figures.items()
        )
    )
