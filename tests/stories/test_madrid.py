"""Madrid under strain: what stands on suspect blocks, a pool that runs dry in the dark, the other way round."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.api import METERS, UPKEEP, GetLinks, LinkRow, Links, LinkSuspect
from quoit.model.problem import Problem
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import Keys, OpenKeys, TakeKeys
from quoit.service.keystore import FindOp, Handout
from quoit.testing.checkers import verify

MADRID = (Path(__file__).parents[2] / "examples" / "madrid.yaml").read_text()
S = 1_000_000_000
MASTER, SLAVE = "quiron-app", "concepcion-app"
BATCH, SIZE_BITS = 32, 1024


class Madrid:
    """Madrid in virtual time, and an application pair that takes keys by the batch."""

    def __init__(self, events: str) -> None:
        self.twin = assemble(loads(f"{MADRID}events: {events}"), Parts(lambda kme: MemoryStore()))
        self.events: list[Event] = []
        self.twin.kernel.sinks.append(self.events.append)
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self._drawn = 0

    @property
    def now_s(self) -> float:
        return self.twin.kernel.now / S

    def run(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def open(self) -> tuple[str, ...]:
        """Open a batch; its key_IDs. Raises the Problem of a refusal."""
        ids = tuple(str(uuid.UUID(int=self._drawn + i, version=4)) for i in range(BATCH))
        self._drawn += BATCH
        self.opened: Keys = self.world.ask("kme-quiron", OpenKeys(MASTER, SLAVE, BATCH, ids, SIZE_BITS))
        return ids

    def take(self, ids: tuple[str, ...]) -> Keys:
        taken: Keys = self.world.ask("kme-concepcion", TakeKeys(SLAVE, MASTER, ids))
        return taken

    def batch(self) -> tuple[str, ...]:
        """Open and take a batch, which is the same at both ends."""
        ids = self.open()
        assert [k.value for k in self.take(ids).keys] == [k.value for k in self.opened.keys]
        return ids

    def drain(self) -> Problem:
        """Take batches until one is refused."""
        for _ in range(600):
            try:
                self.batch()
            except Problem as refusal:
                return refusal
        raise AssertionError(f"keys never ended, it is {self.now_s} s")

    def link(self, name: str) -> LinkRow:
        links: Links = self.world.ask(METERS, GetLinks())
        return next(row for row in links.rows if row.link == name)

    def of(self, event: str, **fields: Any) -> list[Event]:
        return [e for e in self.events if e.event == event and all(e.fields[name] == v for name, v in fields.items())]

    def handout(self, kme: str, key_id: str) -> Handout:
        store: Any = self.twin.stores[kme]
        (found,) = store.execute([FindOp(key_id)])
        assert isinstance(found, Handout)
        return found

    def blocks(self, key_id: str, link: str) -> set[int]:
        """The blocks of a link that a key stands on, by what the stores of both ends say of its origin."""
        one, other = (self.handout(kme, key_id).provenance for kme in ("kme-quiron", "kme-concepcion"))
        assert one == other
        return {p.block for p in one if p.link == link}

    def suspect(self, link: str, first_block: int) -> None:
        """Tell the fabric's management that blocks from here on may be compromised."""
        self.world.ask(UPKEEP, LinkSuspect(link, first_block, 0.1, 0.02, self.twin.kernel.now, "told so"))

    def take_what_there_is(self) -> list[str]:
        """Take batches until one is refused; all key_IDs."""
        taken: list[str] = []
        for _ in range(600):
            try:
                taken += self.batch()
            except Problem:
                return taken
        raise AssertionError("keys never ended")

    def check(self) -> None:
        entries = [{"t": e.t, "by": e.by, "n": e.n, "event": e.event, **e.fields} for e in self.events]
        assert verify(entries).violations == []


TAPPED = "quevedo--norte"


