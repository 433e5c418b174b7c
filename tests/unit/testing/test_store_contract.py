"""The store contract catches stores that are broken on purpose: each of them fails, and at the promise it breaks.

Every broken store is the memory store with one operation changed on its way in, or its answer on its way out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from quoit.adapters.stores.memory import MemoryStore
from quoit.adapters.stores.sqlite import SqliteStore
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.keystore import (
    AppendOp,
    CancelOp,
    ExpireOp,
    ImportOp,
    KeyStore,
    Level,
    ListOp,
    MirrorOp,
    Op,
    Opened,
    OpenOp,
    Point,
    Taken,
    TakeOp,
    Voided,
    VoidOp,
)
from quoit.testing.stores import StoreContract, machine_of

SHORT = settings(
    max_examples=300, stateful_step_count=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate]
)


class Broken(MemoryStore):
    """Subclasses change what an operation is, or what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Secret] = {}

    def execute(self, batch: list[Op]) -> list[Any]:
        return [self.after(op, super(Broken, self).execute([self.before(op)])[0]) for op in batch]

    def before(self, op: Op) -> Op:
        return op

    def after(self, op: Op, result: Any) -> Any:
        return result


class GivesTwice(Broken):
    """K1: remembers what it gave, and gives it again."""

    def after(self, op: Op, result: Any) -> Any:
        if isinstance(op, TakeOp):
            if isinstance(result, Taken):
                self.seen |= {k: Secret(v.reveal()) for k, v in zip(op.key_ids, result.values, strict=True)}
            elif set(op.key_ids) <= set(self.seen):
                return Taken(tuple(self.seen[k] for k in op.key_ids), (), Point(0, 0))
        return result


class GivesToAnybody(Broken):
    """K2: takes the caller for the slave."""

    def before(self, op: Op) -> Op:
        return (
            msgspec.structs.replace(op, caller="s")
            if isinstance(op, TakeOp) and op.caller in ("stranger", "eve")
            else op
        )


class GivesToAnyMaster(Broken):
    """K2: does not look who the key's master is."""

    def before(self, op: Op) -> Op:
        return msgspec.structs.replace(op, master=None) if isinstance(op, TakeOp) else op


class GivesOtherBytes(Broken):
    """K3: one bit is another one."""

    def after(self, op: Op, result: Any) -> Any:
        if isinstance(op, TakeOp) and isinstance(result, Taken):
            other = tuple(Secret(bytes([v.reveal()[0] ^ 1]) + v.reveal()[1:]) for v in result.values)
            return msgspec.structs.replace(result, values=other)
        return result


class TakesAnyName(Broken):
    """K5: gives an identifier that is in use another name behind the scenes."""

    def after(self, op: Op, result: Any) -> Any:
        if isinstance(op, OpenOp) and isinstance(result, Problem) and result.code == "unit-exists":
            fresh = tuple(f"{k}'{i}" for i, k in enumerate(op.key_ids))
            return MemoryStore.execute(self, [msgspec.structs.replace(op, key_ids=fresh)])[0]
        return result


class MirrorsAnyBits(Broken):
    """K6: bits that were handed out before are taken for new ones."""

    def after(self, op: Op, result: Any) -> Any:
        if isinstance(op, MirrorOp) and isinstance(result, Problem) and result.code == "unit-exists":
            return None
        return result


class ExpiresLate(Broken):
    """K9: an expiry at this very instant does not count yet."""

    def before(self, op: Op) -> Op:
        return msgspec.structs.replace(op, now_ns=op.now_ns - 1) if isinstance(op, TakeOp) else op


class SweepsNothing(Broken):
    """K9: says that it erased what had expired."""

    def before(self, op: Op) -> Op:
        return msgspec.structs.replace(op, now_ns=0) if isinstance(op, ExpireOp) else op


class TakesByHalves(Broken):
    """K10: takes what there is of a batch before it refuses the rest."""

    def before(self, op: Op) -> Op:
        if isinstance(op, TakeOp):
            for key_id in op.key_ids[:-1]:
                MemoryStore.execute(self, [msgspec.structs.replace(op, key_ids=(key_id,))])
        return op


class ForgetsQuarantines(Broken):
    """K13, K15: nothing is voided."""

    def after(self, op: Op, result: Any) -> Any:
        return Voided(0, (), ()) if isinstance(op, VoidOp) else result

    def before(self, op: Op) -> Op:
        return msgspec.structs.replace(op, first_block=0, last_block=-1) if isinstance(op, VoidOp) else op


class VoidsEverything(Broken):
    """Voids other blocks than those that were named."""

    def before(self, op: Op) -> Op:
        return msgspec.structs.replace(op, first_block=0, last_block=99) if isinstance(op, VoidOp) else op


