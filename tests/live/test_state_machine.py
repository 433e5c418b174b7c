"""Two live KMEs over HTTPS against a model of them: a key is whose it is, once, whatever is asked in whatever order.

The model knows for each key_ID its bytes and who may still take it. Applications: alice opens; bob and carol have the
other KME, and carol is a party only where alice says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from quoit.interfaces.etsi014.client import Kme014, KmeRefusal
from quoit.service.api import Key
from quoit.testing.checkers import verify_events

pytestmark = [pytest.mark.live, pytest.mark.trial]
NETWORK = """
quoit: 1
name: model
nodes: {alice: {}, bob: {}}
spans: [{between: [alice, bob], length: 10 km}]
links: [{between: [alice, bob], protocol: rated, rate: 2 Mbit/s}]
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app, carol-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app]}
  - {sae: carol-app, kme: kme-bob, allow: [alice-app]}
"""
SLAVES = ("bob-app", "carol-app")
UNKNOWN = st.integers(0, 99).map(lambda n: str(uuid.UUID(int=n, version=4)))
picks = st.lists(st.integers(0, 10_000), min_size=1, max_size=3)


class Machine(RuleBasedStateMachine):
    """`doors` is what the twin told; it serves all runs of the machine, each with keys of its own."""

    doors: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, bytes] = {}
        self.may_take: dict[str, set[str]] = {}
        self.clients: dict[str, Kme014] = {}
        for sae in ("alice-app", *SLAVES):
            self.connect(sae)

    def connect(self, sae: str) -> None:
        app = self.doors["applications"][sae]
        self.clients[sae] = Kme014(app["url"], app["cert"], app["key"], self.doors["ca"])

    def open_for(self, sae: str) -> list[str]:
        return [key_id for key_id, parties in self.may_take.items() if sae in parties]

    def closed_for(self, sae: str) -> list[str]:
        return [key_id for key_id, parties in self.may_take.items() if sae not in parties]

    def take(self, sae: str, key_ids: Sequence[str]) -> None:
        """A lawful dec_keys."""
        taken = self.clients[sae].dec_keys("alice-app", key_ids)
        assert [(key.key_id, key.value.reveal()) for key in taken] == [(k, self.values[k]) for k in key_ids]
        for key_id in key_ids:
            self.may_take[key_id].discard(sae)

    def refused(self, sae: str, key_ids: Sequence[str], master: str = "alice-app") -> None:
        with pytest.raises(KmeRefusal) as refusal:
            self.clients[sae].dec_keys(master, key_ids)
        assert refusal.value.status in (400, 401), refusal.value

    @rule(number=st.integers(1, 4), size=st.sampled_from([None, 64, 256, 1024]), also_carol=st.booleans())
    def enc_keys(self, number: int, size: int | None, also_carol: bool) -> None:
        additional = ("carol-app",) if also_carol else ()
        keys = self.clients["alice-app"].enc_keys("bob-app", number, size, additional)
        assert len(keys) == number
        for key in keys:
            value = key.value.reveal()
            assert len(value) * 8 == (size or 256)
            assert key.key_id not in self.values
            assert value not in self.values.values()
            self.values[key.key_id] = value
            self.may_take[key.key_id] = {"bob-app", *additional}

    @rule(number=st.sampled_from([0, 129, 10**6]), size=st.sampled_from([None, 8, 65, 10**9]))
    def enc_keys_beyond_the_bounds(self, number: int, size: int | None) -> None:
        with pytest.raises(KmeRefusal) as refusal:
            self.clients["alice-app"].enc_keys("bob-app", number, size)
        assert refusal.value.status == 400

    @precondition(lambda self: any(self.open_for(sae) for sae in SLAVES))
    @rule(which=picks, sae=st.sampled_from(SLAVES))
    def dec_keys(self, which: list[int], sae: str) -> None:
        waiting = self.open_for(sae)
        if waiting:
            self.take(sae, list(dict.fromkeys(waiting[n % len(waiting)] for n in which)))

    @precondition(lambda self: any(self.closed_for(sae) for sae in SLAVES))
    @rule(which=st.integers(0, 10_000), sae=st.sampled_from(SLAVES))
    def dec_keys_again_or_of_others(self, which: int, sae: str) -> None:
        foreign = self.closed_for(sae)
        if foreign:
            self.refused(sae, [foreign[which % len(foreign)]])

    @precondition(lambda self: self.values)
    @rule(which=st.integers(0, 10_000))
    def dec_keys_by_the_master_or_of_another_master(self, which: int) -> None:
        key_id = list(self.values)[which % len(self.values)]
        self.refused("alice-app", [key_id], "bob-app")
        self.refused("bob-app", [key_id], "carol-app")

    @rule(key_ids=st.lists(UNKNOWN, min_size=1, max_size=3, unique=True), sae=st.sampled_from(SLAVES))
    def dec_keys_of_nobody(self, key_ids: list[str], sae: str) -> None:
        self.refused(sae, key_ids)

    @precondition(lambda self: self.open_for("bob-app"))
    @rule(which=picks, bad=UNKNOWN, at=st.integers(0, 3), known=st.booleans())
    def a_batch_with_one_bad_id_takes_nothing(self, which: list[int], bad: str, at: int, known: bool) -> None:
        waiting, gone = self.open_for("bob-app"), self.closed_for("bob-app")
        batch = list(dict.fromkeys(waiting[n % len(waiting)] for n in which))
        batch.insert(at % (len(batch) + 1), gone[at % len(gone)] if known and gone else bad)
        self.refused("bob-app", batch)

    @rule()
    def status(self) -> None:
        found = self.clients["alice-app"].status("bob-app")
        assert (found.source_kme, found.target_kme) == ("kme-alice", "kme-bob")
        assert (found.master_sae, found.slave_sae) == ("alice-app", "bob-app")
        assert 0 <= found.stored_key_count <= found.max_key_count

    @rule(sae=st.sampled_from(("alice-app", *SLAVES)))
    def reconnect(self, sae: str) -> None:
        self.clients[sae].close()
        self.connect(sae)

    def teardown(self) -> None:
        """Every key that nobody took is still there for each of its parties, once."""
        for sae in SLAVES:
            for key_id in self.open_for(sae):
                self.take(sae, [key_id])
                self.refused(sae, [key_id])
        for client in self.clients.values():
            client.close()


@pytest.fixture
def doors(tmp_path: Path, live_twin: Any) -> Iterator[dict[str, Any]]:
    file = tmp_path / "model.yaml"
    file.write_text(NETWORK)
    with live_twin(file, tmp_path / "run") as told:
        yield told
    report = verify_events(tmp_path / "run" / "events.jsonl")
    assert report.violations == []
    assert report.keys > 20


def play(doors: dict[str, Any], runs: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    run_state_machine_as_test(
        type("OnThisTwin", (Machine,), {"doors": doors}),
        settings=settings(
            max_examples=runs,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.realises("C2", "C5", "I1")
def test_k1_k3_two_live_kmes_do_as_the_model_says(doors: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    play(doors, 16)
    # The model must find a KME that gives a key again.
    given: dict[tuple[str, ...], tuple[Key, ...]] = {}
    dec_keys = Kme014.dec_keys

    def again(self: Kme014, peer: str, key_ids: Sequence[str]) -> tuple[Key, ...]:
        ids = tuple(key_ids)
        if ids not in given:
            given[ids] = dec_keys(self, peer, key_ids)
        return given[ids]

    monkeypatch.setattr(Kme014, "dec_keys", again)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        play(doors, 5, [Phase.generate])
