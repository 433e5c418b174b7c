"""The Service stratum's management: which pairs of KMEs cannot be served, and why (A2, C6)."""

from __future__ import annotations

from quoit.planes.management import AlarmBook, Alarms, GetAlarms, Severity
from quoit.planes.telemetry import TELEMETRY_NEWS, ThresholdCrossed, note_crossing
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.api import (
    PAIR_NEWS,
    SESSION_NEWS,
    STREAM_NEWS,
    UPKEEP,
    SessionChanged,
    SessionQuality,
    StoreRewound,
    StreamFilled,
    StreamStarved,
)
from quoit.service.states import PromiseTested

CAUSE = "key cannot be refilled"
REWOUND = "key store was put back"
SHORT = "session has not the routes it was promised"
BELOW = "session is not served as agreed"
CONTRADICTED = "tests contradict the promised fidelity"


class ServiceUpkeep(Element):
    """Raises an alarm for each stream of end-to-end key that the fabric cannot fill, and for each key store that
    turns out to be older than its KME's peers remember. The latter stands until the twin's end: somebody put it back.
    And one for each link for entangled pairs whose states are worse than control promised, until tests bear it out.
    """

    stratum, plane = Stratum.SERVICE, Plane.MANAGEMENT
    realises = ("A2", "C6")
    subscribes = (
        f"{STREAM_NEWS}.*",
        f"{SESSION_NEWS}.*",
        f"{PAIR_NEWS}.*",
        f"{TELEMETRY_NEWS}.service.threshold",
    )

    def __init__(self, place: str) -> None:
        super().__init__(UPKEEP, place)
        self._alarms = AlarmBook(self.stratum)

    @handles(StreamStarved)
    async def on_starved(self, ctx: Context, msg: StreamStarved) -> None:
        severity = Severity.MAJOR if msg.free_bits else Severity.CRITICAL
        self._alarms.raise_(ctx, msg.stream, CAUSE, severity, f"{msg.why}; {msg.free_bits} bits are left")

    @handles(StreamFilled)
    async def on_filled(self, ctx: Context, msg: StreamFilled) -> None:
        self._alarms.clear(ctx, msg.stream, CAUSE)

    @handles(StoreRewound)
    async def on_rewound(self, ctx: Context, msg: StoreRewound) -> None:
        text = f"older than {msg.peer} remembers: {msg.keys} keys that waited in it are void"
        self._alarms.raise_(ctx, msg.kme, REWOUND, Severity.CRITICAL, text)

    @handles(SessionChanged)
    async def on_session(self, ctx: Context, msg: SessionChanged) -> None:
        if msg.state in ("open", "closed"):
            self._alarms.clear(ctx, msg.session_id, SHORT)
        else:
            severity = Severity.MINOR if msg.state == "pre-empted" else Severity.MAJOR
            self._alarms.raise_(ctx, msg.session_id, SHORT, severity, f"{msg.state}: {msg.why}")

    @handles(SessionQuality)
    async def on_quality(self, ctx: Context, msg: SessionQuality) -> None:
        if msg.kept:
            self._alarms.clear(ctx, msg.session_id, BELOW)
        else:
            self._alarms.raise_(ctx, msg.session_id, BELOW, Severity.MINOR, msg.text)

    @handles(ThresholdCrossed)
    async def on_crossed(self, ctx: Context, msg: ThresholdCrossed) -> None:
        note_crossing(self._alarms, ctx, msg)

    @handles(PromiseTested)
    async def on_tested(self, ctx: Context, msg: PromiseTested) -> None:
        for link in msg.links:
            if msg.sound:
                self._alarms.clear(ctx, link, CONTRADICTED)
            else:
                self._alarms.raise_(ctx, link, CONTRADICTED, Severity.MAJOR, msg.text)

    @handles(GetAlarms)
    async def on_get(self, ctx: Context, msg: GetAlarms) -> Alarms:
        return self._alarms.standing
