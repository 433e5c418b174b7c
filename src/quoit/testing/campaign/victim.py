"""The process that the process campaign breaks: two KMEs of a twin, their stores, and nothing else to wait for.

Run as `python -m quoit.testing.campaign.victim DIRECTORY`. It reads one JSON command a line from standard input and
answers each with one line when, and only when, what it did is on disk. The applications are the ones who drive it: they
keep outside of it what they were given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from quoit.adapters.stores.sqlite import SqliteStore
from quoit.model.problem import Problem
from quoit.model.secret import Secret
from quoit.service.keystore import (
    AppendOp,
    BeginOp,
    CancelOp,
    ExpireOp,
    MarksOp,
    MirrorOp,
    Op,
    OpenOp,
    Provenance,
    TakeOp,
    VoidOp,
)

STREAM = "a>b"
SIZE = 256
CHUNK_BITS = 8 * SIZE


class Victim:
    """A master's and a slave's store, and the order in which a pair of KMEs uses them."""

    def __init__(self, directory: Path, make: Callable[[Path], SqliteStore] = SqliteStore) -> None:
        self.master = make(directory / "master")
        self.slave = make(directory / "slave")
        now = 1 + max(self.master.latest_ns, self.slave.latest_ns)
        for store in (self.master, self.slave):
            self._do(store, BeginOp(now))
        ends = [mark.last for store in (self.master, self.slave) for mark in self._do(store, MarksOp()).streams]
        self.tail = max(ends, default=0)

    @staticmethod
    def _do(store: SqliteStore, op: Op) -> Any:
        (result,) = store.execute([op])
        if isinstance(result, Problem):
            raise result
        return result

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what a command says; what comes of it. Raises `StoreFailed`."""
        arguments = dict(command)
        if "data" in arguments:
            arguments["data"] = bytes.fromhex(arguments["data"])
        if "key_ids" in arguments:
            arguments["key_ids"] = tuple(arguments["key_ids"])
        try:
            found: dict[str, Any] = getattr(self, arguments.pop("do"))(**arguments)
        except Problem as problem:
            found = {"problem": problem.code}
        return found

    def refill(self, now: int, block: int, data: bytes) -> dict[str, Any]:
        """A chunk reaches both ends: the slave first, as in the fabric."""
        start, self.tail = self.tail, self.tail + CHUNK_BITS
        pieces = (Provenance("l", block, 0, CHUNK_BITS, "delivered"),)
        self._do(self.slave, AppendOp(STREAM, start, Secret(data), pieces, False))
        self._do(self.master, AppendOp(STREAM, start, Secret(data), pieces, True))
        return {"start": start}

    def enc(self, now: int, key_ids: tuple[str, ...], expires: int | None) -> dict[str, Any]:
        """enc_keys: open, mirror, answer."""
        opened = self._do(self.master, OpenOp(STREAM, key_ids, SIZE, "m", ("s",), expires, now))
        self._do(self.slave, MirrorOp(STREAM, key_ids, opened.offsets, SIZE, "m", ("s",), expires, now))
        return {"values": [v.reveal().hex() for v in opened.values]}

    def dec(self, now: int, key_ids: tuple[str, ...]) -> dict[str, Any]:
        """dec_keys."""
        taken = self._do(self.slave, TakeOp("s", "m", key_ids, now))
        return {"values": [v.reveal().hex() for v in taken.values]}

    def quarantine(self, now: int, first: int, last: int) -> dict[str, Any]:
        """A link's blocks are void at both ends."""
        slave = self._do(self.slave, VoidOp("l", first, last, now))
        self._do(self.master, VoidOp("l", first, last, now))
        return {"voided": list(slave.key_ids)}

    def expire(self, now: int) -> dict[str, Any]:
        """The sweep at both ends."""
        self._do(self.master, ExpireOp(now))
        return {"erased": self._do(self.slave, ExpireOp(now))}

    def void(self, now: int, key_ids: tuple[str, ...]) -> dict[str, Any]:
        """Keys are withdrawn at both ends."""
        for store in (self.slave, self.master):
            self._do(store, CancelOp(key_ids, now))
        return {}


def main(directory: Path) -> None:
    """Serve commands until the input ends."""
    victim = Victim(directory)
    sys.stdout.write('{"ready":true}\n')
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(msgspec.json.encode(victim.answer(msgspec.json.decode(line))).decode() + "\n")
        sys.stdout.flush()
    victim.master.close()
    victim.slave.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
