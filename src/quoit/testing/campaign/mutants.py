"""Stores and KMEs that are broken on purpose. A campaign that does not catch them is worth nothing."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from quoit.service.keystore import ExpireOp, Marks, MarksOp, Op, TakeOp, VoidOp
from quoit.service.storebook import StoreBook
from quoit.service.storerows import DONE, Issue, Origin, Stream
from quoit.testing.campaign.forgetful import ForgetfulStore


class Replay(StoreBook):
    """K1: hands a key to the same slave as often as it asks."""

    def _finish(self, issue: Issue, which: list[int], state: int) -> None:
        if state != DONE:
            super()._finish(issue, which, state)

    def _takeable(self, op: TakeOp, key_id: str) -> tuple[Issue, int]:
        known = self._keys.get(key_id)
        if known is not None:
            issue, i = known
            if op.caller in issue.parties[1:]:
                issue.having[i] &= ~(1 << issue.parties.index(op.caller, 1))
        return super()._takeable(op, key_id)


class ForeignSae(StoreBook):
    """K2: takes whoever asks for the slave."""

    def _take(self, op: TakeOp) -> Any:
        known = self._keys.get(op.key_ids[0])
        caller = op.caller if known is None else known[0].parties[1]
        return super()._take(TakeOp(caller, op.master, op.key_ids, op.now_ns))


class ReusedBits(StoreBook):
    """K6: every fourth key is made of the bits of the one before it."""

    def _open(self, op: Any) -> Any:
        stream = self.streams.get(op.stream)
        if stream is not None and self.writes % 4 == 0 and stream.head >= op.size_bits:
            block = stream.block_at(stream.head - op.size_bits)
            if block is not None and block.start <= stream.head - op.size_bits:
                stream.head -= op.size_bits
        return super()._open(op)


class LateExpiry(StoreBook):
    """K9: takes half a second more for granted."""

    def _take(self, op: TakeOp) -> Any:
        return super()._take(TakeOp(op.caller, op.master, op.key_ids, op.now_ns - 500_000_000))

    def _expire(self, op: ExpireOp) -> int:
        return super()._expire(ExpireOp(op.now_ns - 500_000_000))


class HalfVoid(StoreBook):
    """K15: voids what nobody was promised, and lets keys that wait for their slaves go."""

    def _void_keys(self, stream: Stream, suspect: list[Origin], voided: list[str], delivered: list[str]) -> None:
        pass

    def _void(self, op: VoidOp) -> Any:
        kept = {name: list(stream.blocks) for name, stream in self.streams.items()}
        copies = {id(block): bytes(block.data) for blocks in kept.values() for block in blocks}
        voided = super()._void(op)
        for name, blocks in kept.items():
            for block in blocks:
                if block not in self.streams[name].blocks and block.start < self.streams[name].head:
                    block.data[:] = copies[id(block)]
                    self.streams[name].blocks.append(block)
                    self.streams[name]._starts.append(block.start)
        return voided


class NoMemory(StoreBook):
    """K12: takes no notice of what others remember of it."""

    def _marks(self, op: MarksOp) -> Marks:
        return msgspec.structs.replace(super()._marks(op), settled=2**62)


class ReplyBeforeCommit(ForgetfulStore):
    """K4: answers first and commits when it gets round to it."""

    def crash(self, dice: random.Random) -> None:
        self._put_back(max(0, self.length - dice.randint(0, 5)))


class LeaseNotCompareAndSet(ForgetfulStore):
    """K4: notes in memory that a key is taken, and writes it down with the next thing that it does."""

    def execute(self, batch: list[Op]) -> list[Any]:
        results = super().execute(batch)
        self._leased = all(isinstance(op, TakeOp) for op in batch)
        return results

    def crash(self, dice: random.Random) -> None:
        if getattr(self, "_leased", False) and self.length:
            self._put_back(self.length - 1)
        else:
            super().crash(dice)


BOOKS: tuple[type[StoreBook], ...] = (Replay, ForeignSae, ReusedBits, LateExpiry, HalfVoid, NoMemory)
STORES: tuple[type[ForgetfulStore], ...] = (ReplyBeforeCommit, LeaseNotCompareAndSet)
