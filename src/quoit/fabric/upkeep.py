"""The fabric's management loop for links: detect, decide, act, verify (C6, G2).

A suspect link is quarantined: its modules make no key, its pools drop the blocks that may be compromised,
and everybody who holds keys made from them is told. A dark link is a fault, not an attack: its block
under way is dropped, keys made before stay good.
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.connectivity.api import PATH_NEWS, PathDown, PathUp
from quoit.fabric import api
from quoit.fabric.api import (
    CommissionLink,
    GetIncidents,
    Incident,
    Incidents,
    KeyStrayed,
    LinkAuth,
    LinkCalm,
    LinkFinding,
    LinkQuarantined,
    LinkReleased,
    LinkSuspect,
)
from quoit.fabric.detection import Cause
from quoit.fabric.guard import REACH, HoldEnded, KeyInQuarantine, LinkHeld, OrderWaits
from quoit.fabric.kma import DiscardFrom, Readmit
from quoit.fabric.module import Distrust, Trust
from quoit.fabric.reserve import ALARM_BLOCKS
from quoit.model.bans import Bans
from quoit.planes.management import AlarmBook, Alarms, GetAlarms, Severity
from quoit.planes.telemetry import TELEMETRY_NEWS, ThresholdCrossed, note_crossing
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

AUTH_CAUSE = "authentication key runs out"
STRAYED = "key went another way"
FORGED_ORDER = "order of a stranger"
TOLD_ABOUT = (Cause.SILENCE, Cause.DISAGREEMENT)
"""No light explains what is told, or is not."""
TOGETHER_NS = 2 * 10**9
"""So long after a receiver has held its link telemetry should have found something, too."""


@message("fabric.LookAtHold")
class LookAtHold(Message):
    """Upkeep to itself: does telemetry bear out that the link is held since this instant?"""

    link: str
    since_ns: int


@dataclass(frozen=True)
class UpkeepPlan:
    """A link's ends, for orders."""

    link: str
    sender: str
    receiver: str


