"""Who may touch what: locks that closed loops take on resources before they act (G2).

A lock is for all of an action's resources or for none, so no two loops can wait for each other. It ends when its loop
gives it back, or with its lease; a loop of higher priority takes it away, and the loser is told (`LockTaken`).
"""

from __future__ import annotations

from dataclasses import dataclass

from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

ARBITER = "loops.arbiter"
LOCK_NEWS = "locks.taken"


@message("planes.Lock")
class Lock(Message):
    """`loop` wants these resources for at most `lease_ns`. Answered with `Locked`, or Problem `resource-locked`."""

    loop: str
    resources: tuple[str, ...]
    priority: int
    lease_ns: int


@message("planes.Locked")
class Locked(Message):
    """The resources are the asker's; `taken_from`: loops of lower priority that had some of them."""

    taken_from: tuple[str, ...] = ()


@message("planes.Unlock")
class Unlock(Message):
    """`loop` needs its resources no longer."""

    loop: str


@message("planes.LockTaken")
class LockTaken(Message):
    """News: what `loop` had locked is another loop's now; it has lost all of its lock."""

    loop: str
    by: str


@dataclass(frozen=True)
class _Held:
    resources: frozenset[str]
    priority: int
    until_ns: int


class LoopArbiter(Element):
    """Keeps the locks of all loops."""

    stratum, plane = Stratum.SERVICE, Plane.MANAGEMENT
    realises = ("G2",)

    def __init__(self, place: str) -> None:
        super().__init__(ARBITER, place)
        self._held: dict[str, _Held] = {}

    @handles(Lock)
    async def on_lock(self, ctx: Context, msg: Lock) -> Locked:
        wanted = frozenset(msg.resources)
        rivals = {
            loop: held
            for loop, held in self._held.items()
            if loop != msg.loop and held.until_ns > ctx.now and not held.resources.isdisjoint(wanted)
        }
        stronger = sorted(loop for loop, held in rivals.items() if held.priority >= msg.priority)
        if stronger:
            taken = ", ".join(sorted(wanted & rivals[stronger[0]].resources))
            detail = f"expected {taken} free; found it locked by {stronger[0]}"
            raise Problem("resource-locked", detail, loop=stronger[0])
        for loop in sorted(rivals):
            del self._held[loop]
            ctx.emit("lock.taken", from_loop=loop, by=msg.loop)
            ctx.publish(LOCK_NEWS, LockTaken(loop, msg.loop))
        self._held[msg.loop] = _Held(wanted, msg.priority, ctx.now + msg.lease_ns)
        return Locked(tuple(sorted(rivals)))

    @handles(Unlock)
    async def on_unlock(self, ctx: Context, msg: Unlock) -> None:
        self._held.pop(msg.loop, None)
