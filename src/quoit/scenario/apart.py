"""A part's life among the others: it joins, waits for all, starts with them, hears who goes and who comes back."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from quoit.runtime.kernel import Kernel
from quoit.runtime.live import LiveWorld
from quoit.scenario.muster import Go, Hello, Muster, PartRefused, Seen, State
from quoit.scenario.part_news import PartNews
from quoit.scenario.parts import (
    SHORT_NS,
    Cut,
    Holdings,
    Part,
    PartFault,
    demand_latency,
    shortest_ns,
)
from quoit.scenario.schema import NetworkFile

if TYPE_CHECKING:
    from quoit.adapters.buses.apart import PartBus  # the `nats` extra: imported where a bus is made

_log = structlog.get_logger("quoit", element="part")
TELL_S = 0.5
"""How often a part speaks of itself."""
LISTEN_S = 1.5
"""How long one that joins listens before it speaks: whoever is there has spoken by then."""
LEAD_NS = 500_000_000
"""How far ahead of the twin's present one that comes back begins."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class PartGone(RuntimeError):
    """A part has gone that the others cannot do without."""


@dataclass(frozen=True)
class ApartOptions:
    """What this process is to hold, its place on the bus, and how long it waits for the others. `root`: see `Parts`;
    None for parts without resources. `started` is called once when the twin has begun."""

    part: Part
    bus: PartBus
    root: bytes | None = None
    wait_s: float = 60.0
    tell: Callable[[str], None] = lambda text: None
    started: Callable[[], None] = lambda: None


