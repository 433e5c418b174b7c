"""Works as either side speaks of them, and as the one calendar keeps them: pure translation both ways (E5).

Who works on a span takes that span down. The optical network's people at a node take down all spans that end there; the
quantum network's people at a node have its devices out, and so all links that end there, but no fibre. Works on a link
are on its devices.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from quoit.connectivity import api as connectivity
from quoit.connectivity.api import InventoryRows, WorksRow
from quoit.fabric.api import LinkRow
from quoit.model.problem import Problem
from quoit.orchestration.api import Works

SIDES = (connectivity.OPTICAL_SIDE, connectivity.QUANTUM_SIDE)
KINDS = (connectivity.SPAN, connectivity.NODE, connectivity.LINK)


def check(works: Works, now_ns: int) -> None:
    """Problem `malformed` with all that makes no sense."""
    wrong = []
    if works.side not in SIDES:
        wrong.append(f"side: expected one of {', '.join(SIDES)}, found {works.side!r}")
    if works.kind not in KINDS:
        wrong.append(f"kind: expected one of {', '.join(KINDS)}, found {works.kind!r}")
    if not works.from_ns < works.until_ns:
        wrong.append("until: expected an instant after the begin")
    if works.until_ns <= now_ns:
        wrong.append("until: expected an instant to come")
    if wrong:
        raise Problem("malformed", "; ".join(wrong))


def announcement(works: Works, links: Iterable[LinkRow], inventory: InventoryRows) -> connectivity.AnnounceWorks:
    """What the calendar is told. Problems `no-such-element`, `malformed`."""
    spans, out = _taken(works, {row.link: (row.a, row.b) for row in links}, inventory)
    if not spans and not out:
        raise Problem("malformed", f"nothing would be down: no link or span of that side ends at {works.target}")
    return connectivity.AnnounceWorks(
        works.works_id, spans, works.from_ns, works.until_ns, works.lead_ns, works.force, works.side, works.kind,
        works.target, works.text, out, replace=True,
    )  # fmt: skip


def _taken(
    works: Works, links: Mapping[str, tuple[str, str]], inventory: InventoryRows
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Spans that are down and links that are out."""
    ends = {span.span: (span.a, span.b) for span in inventory.spans}
    if works.kind == connectivity.LINK:
        _known(works.kind, works.target, links)
        return (), (works.target,)
    if works.kind == connectivity.SPAN:
        names = tuple(dict.fromkeys(works.target.split()))
        for name in names or (works.target,):
            _known(works.kind, name, ends)
        return names, ()
    nodes = {row.node for row in inventory.nodes}.union(*ends.values(), *links.values())
    _known(works.kind, works.target, nodes)
    quantum = works.side == connectivity.QUANTUM_SIDE
    here = tuple(name for name, pair in (links if quantum else ends).items() if works.target in pair)
    return ((), here) if quantum else (here, ())


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    if name not in names:
        raise Problem("no-such-element", f"no {kind} is called {name!r}", element=name)


def shown(row: WorksRow, inventory: InventoryRows) -> Works:
    """Works of the calendar as both sides read them, with the quantum links that they touch now."""
    on_them = {
        channel.channel
        for channel in inventory.channels
        if channel.kind == connectivity.QUANTUM
        and channel.state != connectivity.OFF
        and not set(channel.spans).isdisjoint(row.spans)
    }
    return Works(
        row.works, row.side, row.kind, row.target, row.start_ns, row.end_ns, row.text,
        tuple(sorted({*on_them, *row.links})), row.force, row.lead_ns, row.state, row.moved, row.stuck,
    )  # fmt: skip


def is_over(row: WorksRow, now_ns: int) -> bool:
    return row.state == connectivity.GIVEN_BACK or row.end_ns <= now_ns
