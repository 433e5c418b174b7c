"""Correlation of alarms across strata: which standing alarm explains which (ITU-T X.733, correlated notifications).

An alarm is explained by another one if three things hold: the object of the other lies below it in the assurance
graph, the laws say that such a cause has such an effect, and the cause was there first. The root cause is where the
chain ends. Alarms that nothing explains are their own root.

Named approximation: instants are those at which the alarms were raised, and strata notice a thing after different
times; a cause may therefore stand up to `SLACK_NS` later than its effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from quoit.planes.management import Alarm

SLACK_NS = 5_000_000_000
"""How much later than its effect a cause may have been noticed: a few intervals of telemetry."""

Below = Callable[[Alarm], frozenset[str]]
"""Names of the subservices that an alarm's object stands on, its own with them."""
Name = Callable[[Alarm], str]
"""Name of the subservice that an alarm is about."""
Laws = Mapping[str, frozenset[str]]
"""Causes of alarms by what they may bring about: effect to causes."""


def explain(alarms: Iterable[Alarm], laws: Laws, name: Name, below: Below) -> dict[Alarm, tuple[Alarm, ...]]:
    """The root causes of each alarm, oldest first; empty for one that is a root itself."""
    standing = sorted(alarms, key=lambda a: (a.since_ns, a.stratum, a.about, a.cause))
    direct = {effect: _direct(effect, standing, laws, name, below) for effect in standing}
    return {effect: _roots(effect, direct) for effect in standing}


def _direct(effect: Alarm, standing: list[Alarm], laws: Laws, name: Name, below: Below) -> list[Alarm]:
    possible = laws.get(effect.cause, frozenset())
    if not possible:
        return []
    under = below(effect)
    return [
        cause
        for cause in standing
        if cause is not effect
        and cause.cause in possible
        and name(cause) in under
        and cause.since_ns <= effect.since_ns + SLACK_NS
    ]


def _roots(effect: Alarm, direct: Mapping[Alarm, list[Alarm]]) -> tuple[Alarm, ...]:
    """Where chains of causes end. Two alarms that could each be the other's cause do not chase each other."""
    found: dict[Alarm, None] = {}
    seen, ahead = {effect}, list(direct[effect])
    while ahead:
        cause = ahead.pop()
        if cause in seen:
            continue
        seen.add(cause)
        deeper = [other for other in direct[cause] if other not in seen]
        if deeper:
            ahead += deeper
        elif not direct[cause]:
            found[cause] = None
    return tuple(sorted(found, key=lambda a: (a.since_ns, a.stratum, a.about, a.cause)))