@dataclass
class Company:
    """One part among all. `join`, then `begin` once its world lives, then `leave`."""

    options: ApartOptions
    network: NetworkFile
    kernel: Kernel
    facts: dict[str, str]
    go: Go | None = None
    life: int = 0
    _from_ns: int = 0
    _world: LiveWorld | None = None
    _state: State = State.WAITING
    _refused: PartRefused | None = None
    _fault: Exception | None = None
    _telling: asyncio.Task[None] | None = None
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """PartFault if this network cannot be cut so."""
        demand_latency(self.network, [self.options.part], self.kernel.elements)
        self._holdings = Holdings(self.kernel.elements)
        if not self._holdings.of(self.options.part.name):
            raise PartFault(f"part {self.options.part} would hold no element of this network")
        instance = secrets.token_hex(8)
        own = Hello(self.options.part.name, instance, time.monotonic_ns(), self.facts)
        self.muster = Muster(own, self._holdings)
        bus, speed = self.options.bus, float(self.facts["speed"])
        self.news = PartNews(self.kernel, own.part, bus, self._now_ns, speed, self._say_if_known)
        bus.listen(self.news.arrived, self.news.missed)

    # -- the start -----------------------------------------------------------------------------------

    async def join(self, ahead: Callable[[], bool]) -> int:
        """Take a place in the twin: with all others at the common start, after `ahead` (which makes the fast-forward of
        the whole twin, if there is one), or alone in a twin that runs. Returns what the clock shows at the kernel's
        present, in ns.

        Raises PartRefused if there is no place, or if others have not come in time.
        """
        bus, part = self.options.bus, self.options.part
        try:
            await bus.connect(self._heard, self._bus_gone)
        except RuntimeError as fault:
            raise PartRefused(str(fault)) from fault
        shortest = shortest_ns(self.network)
        if shortest < SHORT_NS:
            _log.warning("parts.short_latency", shortest_ms=shortest / 1e6, advised_ms=SHORT_NS / 1e6)
        await asyncio.sleep(LISTEN_S)
        self._check()
        begun = not self._others_run() and ahead()
        self._telling = asyncio.get_running_loop().create_task(self._tell_often())
        go = self.go = await self._agreed()
        self.life = self.muster.admit(go)
        lives = [self.life if name == part.name else self.muster.life_of(name) for name in go.parts]
        cut = Cut(self.network, [Part.named(name) for name in go.parts], self.kernel.elements)
        self.kernel.split(cut, go.parts.index(part.name), bus)
        wall_ns = go.wall_ns
        if self.life:
            wall_ns = time.monotonic_ns() + LEAD_NS
            speed = float(self.facts["speed"])
            self.kernel.now = go.sim_ns + int((wall_ns - go.wall_ns) * speed)
            self.kernel.begin_life(self.life)
            self._from_ns = self.kernel.now
        bus.meet(go.parts, lives, self._receive, self._missed)
        if not begun:
            self.kernel.start()
        return wall_ns

    def _others_run(self) -> bool:
        return any(seen.hello.go is not None for seen in self.muster.seen.values())

    async def _agreed(self) -> Go:
        end = time.monotonic() + self.options.wait_s
        while True:
            self._check()
            go = self.muster.decide(time.monotonic_ns(), self.kernel.now)
            if go is not None:
                return go
            missing = self.muster.missing()
            self._tell_once(f"waiting for {_short(missing)}" if missing else "all are there; waiting for the start")
            if time.monotonic() > end:
                raise PartRefused(self._who_is_missing(missing))
            await asyncio.sleep(LISTEN_S / 10)

    def _who_is_missing(self, missing: list[str]) -> str:
        wait_s = self.options.wait_s
        if not missing:
            return f"all parts were there, but the start was not named within {wait_s:g} s; start all anew"
        strange = "".join(f"; {why}" for why in self.muster.quarrels.values())
        first, plane, *element = missing[0].split("-", 2)
        if element:
            own = f" --element {element[0]}"
        else:
            own = "".join(f" --without {piece}" for piece in self._pieces_of(missing[0]))
        return (
            f"within {wait_s:g} s nobody came who holds {_short(missing)}{strange}; start one, such as: "
            f"quoit up FILE --bus URL --stratum {first} --plane {plane}{own}"
        )

    def _pieces_of(self, cell: str) -> list[str]:
        """What parts that are there hold of a cell which is missing otherwise."""
        parts = [self.options.part.name, *self.muster.seen]
        return sorted(str(p) for part in parts for p in Part.named(part).pieces if str(p.cell) == cell)

    def begin(self, world: LiveWorld) -> None:
        """The world lives: say so, and from now on look after the others."""
        self._world = world
        self._state = State.RUNNING
        if self.life:
            world.doubt(f"part {self.options.part.name} was away, and came back")
        self._say()
        self.options.started()

    # -- while it runs -------------------------------------------------------------------------------

    def _heard(self, name: str, data: bytes) -> None:
        try:
            hello = msgspec.json.decode(data, type=Hello)
            back = self.muster.hear(name, hello, time.monotonic_ns())
        except PartRefused as refused:
            self._refused = refused
            return
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as fault:
            _log.warning("part.not_understood", part=name, error=type(fault).__name__)
            return
        for why in self.muster.quarrels.values():
            if why not in self._told:
                self._told.add(why)
                _log.warning("part.refused", why=why)
        if back is not None and self.go is not None:
            self._welcome(back)
        if self.go is not None and self._is_current(hello):
            self._hear_of_news(hello)

    def _is_current(self, hello: Hello) -> bool:
        """Whether this is a word of who has the part's place now, and neither of an earlier one nor of a rival."""
        seen = self.muster.seen.get(hello.part)
        return seen is not None and seen.hello is hello and self.go is not None and hello.part in self.go.parts

    def _hear_of_news(self, hello: Hello) -> None:
        is_leaving = hello.state in (State.LEAVING, State.FINISHED)
        self.news.wanted(hello.part, () if is_leaving else hello.wants)
        own = self.options.part.name
        if hello.lives.get(own) == self.life:  # else it counts for an earlier life of this part
            self.options.bus.promised(hello.part, hello.told.get(own, 0))

    def _welcome(self, back: Seen) -> None:
        assert self.go is not None
        self.options.bus.renew(self.go.parts.index(back.hello.part), back.hello.life)
        _log.warning("part.back", part=back.hello.part, life=back.hello.life)

    async def _tell_often(self) -> None:
        while True:
            self._say()
            if self._world is not None:
                for seen in self.muster.silent(time.monotonic_ns()):
                    self._mourn(seen.hello)
            await asyncio.sleep(TELL_S)

    def _mourn(self, gone: Hello) -> None:
        """Control, upkeep and telemetry may be away: resources go on as they were told to. Without these all ends."""
        world = self._world
        assert world is not None
        why = f"part {gone.part} has gone"
        _log.error("part.gone", part=gone.part, holds=self._held_by(Part.named(gone.part)))
        if Part.named(gone.part).has_resources:
            world.fail(PartGone(f"{why}, and with it what it held; the others end, too"))
        else:
            world.doubt(why)
            self.news.gone(gone.part)

    def _now_ns(self) -> int:
        return self.kernel.now if self._world is None else self._world.now_ns()

    def _say_if_known(self) -> None:
        """What is wanted has changed; before this part has spoken for the first time, nobody asks."""
        if self._telling is not None and not self._telling.done():
            self._say()

    def _say(self) -> None:
        world = self._world
        own = self.muster.own
        lives = {name: seen.hello.life for name, seen in self.muster.seen.items()} | {own.part: self.life}
        self.muster.own = msgspec.structs.replace(
            own,
            lives=lives,
            state=self._state,
            go=self.go,
            late_s=0.0 if world is None else world.worst_lateness_s,
            faithful=world is None or world.faithful,
            wants=self.news.wants,
            told=self.options.bus.told,
        )
        self.options.bus.say(msgspec.json.encode(self.muster.own))

    def _receive(self, frame: tuple[Any, ...]) -> None:
        if frame[0] < self._from_ns:
            return  # it was due before this part came back: said to nobody
        if self._world is None:
            self.kernel.receive(frame)
        else:
            self._world.receive(frame)

    def _missed(self, source: int, number: int) -> None:
        assert self._world is not None
        self._world.missed(source, number)

    def _bus_gone(self, fault: Exception) -> None:
        self._fault = fault
        if self._world is not None:
            self._world.fail(fault)

    def _check(self) -> None:
        for fault in (self._refused, self._fault):
            if fault is not None:
                raise fault

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.options.tell(text)

    # -- for observers -------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """Every part: what it holds, whether it is there, and how it keeps time."""
        names = self.go.parts if self.go is not None else (self.options.part.name,)
        return [self._row(name) for name in names]

    def _row(self, name: str) -> dict[str, Any]:
        seen = self.muster.seen.get(name)
        own = name == self.options.part.name
        hello = self.muster.own if own else None if seen is None else seen.hello
        gone = not own and (seen is None or seen.gone)
        part = Part.named(name)
        return {
            "part": name,
            "here": own,
            "state": "gone" if gone or hello is None else str(hello.state),
            "life": 0 if hello is None else hello.life,
            "cells": self._held_by(part),
            "elements": len(self._holdings.of(name)),
            "late_s": 0.0 if hello is None else hello.late_s,
            "faithful": hello is not None and hello.faithful,
        }

    @staticmethod
    def _held_by(part: Part) -> list[str]:
        lacks = {cell: [str(p) for p in sorted(part.lacks, key=str) if p.cell == cell] for cell in part.cells}
        cells = [f"{cell} without {', '.join(own)}" if own else str(cell) for cell, own in lacks.items()]
        return sorted([*cells, *map(str, part.pieces)])

    @property
    def gone(self) -> list[str]:
        """Names of parts that are not there."""
        return [row["part"] for row in self.rows() if row["state"] == "gone"]

    async def leave(self, finished: bool) -> None:
        """Say good-bye, and close the line to the bus."""
        self.news.close()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
            self._state = State.FINISHED if finished else State.LEAVING
            self._say()
        await self.options.bus.close()


def _short(cells: list[str]) -> str:
    return ", ".join(Part.named("_".join(cells)).terms)


def facts_of(text: str, network: NetworkFile, options: Any) -> dict[str, str]:
    """What all parts must have alike: see `muster.WORDS`. `options`: the host's."""
    root = options.apart.root
    return {
        "version": version("quoit"),
        "file": hashlib.sha256(text.encode()).hexdigest()[:16],
        "seed": str(network.seed if options.seed is None else options.seed),
        "from": f"{options.from_ns} ns",
        "until": f"{options.until_ns} ns" if options.until_ns is not None else "none",
        "speed": repr(options.speed),
        "clock": BOOT_ID.read_text().strip() if BOOT_ID.exists() else "",
        "keys": "" if root is None else hashlib.blake2b(root, digest_size=8, person=b"quoit root").hexdigest(),
    }
