"""The monitoring element: whether sessions get what was agreed (C6; draft 4.2)."""

from __future__ import annotations

from collections import deque

from quoit.planes.telemetry import GetMeters, MeterBoard, Meters, TelemetryPlan, percentile
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.agreements import SessionServed, WatchSession, monitor
from quoit.service.api import SESSION_NEWS, OpenSession, SessionQuality

ANSWERS = 200
"""Answers that percentiles are taken of, at most."""
LEAST = 20
"""Answers before anything is said of a session: fewer have no percentiles."""
METRICS = ("quoit_session_latency_seconds",)


class _Watched:
    __slots__ = ("asked", "kept", "took")

    def __init__(self, asked: OpenSession) -> None:
        self.asked = asked
        self.took: deque[int] = deque(maxlen=ANSWERS)
        self.kept = True

    def broken(self) -> str | None:
        """Which figure is not as agreed."""
        took = sorted(self.took)
        slowest, spread = percentile(took, 0.95), percentile(took, 0.95) - percentile(took, 0.05)
        most, varies = self.asked.max_latency_ns, self.asked.max_jitter_ns
        if most is not None and slowest > most:
            return f"latency: {slowest / 1e6:.1f} ms at the 95th percentile, {most / 1e6:.1f} ms agreed"
        if varies is not None and spread > varies:
            return f"jitter: {spread / 1e6:.1f} ms, {varies / 1e6:.1f} ms agreed"
        return None


class ServiceMonitor(Element):
    """Takes the times of a domain's sessions, and says when one is not as agreed, and when it is again. Of several
    instances each has its share of the sessions."""

    stratum, plane = Stratum.SERVICE, Plane.TELEMETRY
    realises = ("C6", "G1")
    separable = True

    def __init__(self, place: str, domain: str, telemetry: TelemetryPlan | None = None, instance: int = 0) -> None:
        super().__init__(monitor(domain, instance), place)
        self._board = MeterBoard(self.stratum, METRICS, telemetry or TelemetryPlan())
        self._domain = domain
        self._watched: dict[str, _Watched] = {}

    @handles(WatchSession)
    async def on_watch(self, ctx: Context, msg: WatchSession) -> None:
        gone = self._watched.pop(msg.session_id, None)
        if msg.asked is not None:
            self._watched[msg.session_id] = _Watched(msg.asked)
            self._board.start(ctx, msg.session_id)
            return
        self._board.stop(ctx, msg.session_id)
        if gone is not None and not gone.kept:
            self._tell(ctx, msg.session_id, True, "the session is over")

    @handles(SessionServed)
    async def on_served(self, ctx: Context, msg: SessionServed) -> None:
        watched = self._watched.get(msg.session_id)
        if watched is None:
            return
        watched.took.append(msg.took_ns)
        self._board.read(ctx, "quoit_session_latency_seconds", msg.session_id, msg.took_ns / 1e9)
        ctx.count("quoit_session_bits_total", (self._domain,), msg.bits)
        if len(watched.took) < LEAST:
            return
        broken = watched.broken()
        if (broken is None) != watched.kept:
            watched.kept = broken is None
            self._tell(ctx, msg.session_id, watched.kept, broken or "as agreed again")

    @handles(GetMeters)
    async def on_get_meters(self, ctx: Context, msg: GetMeters) -> Meters:
        return self._board.meters()

    def _tell(self, ctx: Context, session_id: str, kept: bool, text: str) -> None:
        ctx.emit("session.quality", session=session_id, kept=kept, text=text)
        ctx.publish(f"{SESSION_NEWS}.quality", SessionQuality(session_id, kept, text, ctx.now))