class HidesTheDelivered(Broken):
    """K15: does not list what was delivered before."""

    def after(self, op: Op, result: Any) -> Any:
        return msgspec.structs.replace(result, delivered_key_ids=()) if isinstance(op, VoidOp) else result


class CancelsNothing(Broken):
    """K13: says that it cancelled."""

    def before(self, op: Op) -> Op:
        return CancelOp((), op.now_ns) if isinstance(op, CancelOp) else op

    def after(self, op: Op, result: Any) -> Any:
        return 1 if isinstance(op, CancelOp) else result


class ImportsOtherBytes(Broken):
    """K3: a copy is not the key."""

    def before(self, op: Op) -> Op:
        if isinstance(op, ImportOp):
            return msgspec.structs.replace(op, values=tuple(Secret(bytes(len(v))) for v in op.values))
        return op


class ListsTheOldest(Broken):
    """Lists in the order of opening."""

    def after(self, op: Op, result: Any) -> Any:
        return result[::-1] if isinstance(op, ListOp) else result


class AppendsAgain(Broken):
    """Says that bits are in the stream that it did not take in."""

    def after(self, op: Op, result: Any) -> Any:
        return Level(0, 0) if isinstance(op, AppendOp) and isinstance(result, Problem) else result


class BackToFront(Broken):
    """K6: hands out the bits of the stream's beginning every time."""

    def after(self, op: Op, result: Any) -> Any:
        if isinstance(op, OpenOp) and isinstance(result, Opened):
            return msgspec.structs.replace(result, offsets=(0,) * len(result.offsets))
        return result


BEYOND_THE_MACHINE = (GivesToAnyMaster, ImportsOtherBytes, ListsTheOldest, AppendsAgain)
"""Broken in what only the contract's own tests look at."""
BROKEN = [
    GivesTwice,
    GivesToAnybody,
    GivesToAnyMaster,
    GivesOtherBytes,
    TakesAnyName,
    MirrorsAnyBits,
    ExpiresLate,
    SweepsNothing,
    TakesByHalves,
    ForgetsQuarantines,
    VoidsEverything,
    HidesTheDelivered,
    CancelsNothing,
    ImportsOtherBytes,
    ListsTheOldest,
    AppendsAgain,
    BackToFront,
]


def failures(make: Any, directory: Path) -> list[str]:
    """Names of the contract's tests that a store fails, run as pytest would run them."""

    class Suite(StoreContract):
        durable = False

        def make(self, directory: Path) -> KeyStore:
            store: KeyStore = make(directory)
            return store

    failed = []
    for name in (n for n in dir(Suite) if n.startswith("test_") and "restart" not in n):
        suite = Suite()
        pair = suite.open_pair(directory / name)
        try:
            getattr(suite, name)(pair)
        except (AssertionError, Problem, pytest.fail.Exception, ValueError, IndexError):
            failed.append(name)
        finally:
            for store in pair:
                store.close()
    return failed


@pytest.mark.parametrize("broken", BROKEN, ids=lambda c: c.__name__)
def test_a_broken_store_fails_the_contract(broken: type[Broken], tmp_path: Path) -> None:
    failed = failures(lambda directory: broken(), tmp_path)
    assert failed
    promises = broken.__doc__.partition(":")[0] if broken.__doc__ and broken.__doc__.startswith("K") else ""
    for promise in filter(None, promises.split(", ")):
        assert [name for name in failed if f"_{promise.lower()}_" in name]


def test_good_stores_fail_nothing(tmp_path: Path) -> None:
    assert failures(lambda directory: MemoryStore(), tmp_path / "memory") == []
    assert failures(SqliteStore, tmp_path / "sqlite") == []


@pytest.mark.parametrize("broken", [b for b in BROKEN if b not in BEYOND_THE_MACHINE], ids=lambda c: c.__name__)
def test_the_machine_finds_a_broken_store(broken: type[Broken]) -> None:
    found = (AssertionError, Problem, pytest.fail.Exception)
    with pytest.raises(found):
        run_state_machine_as_test(machine_of(lambda directory: broken(), durable=False), settings=SHORT)


def test_a_store_that_forgets_is_no_durable_store(tmp_path: Path) -> None:
    class Forgetful(StoreContract):
        def make(self, directory: Path) -> KeyStore:
            return MemoryStore()

    with pytest.raises(Problem, match="not found"):
        Forgetful().test_what_was_answered_is_there_after_a_restart(tmp_path)
    with pytest.raises((AssertionError, Problem, pytest.fail.Exception)):
        run_state_machine_as_test(machine_of(lambda directory: MemoryStore()), settings=SHORT)
