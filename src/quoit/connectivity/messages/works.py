"""Planned works on spans."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

WORKS_NEWS = "connectivity.works"
"""Subjects are `connectivity.works.<works>`."""


ANNOUNCED, DRAINING, HELD, DOWN, GIVEN_BACK = "announced", "draining", "held", "down", "given-back"
OPTICAL_SIDE, QUANTUM_SIDE = "optical", "quantum"
"""Who works: the optical network's people on its plant, or the quantum network's on their devices."""
SPAN, NODE, LINK = "span", "node", "link"
"""What is worked on, as it was announced."""


@message("connectivity.AnnounceWorks")
class AnnounceWorks(Message):
    """Somebody must work on these spans, or on devices of these quantum links, or on both. `lead_ns` before the start,
    services move elsewhere; at the start the spans are down and the links are out, and at the end they are given back.
    From now on no new path takes the spans. `side`, `kind` and `target` say who works on what, in the words of whoever
    announces it; `replace`: works of this name may be there, and these are the new plan of them.

    Answered with `WorksRow`. Without `force`, works that something could not give way to are refused
    (`cannot-give-way`, with `stuck`); and if something is in their way at the start all the same, they are held until
    it has gone. With `force`, classical light that is still there is switched off for the time of the works. Other
    problems: `channel-exists` (and not `replace`), `malformed`, `no-such-element`, `overloaded`, `switching` (works
    under way: only their end may be changed).
    """

    works: str
    spans: tuple[str, ...]
    start_ns: int
    end_ns: int
    lead_ns: int = 60_000_000_000
    force: bool = False
    side: str = OPTICAL_SIDE
    kind: str = SPAN
    target: str = ""
    text: str = ""
    links: tuple[str, ...] = ()
    replace: bool = False


@message("connectivity.EndWorks")
class EndWorks(Message):
    """Give the spans and links of some works back, before their time or before they began."""

    works: str


@message("connectivity.GaveWay")
class GaveWay(Message):
    """To the calendar: whoever looks after the quantum link `link` has it out of the way of these works. Its light goes
    elsewhere, or nothing uses it. Answered with `WorksRow`; Problem `no-such-element`."""

    works: str
    link: str


@message("connectivity.WorksRow")
class WorksRow(Message):
    """Works; also the news of their state. `moved`: services and links that gave way; `stuck`: channels on the spans,
    and links that are still used. The rest as of `AnnounceWorks`."""

    works: str
    spans: tuple[str, ...]
    start_ns: int
    end_ns: int
    state: str
    moved: tuple[str, ...]
    stuck: tuple[str, ...]
    side: str = OPTICAL_SIDE
    kind: str = SPAN
    target: str = ""
    text: str = ""
    links: tuple[str, ...] = ()
    force: bool = False
    lead_ns: int = 60_000_000_000


@message("connectivity.GetWorks")
class GetWorks(Message):
    """Answered with `WorksRows`."""


@message("connectivity.WorksRows")
class WorksRows(Message):
    rows: tuple[WorksRow, ...]
