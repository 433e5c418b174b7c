"""What was got of what was wanted: the figures of an intent's reports, from what control says of a session or unit."""

from __future__ import annotations

from quoit.orchestration.api import Expression, Figure, OpticalService
from quoit.service.api import Session, Unit


def of_session(e: Expression, session: Session | None, served_before: int, took_ns: int) -> list[Figure]:
    """Figures of a key session; None: there is none now. `served_before`: bits that had been served at the period's
    begin, `took_ns` ago."""
    t = e.targets
    routes = 0 if session is None else session.routes
    # At one node there is no route and none is needed.
    local = session is not None and session.state == "open" and session.routes == 0
    kept = session is not None and session.state == "open"
    reserved = session.rate_bps if session is not None and kept else 0.0
    figures = [
        Figure("rate_bps", "bit/s", t.rate_bps, reserved, kept, "set aside on every link of the way, now"),
        _served(session, served_before, took_ns),
        Figure(
            "disjoint",
            "routes",
            float(t.disjoint),
            float(routes),
            local or routes >= t.disjoint,
            "routes that stand now",
        ),
    ]
    if t.most_transit is not None:
        seen = None if session is None or not (routes or local) else float(session.trusted_nodes)
        met = None if seen is None else seen <= t.most_transit
        figures.append(Figure("trust", "trusted nodes", float(t.most_transit), seen, met, "most on one route, now"))
    if t.latency_ns is not None:
        took = None if session is None or session.latency_ns is None else session.latency_ns / 1e6
        met = None if took is None else took <= t.latency_ns / 1e6
        figures.append(Figure("latency_ms", "ms", t.latency_ns / 1e6, took, met, "95th percentile of the last answers"))
    return figures


def _served(session: Session | None, before: int, took_ns: int) -> Figure:
    bits = None if session is None else max(0, session.served_bits - before)
    rate = None if bits is None or took_ns <= 0 else bits / (took_ns / 1e9)
    return Figure("served_bps", "bit/s", None, rate, None, "what was asked for and handed out; no target")


def without_routes(session: Session) -> bool:
    """Whether a session has lost all its routes. At one node none is needed."""
    return session.routes == 0 and session.state in ("degraded", "hybrid")


def of_light(rows: tuple[OpticalService, ...]) -> list[Figure]:
    """What the optical network gives for an intent; nothing if nothing was asked of it."""
    if not rows:
        return []
    up = sum(row.enabled for row in rows)
    dark = [f"{row.service}: {row.note or row.state}" for row in rows if not row.enabled]
    what = f"with light now, of {', '.join(row.service for row in rows)}"
    what += f" ({'; '.join(dark)})" if dark else ""
    return [Figure("light", "optical services", float(len(rows)), float(up), up == len(rows), what)]


def of_unit(e: Expression, unit: Unit | None) -> list[Figure]:
    """Figures of a unit of entangled states; None: there is none now."""
    there = unit is not None and unit.state in ("established", "delivered")
    figures = [
        Figure("states", "states", float(e.states), float(unit.size_bits if unit and there else 0), there, "now")
    ]
    if e.targets.fidelity is not None:
        promised = unit.fidelity if unit is not None and there else None
        met = None if promised is None else promised >= e.targets.fidelity
        what = "the bound that control promises, not a measurement of these states"
        figures.append(Figure("fidelity", "", e.targets.fidelity, promised, met, what))
    return figures


class Availability:
    """Share of the time since the service first stood in which it was as wanted."""

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._good_ns = 0
        self._all_ns = 0
        self._good = False

    def note(self, now_ns: int, good: bool) -> None:
        """From now on it is as wanted, or not. Time before it first was does not count."""
        if self._since_ns is not None:
            self._all_ns += now_ns - self._since_ns
            self._good_ns += now_ns - self._since_ns if self._good else 0
        if self._since_ns is not None or good:
            self._since_ns = now_ns
        self._good = good

    @property
    def share(self) -> float | None:
        """None before any time has passed."""
        return self._good_ns / self._all_ns if self._all_ns else None

    def figure(self, target: float | None) -> Figure:
        share = self.share
        met = None if target is None or share is None else share >= target
        return Figure(
            "availability", "", target, share, met, "share of the time since it first stood, as last looked at"
        )


def missed(figures: list[Figure]) -> str:
    """Which figures are not met, in words; empty if none."""
    return "; ".join(
        f"{f.name}: {_shown(f.measured)} instead of {_shown(f.target)} {f.unit}".rstrip()
        for f in figures
        if f.met is False
    )


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
