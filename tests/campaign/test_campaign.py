"""The campaign in short: no promise breaks, and what is broken on purpose is found."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import pytest
import structlog

from quoit.adapters.stores.sqlite import SqliteStore
from quoit.testing.bench import floods
from quoit.testing.bench.keys import Served, server
from quoit.testing.campaign import mutants, power, processes
from quoit.testing.campaign.forgetful import ForgetfulStore
from quoit.testing.campaign.processes import Tally
from quoit.testing.campaign.scenario import KINDS, scenario
from quoit.testing.campaign.swarm import Outcome, play
from quoit.testing.campaign.victim import Victim

pytestmark = pytest.mark.trial
PARTS = 10
SEEDS = 120
EVERY = 3


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


def played(seeds: range) -> list[Outcome]:
    return [play(scenario(seed)) for seed in seeds]


@pytest.mark.realises("B6", "C2", "C5", "C8", "I2")
@pytest.mark.parametrize("part", range(PARTS))
def test_no_scenario_of_the_swarm_breaks_a_promise(part: int) -> None:
    outcomes = played(range(10_000 + part, 10_000 + SEEDS, PARTS))
    assert [f"seed {o.seed}: {v}" for o in outcomes for v in o.violations] == []
    assert all(o.operations > 10 for o in outcomes)


def test_the_swarm_has_faults_of_every_kind_and_keys_all_the_same() -> None:
    outcomes = played(range(10_000, 10_030))
    faults: Counter[str] = Counter()
    for outcome in outcomes:
        faults.update(outcome.faults)
    assert faults.keys() == set(KINDS)
    assert sum(o.delivered for o in outcomes) > 1_000


def test_a_seed_is_the_same_scenario_and_the_same_outcome_for_ever() -> None:
    assert play(scenario(10_007)) == play(scenario(10_007))


@pytest.mark.parametrize("mutant", mutants.BOOKS, ids=lambda c: c.__name__)
def test_a_broken_book_is_found(mutant: type) -> None:
    promise = mutant.__doc__.partition(":")[0] if mutant.__doc__ else ""
    found = _first_violations(book=mutant)
    assert any(v.startswith((f"{promise}:", "K3:")) for v in found), found


@pytest.mark.parametrize("mutant", mutants.STORES, ids=lambda c: c.__name__)
def test_a_broken_store_is_found(mutant: type[ForgetfulStore]) -> None:
    assert _first_violations(store=mutant)


def _first_violations(**broken: type) -> list[str]:
    for seed in range(120):
        found = play(scenario(seed), **broken).violations  # type: ignore[arg-type]
        if found:
            return found
    return []


@pytest.mark.realises("B6", "C2")
def test_no_power_cut_breaks_a_promise() -> None:
    tally = power.campaign(range(80))
    assert tally.violations == []
    assert tally.operations > 500


def test_a_store_that_syncs_too_seldom_is_found_by_power_cuts() -> None:
    class Normal(SqliteStore):
        def _prepare(self, path: Path) -> None:
            super()._prepare(path)
            self._db.pragma("synchronous", "normal")

    assert power.campaign(range(40), lambda directory, vfs: Normal(directory, vfs=vfs)).violations


needs_strace = pytest.mark.skipif(not processes.can_trace(), reason="strace is not here or may not trace")


@needs_strace
@pytest.mark.realises("B6", "C2")
@pytest.mark.parametrize("call", processes.CALLS)
def test_no_fault_at_a_persistence_call_breaks_a_promise(call: str) -> None:
    tally = Tally()
    number = processes.count_calls()[call]
    assert number
    for turn, when in enumerate(range(1, number + 1, EVERY)):
        faults = processes.FAULTS if call not in ("rename", "unlink") else ("kill",)
        processes.at_point(call, when, faults[turn % len(faults)], tally)
        if faults[turn % len(faults)] != "kill":
            processes.at_point(call, when, "kill", tally)
    assert tally.violations == []
    assert tally.stopped


LAZY = """
import sys
from pathlib import Path
from quoit.adapters.stores.sqlite import SqliteStore
from quoit.service.keystore import TakeOp
from quoit.testing.campaign import victim

class Lazy(SqliteStore):
    def execute(self, batch):
        if all(isinstance(op, TakeOp) for op in batch):
            return [self._book.apply(op) for op in batch]  # written down with the next thing that it does
        return super().execute(batch)

victim.SqliteStore = Lazy
victim.Victim.__init__.__defaults__ = (Lazy,)
victim.main(Path(sys.argv[1]))
"""


@needs_strace
def test_a_reply_before_the_commit_is_found_by_kills() -> None:
    tally = Tally()
    victim = (sys.executable, "-c", LAZY)
    for when in range(5, 36, 3):
        processes.at_point("write", when, "kill", tally, victim)
    assert any("K4" in violation for violation in tally.violations)


def test_a_victim_serves_a_key_at_both_ends(tmp_path: Path) -> None:
    victim = Victim(tmp_path)
    victim.answer({"do": "refill", "now": 1, "block": 1, "data": random.Random(1).randbytes(256).hex()})
    opened = victim.answer({"do": "enc", "now": 2, "key_ids": ["k"], "expires": None})
    assert victim.answer({"do": "dec", "now": 3, "key_ids": ["k"]}) == opened
    assert victim.answer({"do": "dec", "now": 3, "key_ids": ["k"]}) == {"problem": "key-not-found"}


def test_what_a_good_client_feels_of_a_flood_is_told() -> None:
    found = floods.rows(1.0, ("slow headers",))
    assert found.keys() == {"none", "slow headers"}
    for row in found.values():
        assert row["answered"] == row["asked"] > 3
        assert row["success_ratio"] == 1
        assert 0 < row["p99_ms"] < 10_000


def test_a_client_that_is_refused_does_not_count_as_served() -> None:
    with server(None) as served:
        found = floods.felt(served, 0.3, "/api/v1/keys/nobody/enc_keys")
        nowhere = Served(served.pid, {**served.told, "keys": ["127.0.0.1", 1]})
        gone = floods.felt(nowhere, 0.1)
    assert (found.answered, found.ratio) == (0, 0)
    assert found.asked > 1
    assert (gone.answered, gone.ratio) == (0, 0)
