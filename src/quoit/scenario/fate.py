"""Fate: plays the timed events of a scenario into the world, and the load that the file describes.

Fate belongs to the synthetic environment: it edits the world and tells nobody of the network.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from quoit.engine.api import ENGINE
from quoit.engine.world import BendSpan, Blind, CutSpan, Depolarise, Intercept, Mistune, Shine, Split, Tamper, Tap
from quoit.fabric.api import UPKEEP, CommissionLink, Falsify, module
from quoit.fabric.reporting import WITHHOLD
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message
from quoit.scenario.schema import SHONE_MHZ, SHONE_WIDTH_MHZ
from quoit.service.api import Keys, OpenKeys, TakeKeys

FATE = "engine.fate"
STRIKES = {
    "cut": "span",
    "splice": "span",
    "bend": "fibre",
    "weather": "path through air",
    "light": "fibre",
    "extinguish": "fibre",
    "power": "channel",
    "tap": "fibre",
    "intercept": "lit link",
    "depolarise": "pair link",
    "split": "lit QKD link",
    "blind": "lit QKD link",
    "falsify-sender": "link",
    "falsify-receiver": "link",
    "withhold-sender": "link",
    "withhold-receiver": "link",
    "tamper": "link",
    "commission": "link",
}
"""What can be done to a running twin, and to what: a span, which is a fibre or a path through air; a channel; a link
for keys, one that has a light of its own (pair links have), or a pair link. Amount 0 ends it."""


@message("fate.Strike")
class Strike(Message):
    """From outside: do this to the world now. `kind`: one of `STRIKES`; `amount`: dB, dBm or a fraction."""

    kind: str
    target: str
    amount: float = 0.0

    @property
    def label(self) -> str:
        if self.kind in ("light", "power"):  # 0 dBm is an amount like others
            return f"{self.kind} {self.target} {self.amount:g} dBm"
        return f"{self.kind} {self.target} {self.amount:g}".removesuffix(" 0")


Messages = tuple[tuple[str, Message], ...]
"""Each with the element that it goes to."""


@dataclass(frozen=True)
class Stroke:
    """What is done at a time, by messages: edits of the world to the engine, or what somebody says to others who has no
    business to. Without any it is only written down, and others see to it."""

    at_ns: int
    label: str
    messages: Messages = ()


class Fate(Element):
    """Edits the world when its time has come. Outside requests may add edits at once (`Strike`)."""

    stratum, plane = Stratum.ENGINE, Plane.RESOURCE
    realises = ("F8", "I2")

    def __init__(self, strokes: tuple[Stroke, ...], ends: Mapping[str, tuple[str, str]]) -> None:
        """`ends`: sender and receiver of each link."""
        super().__init__(FATE, ENGINE)
        self._ends = dict(ends)
        self._strokes = tuple(sorted(strokes, key=lambda s: s.at_ns))

    async def start(self, ctx: Context) -> None:
        for stroke in self._strokes:
            await ctx.sleep_until(stroke.at_ns)
            ctx.emit("world.edited", what=stroke.label)
            for to, order in stroke.messages:
                ctx.tell(to, order)

    @handles(Strike)
    async def on_strike(self, ctx: Context, msg: Strike) -> None:
        if msg.kind == "commission":
            ctx.tell(UPKEEP, CommissionLink(msg.target))
            return
        to = ENGINE
        _, _, end = msg.kind.partition("-")
        if end:
            to = module(msg.target, self._ends[msg.target][0 if end == "sender" else 1])
        edit = _edit(msg)
        ctx.emit("world.edited", what=msg.label)
        ctx.tell(to, edit)


def _edit(msg: Strike) -> Message:
    edits: dict[str, Message] = {
        "cut": CutSpan(msg.target, True),
        "splice": CutSpan(msg.target, False),
        "bend": BendSpan(msg.target, msg.amount),
        "weather": BendSpan(msg.target, msg.amount),
        "light": Shine(msg.target, msg.amount, SHONE_MHZ, SHONE_WIDTH_MHZ),
        "extinguish": Shine(msg.target, None, SHONE_MHZ, SHONE_WIDTH_MHZ),
        "power": Mistune(msg.target, msg.amount),
        "intercept": Intercept(msg.target, msg.amount),
        "depolarise": Depolarise(msg.target, msg.amount),
        "tamper": Tamper(msg.target, msg.amount),
        "tap": Tap(msg.target, msg.amount),
        "split": Split(msg.target, msg.amount),
        "blind": Blind(msg.target, msg.amount > 0),
        "falsify-sender": Falsify(msg.target, msg.amount > 0),
        "falsify-receiver": Falsify(msg.target, msg.amount > 0),
        "withhold-sender": Falsify(msg.target, msg.amount > 0, WITHHOLD),
        "withhold-receiver": Falsify(msg.target, msg.amount > 0, WITHHOLD),
    }
    if msg.kind not in edits:
        raise Problem("malformed", f"expected one of {', '.join(STRIKES)}, found {msg.kind!r}")
    return edits[msg.kind]


@message("fate.Start")
class StartLoad(Message):
    """A load to itself: the next request."""

    turn: int


@dataclass(frozen=True)
class LoadPlan:
    """An application that takes keys at a rate, and its peer."""

    name: str
    master: str
    slave: str
    master_kme: str
    slave_kme: str
    place: str
    rate_bps: float
    key_size_bits: int
    poisson: bool
    from_ns: int
    until_ns: int | None


class Load(Element):
    """A pair of applications under load: opens keys at one KME, takes them at the other."""

    stratum, plane = Stratum.SERVICE, Plane.RESOURCE
    realises = ("F8",)

    def __init__(self, plan: LoadPlan) -> None:
        super().__init__(plan.name, plan.place)
        self._plan = plan

    async def start(self, ctx: Context) -> None:
        ctx.tell(self.name, StartLoad(0), after=max(0, self._plan.from_ns - ctx.now))

    @handles(StartLoad)
    async def on_turn(self, ctx: Context, msg: StartLoad) -> None:
        plan = self._plan
        if plan.until_ns is not None and ctx.now >= plan.until_ns:
            return
        gap = plan.key_size_bits / plan.rate_bps
        if plan.poisson:
            gap = float(ctx.rng("arrivals").exponential(gap))
        ctx.tell(self.name, StartLoad(msg.turn + 1), after=max(1, round(gap * 1e9)))
        key_id = str(uuid.UUID(bytes=ctx.rng("key ids").bytes(16), version=4))
        request = OpenKeys(plan.master, plan.slave, 1, (key_id,), plan.key_size_bits)
        try:
            opened: Keys = await ctx.ask(plan.master_kme, request, within=20_000_000_000)
            taken: Keys = await ctx.ask(
                plan.slave_kme, TakeKeys(plan.slave, plan.master, (key_id,)), within=20_000_000_000
            )
        except Problem as problem:
            ctx.emit("load.refused", master=plan.master, slave=plan.slave, code=problem.code)
            return
        if opened.keys[0].value != taken.keys[0].value:
            ctx.emit("load.differs", master=plan.master, slave=plan.slave)
        ctx.emit("load.served", master=plan.master, slave=plan.slave, bits=plan.key_size_bits)