class FabricUpkeep(Element):
    """Quarantines and releases links."""

    stratum, plane = Stratum.FABRIC, Plane.MANAGEMENT
    realises = ("A2", "C6", "G2", "I2")
    subscribes = (
        f"{PATH_NEWS}.*",
        f"{api.LINK_NEWS}.*.suspect",
        f"{api.LINK_NEWS}.*.calm",
        f"{api.LINK_NEWS}.*.auth",
        f"{api.LINK_NEWS}.*.finding",
        f"{api.STRAY_NEWS}.*",
        f"{TELEMETRY_NEWS}.fabric.threshold",
    )

    def __init__(self, place: str, plans: tuple[UpkeepPlan, ...]) -> None:
        super().__init__(api.UPKEEP, place)
        self._plans = {plan.link: plan for plan in plans}
        self._first: dict[str, int] = {}
        self._causes: dict[str, str] = {}
        self._held: dict[str, LinkHeld] = {}
        self._by_hold: set[str] = set()
        self._bans = Bans()
        self._alarms = AlarmBook(self.stratum)

    @handles(LinkSuspect)
    async def on_suspect(self, ctx: Context, msg: LinkSuspect) -> None:
        if msg.link in self._first:
            return
        self._first[msg.link] = msg.first_block
        last = msg.first_block + REACH
        self._bans.ban(msg.link, msg.first_block, last)
        self._stop(ctx, msg.link, msg.why)
        text = f"keys from block {msg.first_block} on are void"
        if msg.expected:
            text = f"QBER {msg.qber:.4f}, {msg.expected:.4f} expected; {text}"
        if msg.cause != Cause.EAVESDROPPING:
            text += f"; {msg.why}"
        self._causes[msg.link] = msg.cause
        self._alarms.raise_(ctx, msg.link, msg.cause, Severity.CRITICAL, text)
        ctx.emit("link.quarantined", link=msg.link, first_block=msg.first_block, why=msg.why)
        news = LinkQuarantined(msg.link, msg.first_block, last, ctx.now, msg.why)
        ctx.publish(f"{api.LINK_NEWS}.{msg.link}.quarantined", news)

    @handles(LinkCalm)
    async def on_calm(self, ctx: Context, msg: LinkCalm) -> None:
        self._release(ctx, msg.link, msg.block + 1)

    def _release(self, ctx: Context, link: str, fresh: int) -> None:
        if self._first.pop(link, None) is None:
            return
        self._by_hold.discard(link)
        plan = self._plans[link]
        self._bans.readmit(link, fresh)
        for node in (plan.sender, plan.receiver):
            ctx.tell(api.kma(node), Readmit(link, fresh))
        ctx.tell(api.module(link, plan.receiver), Trust(link))
        self._alarms.clear(ctx, link, self._causes.pop(link))
        self._alarms.clear(ctx, link, FORGED_ORDER)
        ctx.emit("link.released", link=link, from_block=fresh)
        ctx.publish(f"{api.LINK_NEWS}.{link}.released", LinkReleased(link, fresh, ctx.now))

    # -- what receivers do of their own --------------------------------------------------------------

    @handles(LinkHeld)
    async def on_held(self, ctx: Context, msg: LinkHeld) -> None:
        self._held[msg.link] = msg
        ctx.tell(self.name, LookAtHold(msg.link, msg.at_ns), after=TOGETHER_NS)

    @handles(LookAtHold)
    async def on_look_at_hold(self, ctx: Context, msg: LookAtHold) -> None:
        """A receiver that holds its link has seen what telemetry should have shown. The devices are believed."""
        held = self._held.get(msg.link)
        if held is None or held.at_ns != msg.since_ns or msg.link in self._first:
            return
        self._by_hold.add(msg.link)
        why = f"the receiver holds its link ({held.why}), and telemetry tells nothing of it"
        await self.on_suspect(ctx, LinkSuspect(msg.link, held.first_block, 0.0, 0.0, ctx.now, why, Cause.DISAGREEMENT))

    @handles(HoldEnded)
    async def on_hold_ended(self, ctx: Context, msg: HoldEnded) -> None:
        self._held.pop(msg.link, None)
        if msg.link in self._by_hold:
            self._release(ctx, msg.link, msg.from_block)

    @handles(OrderWaits)
    async def on_order_waits(self, ctx: Context, msg: OrderWaits) -> None:
        """The receiver was told to trust a link. Only this element gives that order, and only after its release."""
        if msg.link in self._first:
            text = "the receiver was told to trust this link while it is in quarantine; it did not"
            self._alarms.raise_(ctx, msg.link, FORGED_ORDER, Severity.CRITICAL, text)

    @handles(KeyInQuarantine)
    async def on_key_in_quarantine(self, ctx: Context, msg: KeyInQuarantine) -> None:
        """A receiver that sees nothing amiss has obeyed a stranger: what was ordered is ordered again."""
        if msg.link not in self._first:
            return
        text = f"block {msg.block} was made while this link is in quarantine; it is void"
        self._alarms.raise_(ctx, msg.link, FORGED_ORDER, Severity.CRITICAL, text)
        self._stop(ctx, msg.link, "made in quarantine")

    @handles(KeyStrayed)
    async def on_strayed(self, ctx: Context, msg: KeyStrayed) -> None:
        about = f"{msg.src}>{msg.dst}"
        if msg.over:
            self._alarms.clear(ctx, about, STRAYED)
            return
        text = f"it came over {', '.join(msg.nodes)}, which control has not granted, and is not used"
        self._alarms.raise_(ctx, about, STRAYED, Severity.CRITICAL, text)

    def _stop(self, ctx: Context, link: str, why: str) -> None:
        """No key of this link, and what may have been touched is dropped at both ends."""
        plan, first = self._plans[link], self._first[link]
        ctx.tell(api.module(link, plan.receiver), Distrust(link))
        for node in (plan.sender, plan.receiver):
            ctx.tell(api.kma(node), DiscardFrom(link, first, first + REACH, why))

    @handles(LinkFinding)
    async def on_finding(self, ctx: Context, msg: LinkFinding) -> None:
        """A change that leaves blocks as they are: an alarm, unless another stratum's alarm explains it."""
        if msg.void:
            return
        if msg.over:
            self._alarms.clear(ctx, msg.link, msg.cause)
        elif not msg.explained or msg.cause in TOLD_ABOUT:
            self._alarms.raise_(ctx, msg.link, msg.cause, Severity.WARNING, msg.text)

    @handles(PathDown)
    async def on_down(self, ctx: Context, msg: PathDown) -> None:
        plan = self._plans.get(msg.link)
        if plan is not None:
            if not msg.planned:
                self._alarms.raise_(ctx, msg.link, "dark", Severity.MAJOR, f"no light on span {msg.span}")
            ctx.emit("link.dark", link=msg.link, span=msg.span)
            ctx.tell(api.module(msg.link, plan.receiver), Distrust(msg.link))

    @handles(PathUp)
    async def on_up(self, ctx: Context, msg: PathUp) -> None:
        plan = self._plans.get(msg.link)
        if plan is not None:
            self._alarms.clear(ctx, msg.link, "dark")
            ctx.emit("link.lit", link=msg.link)
            if msg.link not in self._first:
                ctx.tell(api.module(msg.link, plan.receiver), Trust(msg.link))

    @handles(LinkAuth)
    async def on_auth(self, ctx: Context, msg: LinkAuth) -> None:
        """Blocks fail and use up the key that their messages are authenticated with."""
        if msg.blocks_left > ALARM_BLOCKS:
            self._alarms.clear(ctx, msg.link, AUTH_CAUSE)
            return
        severity = Severity.CRITICAL if msg.parked else Severity.MAJOR
        text = f"{msg.blocks_left} more failing blocks until it ends"
        if msg.parked:
            text += "; the link is parked until it is commissioned anew (quoit strike commission)"
        self._alarms.raise_(ctx, msg.link, AUTH_CAUSE, severity, text)

    @handles(CommissionLink)
    async def on_commission(self, ctx: Context, msg: CommissionLink) -> None:
        ctx.tell(api.module(msg.link, self._plans[msg.link].receiver), msg)

    @handles(GetIncidents)
    async def on_incidents(self, ctx: Context, msg: GetIncidents) -> Incidents:
        return Incidents(tuple(Incident(*stretch) for stretch in self._bans))

    @handles(ThresholdCrossed)
    async def on_crossed(self, ctx: Context, msg: ThresholdCrossed) -> None:
        note_crossing(self._alarms, ctx, msg)

    @handles(GetAlarms)
    async def on_get(self, ctx: Context, msg: GetAlarms) -> Alarms:
        return self._alarms.standing
