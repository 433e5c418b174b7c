"""Cuts the power at any write of a pair of stores, and looks at what the disk still has."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quoit.adapters.stores.sqlite import SqliteStore, StoreCorrupt
from quoit.service.keystore import StoreFailed
from quoit.testing.campaign.disk import Disk, ForgetfulVFS
from quoit.testing.campaign.processes import Tally
from quoit.testing.campaign.victim import Victim
from quoit.testing.campaign.witness import Witness

MakeStore = Callable[[Path, str | None], SqliteStore]


def _store(directory: Path, vfs: str | None) -> SqliteStore:
    return SqliteStore(directory, vfs=vfs)


def cut(seed: int, tally: Tally, make: MakeStore = _store) -> None:
    """One power cut at a write that the seed chooses, then the return."""
    dice = random.Random(f"power {seed}")
    disk = Disk(dice)
    with tempfile.TemporaryDirectory(prefix="quoit-power-") as name:
        root = Path(name)
        vfs = ForgetfulVFS(f"forgetful-{seed}", disk)
        witness = Witness(dice)
        disk.cut_at = dice.randint(60, 330)
        victim = _begin(root, vfs, make)
        if victim is not None:
            witness.drive(lambda command: _call(victim, command))
        if not disk.is_off:
            disk.is_off = True  # it came to its end before: cut now
        left = root / "left"
        disk.after_the_cut(root, left)
        _copy_the_rest(root, left, dice)
        back = _begin(left, None, make)
        if back is None:
            witness.violations.append("L2: the store does not open")
        else:
            witness.judge(lambda command: _call(back, command))
    tally.points["power cut"] += 1
    tally.operations += witness.operations
    tally.lost += witness.lost
    tally.violations += [f"power cut {seed}: {violation}" for violation in witness.violations]


def _copy_the_rest(root: Path, left: Path, dice: random.Random) -> None:
    """Files that SQLite does not know of. A key file is whole or not there; an audit log may end in half a record."""
    for file in [*root.glob("*/kek.bin"), *root.glob("*/audit.jsonl")]:
        to = left / file.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, to)
        if file.suffix == ".jsonl" and dice.random() < 0.5:
            with to.open("ab") as log:
                log.write(b'{"at_ns":17,"what":"ta')


def _begin(root: Path, vfs: ForgetfulVFS | None, make: MakeStore) -> Victim | None:
    try:
        return Victim(root, lambda directory: make(directory, None if vfs is None else vfs.title))
    except (StoreFailed, StoreCorrupt):
        return None


def _call(victim: Victim, command: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return victim.answer(command)
    except StoreFailed:
        return None


def campaign(seeds: range, make: MakeStore = _store) -> Tally:
    """A power cut for each seed."""
    tally = Tally(points=Counter())
    for seed in seeds:
        cut(seed, tally, make)
    return tally
