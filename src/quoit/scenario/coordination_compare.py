"""One scenario under both choices of who coordinates with Connectivity, and what each of them cost (D4).

The same file with the same seed is played twice in virtual time, coordinated by the Fabric and by Service. Nothing is
asked of the elements: figures come of the event log, of news, and of the messages that cross from stratum to stratum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity.api import PathDown, PathUp
from quoit.fabric.api import COORDINATOR as FABRICS
from quoit.fabric.api import LinkQuarantined, LinkReleased
from quoit.runtime.agenda import Entry
from quoit.runtime.element import Element, Plane, Stratum
from quoit.runtime.kernel import Kernel, Put
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.schema import NetworkFile
from quoit.service.api import COORDINATOR as SERVICES

CHOICES = ("fabric", "service")
PAIRS = ("fabric-connectivity", "service-fabric", "service-connectivity")
"""Strata that speak to each other."""
AFTER_NS = 15_000_000_000
"""A scenario without a given end goes on for so long after its last event."""
ABOVE = ("loops.", "loop.", "orchestration.")
"""Names of what stands beside or above the strata, and is a part of none: locks, closed loops, assurance."""
COORDINATORS = (FABRICS, SERVICES)
_ORDER = (Stratum.SERVICE, Stratum.FABRIC, Stratum.CONNECTIVITY)


@dataclass
class Outage:
    """A time in which a link made no key that counts: dark by no order, or in quarantine. None: not within the run.
    `moved_ns`: when it had other light. `why`: dark or noise, whichever came first."""

    link: str
    why: str
    began_ns: int
    moved_ns: int | None = None
    ended_ns: int | None = None

    @property
    def lasted_s(self) -> float | None:
        """Until the link was well again."""
        return None if self.ended_ns is None else (self.ended_ns - self.began_ns) / 1e9


@dataclass
class Account:
    """What one choice came to. `messages`: between two strata, a control plane's element at one end at least, answers
    included; what stands beside or above the strata is no end. `coordinating`: those of them that the coordinator sends
    or gets. Bits of key: `made` by links, `lost` from pools and streams. `moves`: of quantum light; `switched`:
    cross-connects that were set for anybody; `moving_ns`: darkness by these moves alone. `refused`, `left`: what the
    coordinator found no light for, and what it left alone since nobody needed it."""

    by: str
    outages: list[Outage] = field(default_factory=list)
    served: int = 0
    requests_refused: int = 0
    made_bits: int = 0
    lost_bits: int = 0
    messages: Counter[str] = field(default_factory=Counter)
    coordinating: int = 0
    moves: int = 0
    links_moved: set[str] = field(default_factory=set)
    switched: int = 0
    moving_ns: int = 0
    refused: int = 0
    left: int = 0

    def figures(self) -> dict[str, float | int | None]:
        """All of it as plain values, for a table: seconds, bits, counts; None where there was nothing."""
        ended = [one.lasted_s for one in self.outages if one.lasted_s is not None]
        reacted = [(one.moved_ns - one.began_ns) / 1e9 for one in self.outages if one.moved_ns is not None]
        return {
            "outages": len(self.outages),
            "to_other_light_mean_s": sum(reacted) / len(reacted) if reacted else None,
            "to_restore_mean_s": sum(ended) / len(ended) if ended else None,
            "to_restore_longest_s": max(ended, default=None),
            "out_at_end": len(self.outages) - len(ended),
            "key_made_bits": self.made_bits,
            "key_lost_bits": self.lost_bits,
            "requests_served": self.served,
            "requests_failed": self.requests_refused,
            "messages": sum(self.messages.values()),
            "messages_of_coordinator": self.coordinating,
            **{f"messages_{pair.replace('-', '_')}": self.messages[pair] for pair in PAIRS},
            "reconfigurations": self.moves,
            "cross_connects_set": self.switched,
            "links_moved": len(self.links_moved),
            "dark_by_moves_s": self.moving_ns / 1e9,
            "no_other_light": self.refused,
            "left_alone": self.left,
        }


class Auditor:
    """Sees a kernel's events, news and messages, and changes none of them."""

    def __init__(self, by: str, kernel: Kernel) -> None:
        self.account = Account(by)
        self._kernel = kernel
        self._elements: dict[str, Element] = {element.name: element for element in kernel.elements}
        self._open: dict[str, Outage] = {}
        self._down: dict[str, int] = {}
        self._quarantined: set[str] = set()
        kernel.sinks.append(self.on_event)
        kernel.watchers.append(self.on_news)
        kernel.carrier = self.carry

    # -- messages ------------------------------------------------------------------------------------

    def carry(self, sender: str, target: str, put: Put) -> Put:
        """The way from one element to another, counted if it leads from stratum to stratum."""
        pair = self._pair(self._elements[sender], self._elements[target])
        if pair is None:
            return put
        account, coordinating = self.account, int(sender in COORDINATORS or target in COORDINATORS)

        def counted(due: int, entry: Entry) -> None:
            account.messages[pair] += 1
            account.coordinating += coordinating
            put(due, entry)

        return counted

    @staticmethod
    def _pair(one: Element, other: Element) -> str | None:
        strata = {one.stratum, other.stratum}
        if len(strata) == 1 or Stratum.ENGINE in strata or any(e.name.startswith(ABOVE) for e in (one, other)):
            return None
        if Plane.CONTROL not in (one.plane, other.plane):
            return None
        return "-".join(stratum for stratum in _ORDER if stratum in strata)

    # -- events --------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Sums up what the event log says."""
        account, f = self.account, event.fields
        if event.event == "load.served":
            account.served += 1
        elif event.event in ("load.refused", "load.differs"):
            account.requests_refused += 1
        elif event.event == "block.made":
            account.made_bits += f["bits"]
        elif event.event == "pool.spent" and f["use"] == "discarded":
            account.lost_bits += f["bits"]
        elif event.event == "keys.voided":
            account.lost_bits += f["stream_bits"]
        elif event.event == "light.switched":
            account.switched += 1
        elif event.event == "light.moved":
            self._moved(f["link"], event.t)
        elif event.event == "coordination.refused":
            account.refused += 1
        elif event.event == "coordination.left":
            account.left += 1

    def _moved(self, link: str, at_ns: int) -> None:
        self.account.moves += 1
        self.account.links_moved.add(link)
        own = [outage for outage in self.account.outages if outage.link == link]
        # Light may be told to be there an instant before the move is.
        if own and own[-1].moved_ns is None and own[-1].ended_ns in (None, at_ns):
            own[-1].moved_ns = at_ns

    # -- news ----------------------------------------------------------------------------------------

    def on_news(self, subject: str, news: Message) -> None:
        """Follows links as they go out and come back."""
        now = self._kernel.now
        if isinstance(news, PathDown):
            self._down[news.link] = now
            if not news.planned:
                self._out(news.link, "dark", now)
        elif isinstance(news, PathUp):
            since = self._down.pop(news.link, now)
            if news.link not in self._open or self._open[news.link].why != "dark":
                self.account.moving_ns += now - since
            self._well(news.link, now)
        elif isinstance(news, LinkQuarantined):
            self._quarantined.add(news.link)
            self._out(news.link, "noise", now)
        elif isinstance(news, LinkReleased):
            self._quarantined.discard(news.link)
            self._well(news.link, now)

    def _out(self, link: str, why: str, now: int) -> None:
        if link not in self._open:
            self._open[link] = Outage(link, why, now)
            self.account.outages.append(self._open[link])

    def _well(self, link: str, now: int) -> None:
        if link in self._open and link not in self._down and link not in self._quarantined:
            self._open.pop(link).ended_ns = now


def end_of(network: NetworkFile) -> int:
    """When nothing more is to come of a scenario's own events and works."""
    ends = [event.until_ns or event.at_ns for event in network.events]
    ends += [works.until_ns for works in network.plant.works]
    return max(ends, default=0) + AFTER_NS


def compare(network: NetworkFile, until_ns: int | None = None, seed: int | None = None) -> Iterator[Account]:
    """What each choice came to, in the order of `CHOICES`. ValueError for a network without a section coordination."""
    if network.coordination is None:
        raise ValueError("expected a section coordination in the network file, found none")
    for by in CHOICES:
        yield _play(network, by, until_ns if until_ns is not None else end_of(network), seed)


def _play(network: NetworkFile, by: str, until_ns: int, seed: int | None) -> Account:
    assert network.coordination is not None
    chosen = network.coordination.model_copy(update={"by": by})
    twin = assemble(network.model_copy(update={"coordination": chosen}), Parts(lambda kme: MemoryStore(), seed))
    auditor = Auditor(by, twin.kernel)
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(until_ns)
    return auditor.account
