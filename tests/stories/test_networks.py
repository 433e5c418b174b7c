"""Stories on real networks, in virtual time: Madrid attacked and cut, SECOQC running dry."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.engine.physics.attacks import intercept_resend_qber
from quoit.model.problem import Problem
from quoit.runtime.trace import Digest, Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import Keys, OpenKeys, TakeKeys
from quoit.testing.checkers import verify

EXAMPLES = Path(__file__).parents[2] / "examples"
S = 1_000_000_000


class Story:
    """A network in virtual time with its event log."""

    def __init__(self, text: str, seed: int | None = None) -> None:
        self.twin = assemble(loads(text), Parts(lambda kme: MemoryStore(), seed))
        self.events: list[Event] = []
        self.digest = Digest()
        self.twin.kernel.sinks += [self.events.append, self.digest]
        self.world = VirtualWorld(self.twin.kernel)
        self.world.begin()
        self._keys = 0

    def run(self, seconds: float) -> None:
        self.world.run_until(round(seconds * S))

    def of(self, name: str) -> list[Event]:
        return [e for e in self.events if e.event == name]

    def key(self, master: str, slave: str) -> bool:
        """Take one key at both ends; whether they are the same. Raises the Problem of the refusal."""
        self._keys += 1
        key_id = str(uuid.UUID(int=self._keys, version=4))
        where = self.twin.attachments
        one: Keys = self.world.ask(where[master].kme, OpenKeys(master, slave, 1, (key_id,)))
        other: Keys = self.world.ask(where[slave].kme, TakeKeys(slave, master, (key_id,)))
        return one.keys[0].value == other.keys[0].value

    def drain(self, master: str, slave: str) -> Problem:
        """Take what is in store until a request is refused; the refusal."""
        for _ in range(2000):
            try:
                assert self.key(master, slave)
            except Problem as refusal:
                return refusal
        raise AssertionError("keys never ended")

    def check(self) -> None:
        """The checkers find nothing."""
        entries: list[dict[str, Any]] = [
            {"t": e.t, "by": e.by, "n": e.n, "event": e.event, **e.fields} for e in self.events
        ]
        assert verify(entries).violations == []


def madrid(events: str = "") -> Story:
    return Story((EXAMPLES / "madrid.yaml").read_text() + events)


@pytest.mark.realises("B4", "C1", "C2", "C8", "F8")
def test_the_same_key_at_both_far_ends_of_madrid() -> None:
    story = madrid()
    story.run(8)
    assert story.key("quiron-app", "concepcion-app")
    assert story.key("concepcion-app", "quiron-app")
    story.check()


@pytest.mark.realises("C6", "G1", "G2", "I2")
def test_an_eavesdropper_is_seen_and_no_suspect_bit_is_delivered() -> None:
    story = madrid(
        "events:\n  - {at: 10s, until: 20s, attack: {kind: intercept-resend, link: quevedo--norte, fraction: 0.3}}\n"
    )
    story.run(15)
    (quarantined,) = story.of("link.quarantined")
    assert 10 * S < quarantined.t < 13 * S
    (suspect,) = story.of("link.suspect")
    clean = suspect.fields["expected"]
    # The first reading of the attack is whole: five standard deviations of 1e5 test bits are 0.005.
    assert suspect.fields["qber"] == pytest.approx(intercept_resend_qber(0.3, clean), abs=0.005)
    first = quarantined.fields["first_block"]
    late = [e for e in story.of("pool.spent") if e.t >= quarantined.t + 10_000_000 and e.fields["use"] != "discarded"]
    assert not [e for e in late if e.fields["link"] == "quevedo--norte" and e.fields["block"] >= first]
    refusal = story.drain("quiron-app", "concepcion-app")
    assert refusal.code == "link-quarantined"
    assert refusal.row.status == 503
    story.run(40)
    assert story.of("link.released")
    assert story.key("quiron-app", "concepcion-app")
    story.check()


@pytest.mark.realises("E1", "I2", "C5")
def test_a_cut_fibre_is_a_fault_and_not_an_attack() -> None:
    story = madrid("events:\n  - {at: 10s, until: 20s, cut: norte--concepcion}\n")
    story.run(25)
    (dark,) = story.of("link.dark")
    assert dark.t < 10 * S + 10_000_000  # the loss of light is seen at once
    assert not story.of("link.quarantined")
    assert [e for e in story.of("link.lit") if e.t >= 20 * S]
    assert story.key("quiron-app", "concepcion-app")
    story.check()


@pytest.mark.realises("C5", "C6", "F8")
def test_secoqc_runs_dry_route_after_route() -> None:
    """Peev et al. 2009: about 60 min, then 144, then 175, then none."""
    story = Story((EXAMPLES / "secoqc.yaml").read_text())
    story.run(190 * 60)
    moves = [e for e in story.of("flow.changed") if (e.fields["src"], e.fields["dst"]) == ("for", "brt")]
    routes = ["-".join(e.fields["nodes"]) for e in moves]
    assert routes == ["for-erd-brt", "for-erd-sie-brt", "for-erd-gud-brt", ""]
    minutes = [e.t / 60 / S for e in moves[1:]]
    assert minutes == pytest.approx([60, 144, 175], rel=0.05)
    served = [e.t / 60 / S for e in story.of("load.served")]
    assert len(served) / (max(served) * 60 * 8192 / 4096) > 0.98  # the demand was met until the end
    assert not story.of("load.differs")


@pytest.mark.realises("F8")
def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    text = (EXAMPLES / "madrid.yaml").read_text()
    digests = []
    for seed in (7, 7, 8):
        story = Story(text, seed)
        story.run(10)
        digests.append(story.digest.hexdigest())
    assert digests[0] == digests[1] != digests[2]