@pytest.mark.realises("G2", "I2", "F8")
def test_no_key_on_a_suspect_block_is_delivered_at_either_end() -> None:
    madrid = Madrid("[]")
    madrid.run(7)
    held: list[tuple[str, ...]] = []  # the master has them, the slave has not asked yet
    for _ in range(40):
        held.append(madrid.open())
        madrid.run(madrid.now_s + 0.05)
    last = max(e.fields["block"] for e in madrid.of("pool.filled", link=TAPPED))
    middle = madrid.blocks(held[len(held) // 2][-1], TAPPED)
    first = max(middle)
    madrid.suspect(TAPPED, first)
    madrid.run(madrid.now_s + 0.1)  # the news reaches every KME
    assert len(madrid.of("keys.voided")) >= 2
    suspect = [ids for ids in held if any(b >= first for k in ids for b in madrid.blocks(k, TAPPED))]
    assert 0 < len(suspect) < len(held)
    for ids in held:
        if ids not in suspect:
            assert len(madrid.take(ids).keys) == BATCH
            continue
        with pytest.raises(Problem) as refused:
            madrid.take(ids)
        assert refused.value.code == "key-not-found"
    later = madrid.take_what_there_is()
    assert not [k for k in later if any(first <= b <= last for b in madrid.blocks(k, TAPPED))]
    madrid.check()


@pytest.mark.realises("I2")
def test_a_quarantine_reaches_back_to_the_first_block_under_attack() -> None:
    madrid = Madrid(
        f"\n  - {{at: 8s, until: 14s, attack: {{kind: intercept-resend, link: {TAPPED}, fraction: 0.03}}}}\n"
    )
    madrid.run(12)
    (quarantined,) = madrid.of("link.quarantined")
    # A whole block of this link takes a quarter second and its distillation half a second.
    tapped = [e.fields["block"] for e in madrid.of("block.made", link=TAPPED) if e.t >= 8.75 * S]
    assert tapped
    assert quarantined.fields["first_block"] <= min(tapped)


@pytest.mark.realises("C5", "E1")
def test_in_the_dark_a_pool_drains_and_with_the_light_it_comes_back() -> None:
    madrid = Madrid("\n  - {at: 3s, until: 60s, cut: quevedo--norte}\n")
    madrid.run(5)
    dark = madrid.link("quevedo--norte")
    assert (dark.state, dark.secret_bps) == ("dark", 0.0)
    assert dark.pool_bits > BATCH * SIZE_BITS
    madrid.batch()  # what was made before the cut is good
    madrid.run(25)
    refusal = madrid.drain()
    assert madrid.now_s < 60
    assert (refusal.code, refusal.row.status) == ("no-route", 503)
    # Applications are not told of the network's inside.
    assert not {"dark", "quarantined"} & set(refusal.fields)
    assert madrid.link("quevedo--norte").pool_bits < dark.pool_bits
    madrid.run(70)
    assert madrid.link("quevedo--norte").state == "up"
    assert madrid.link("quevedo--norte").pool_bits > dark.pool_bits
    madrid.batch()
    assert not madrid.of("link.quarantined")
    madrid.check()


@pytest.mark.realises("C5", "C6", "E1")
def test_when_a_cut_link_has_run_dry_keys_go_the_other_way() -> None:
    madrid = Madrid("\n  - {at: 2s, cut: norte--concepcion}\n")
    madrid.run(20)

    def route() -> list[str]:
        moves = madrid.of("flow.changed", src="quiron", dst="concepcion")
        return list(moves[-1].fields["nodes"])

    direct = ["quiron", "quijote", "quevedo", "norte", "concepcion"]
    assert route() == direct
    while route() == direct:
        madrid.batch()
        assert madrid.now_s < 60
    assert route() == [*direct[:-1], "distrito", "concepcion"]
    via = [madrid.batch() for _ in range(8)][-1]
    sources = {p.link for p in madrid.handout("kme-concepcion", via[-1]).provenance}
    assert {"norte--distrito", "concepcion--distrito"} <= sources
    assert "norte--concepcion" not in sources
    madrid.check()
