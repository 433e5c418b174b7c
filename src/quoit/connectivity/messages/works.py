"""Planned works on spans."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

WORKS_NEWS = "connectivity.works"
"""Subjects are `connectivity.works.<works>`."""


ANNOUNCED, DRAINING, HELD, DOWN, GIVEN_BACK = "announced", "draining", "held", "down", "given-back"


@message("connectivity.AnnounceWorks")
class AnnounceWorks(Message):
    """Somebody must work on these spans. `lead_ns` before the start, services move elsewhere; at the start the spans
    are down, and at the end they are given back. From now on no new path takes them.

    Answered with `WorksRow`. Without `force`, works that something could not give way to are refused (`no-route`, with
    `stuck`); and if something is on the spans at the start all the same, they are held until it has gone. With `force`,
    classical light that is still there is switched off for the time of the works.
    """

    works: str
    spans: tuple[str, ...]
    start_ns: int
    end_ns: int
    lead_ns: int = 60_000_000_000
    force: bool = False


@message("connectivity.EndWorks")
class EndWorks(Message):
    """Give the spans of some works back, before their time or before they began."""

    works: str


@message("connectivity.WorksRow")
class WorksRow(Message):
    """Works; also the news of their state. `moved`: services that gave way; `stuck`: channels on the spans."""

    works: str
    spans: tuple[str, ...]
    start_ns: int
    end_ns: int
    state: str
    moved: tuple[str, ...]
    stuck: tuple[str, ...]


@message("connectivity.GetWorks")
class GetWorks(Message):
    """Answered with `WorksRows`."""


@message("connectivity.WorksRows")
class WorksRows(Message):
    rows: tuple[WorksRow, ...]
