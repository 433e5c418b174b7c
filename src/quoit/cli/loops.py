"""`quoit loops` and `quoit works`: the closed loops of a running twin, and the works that one of them reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from quoit.cli import show
from quoit.cli.top import Operator
from quoit.connectivity.api import LINK, QUANTUM_SIDE, WorksRow, WorksRows
from quoit.model.quantity import format_duration, parse_duration_ns
from quoit.planes.loop import LoopStanding, LoopStandings


def loops_of(directory: Path, order: str, name: str | None, json: bool) -> int:
    """List loops, show one's records, or steer one."""
    operator = Operator(directory)
    if order in ("list", "records"):
        return _show(operator, order, name, json)
    if name is None:
        raise show.UserError(f"expected the name of a loop: quoit loops {order} NAME; quoit loops lists them")
    status, answer = operator.post("/loops", {"loop": name, "order": order})
    _refuse(status, answer)
    if json:
        show.json_line(answer)
    else:
        standing = msgspec.convert(answer, LoopStanding)
        print(f"{standing.loop}: {standing.state}{' (dry run)' if standing.dry_run else ''}")
    return 0


def _show(operator: Operator, order: str, name: str | None, json: bool) -> int:
    rows = msgspec.json.decode(operator.get("/loops"), type=LoopStandings).loops
    if name is not None:
        chosen = tuple(row for row in rows if row.loop == name)
        if not chosen:
            known = ", ".join(row.loop for row in rows) or "this network has none; see docs/loops.md"
            raise show.UserError(f"no loop is called {name!r}; known: {known}")
        rows = chosen
    if json:
        show.json_line(rows)
    elif not rows:
        print("no loops: the network file has no section 'loops'")
    elif order == "list":
        show.out().print(show.loops(rows))
    else:
        steps = sorted(((step.at_ns, row.loop, step) for row in rows for step in row.records), key=lambda s: s[:2])
        for _, loop, step in steps:
            print(f"{show.record(step)}{'' if name is not None else f'  [{loop}]'}")
    return 0


def works_of(
    directory: Path,
    order: str,
    name: str | None,
    plan: tuple[str | None, str | None, str | None],
    json: bool,
    lead: str = "60s",
    force: bool = False,
    links: str | None = None,
) -> int:
    """List planned works, announce some, or end them. `plan`: spans, begin and end."""
    operator = Operator(directory)
    if order == "list":
        status, answer = operator.ask("/works")
        _refuse(status, answer)
        return _told(msgspec.convert(answer, WorksRows).rows, json)
    if name is None:
        raise show.UserError(f"expected a name for the works: quoit works {order} NAME")
    body: dict[str, Any] = {"works": name, "spans": [], "start_ns": 0, "end_ns": 0}
    if order == "plan":
        spans, at, until = plan
        if (spans is None and links is None) or at is None or until is None:
            raise show.UserError("expected --spans A,B (or --links L) --at TIME --until TIME")
        try:
            body |= {"spans": _names(spans), "links": _names(links), "force": force}
            body |= {"side": QUANTUM_SIDE, "kind": LINK} if not body["spans"] else {}
            body |= {"start_ns": parse_duration_ns(at), "end_ns": parse_duration_ns(until)}
            body |= {"lead_ns": parse_duration_ns(lead)}
        except ValueError as fault:
            raise show.UserError(str(fault)) from fault
        if not body["spans"] and not body["links"]:
            raise show.UserError("expected one span or more in --spans, or one link or more in --links")
    status, answer = operator.post("/works", body)
    _refuse(status, answer)
    return _told((msgspec.convert(answer, WorksRow),), json)


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _told(rows: tuple[WorksRow, ...], json: bool) -> int:
    if json:
        show.json_line(rows)
        return 0
    for row in rows:
        span = f"{format_duration(row.start_ns)} to {format_duration(row.end_ns)}"
        stuck = f"; still there: {', '.join(row.stuck)}" if row.stuck else ""
        what = " and ".join(
            filter(None, (", ".join(row.spans), f"devices of {', '.join(row.links)}" if row.links else ""))
        )
        print(f"{row.works}: {what} from {span}, {row.state}{stuck}")
    if not rows:
        print("no works are planned")
    return 0


def _refuse(status: int, answer: Any) -> None:
    if status != 200:
        raise show.UserError(str(answer.get("message")))
