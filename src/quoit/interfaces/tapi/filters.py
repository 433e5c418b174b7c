"""Filters of TAPI's own subscriptions to notifications (`notif-subscription/subscription-filter`). Pure.

What a filter names must be so, and what it leaves out is no matter. Several filters of one subscription let pass what
any of them does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from quoit.model.problem import Problem

MOST_SUBSCRIPTIONS = 64


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What events must be like: kinds of notification, kinds of objects (both without the module's name), layers, and
    the objects themselves by uuid. Empty: any."""

    kinds: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    uuids: frozenset[str] = frozenset()

    def passes(self, event: Mapping[str, Any]) -> bool:
        """Whether an `event-notification` is wanted."""
        asked = (
            (self.kinds, _plain(event.get("event-notification-type"))),
            (self.objects, _plain(event.get("target-object-type"))),
            (self.layers, event.get("layer-protocol-name")),
            (self.uuids, event.get("target-object-identifier")),
        )
        return all(not wanted or value in wanted for wanted, value in asked)


def _plain(identity: str | None) -> str:
    """An identity without the name of its module."""
    return (identity or "").rpartition(":")[2]


def subscriptions_of(notifications: Mapping[str, Any]) -> dict[str, tuple[EventFilter, ...]]:
    """The subscriptions of a notification context, by uuid, with their filters: none if they want everything.

    Problems `not-supported` (events without their content), `overloaded`.
    """
    rows = notifications.get("notif-subscription", ())
    if len(rows) > MOST_SUBSCRIPTIONS:
        raise Problem("overloaded", f"expected at most {MOST_SUBSCRIPTIONS} subscriptions, found {len(rows)}")
    return {row["uuid"]: tuple(_filters(row.get("subscription-filter", ()))) for row in rows}


def _filters(rows: Iterable[Mapping[str, Any]]) -> Iterable[EventFilter]:
    for row in rows:
        if row.get("include-content") is False:
            raise Problem("not-supported", "subscription-filter/include-content: events come with their content")
        names = ("requested-notification-types", "requested-object-types")
        kinds, objects = (frozenset(map(_plain, row.get(name, ()))) for name in names)
        layers, uuids = (
            frozenset(row.get(name, ())) for name in ("requested-layer-protocols", "requested-object-identifier")
        )
        yield EventFilter(kinds, objects, layers, uuids)
