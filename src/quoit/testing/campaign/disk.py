"""A disk that forgets: a file layer for SQLite that knows what was synced, and loses the rest as a power cut does."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512


class PowerCut(apsw.IOError):
    """The power is gone: nothing is written any more."""


class Disk:
    """Files as the power cut would leave them. What was written since a file's last sync is lost sector by sector, as
    the dice say: a write may be there, missing, or torn."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._durable: dict[str, bytes] = {}
        self._since: dict[str, list[tuple[int, bytes]]] = {}
        self.writes = 0
        self.cut_at: int | None = None
        self.is_off = False

    def wrote(self, path: str, offset: int, data: bytes) -> None:
        """Note a write, unless the power goes with it. Raises `PowerCut`."""
        if self.is_off:
            raise PowerCut("the power is off")
        self.writes += 1
        self._since.setdefault(path, []).append((offset, data))
        if self.cut_at is not None and self.writes >= self.cut_at:
            self.is_off = True
            raise PowerCut("the power went off")

    def synced(self, path: str) -> None:
        """What was written so far stays. Raises `PowerCut`."""
        if self.is_off:
            raise PowerCut("the power is off")
        self._durable[path] = self._applied(path, lambda: True)
        self._since[path] = []

    def truncated(self, path: str, size: int) -> None:
        """A shorter file: taken as durable at once, which is what may be worst for a log that was cut."""
        self.synced(path)
        self._durable[path] = self._durable[path][:size]

    def deleted(self, path: str) -> None:
        """A file that is gone. Raises `PowerCut`."""
        if self.is_off:
            raise PowerCut("the power is off")
        self._durable.pop(path, None)
        self._since.pop(path, None)

    def _applied(self, path: str, stays: Any) -> bytes:
        image = bytearray(self._durable.get(path, b""))
        for offset, data in self._since.get(path, ()):
            for at in range(0, len(data), SECTOR):
                if stays():
                    piece = data[at : at + SECTOR]
                    end = offset + at + len(piece)
                    image += bytes(max(0, end - len(image)))
                    image[offset + at : end] = piece
        return bytes(image)

    def after_the_cut(self, root: Path, to: Path) -> None:
        """Write every file under `root` as the power cut left it into the same place under `to`."""
        keep = self._dice.choice((0.0, 0.5, 1.0))
        for path in sorted(self._durable.keys() | self._since.keys()):
            left = to / Path(path).relative_to(root)
            left.parent.mkdir(parents=True, exist_ok=True)
            left.write_bytes(self._applied(path, lambda: self._dice.random() < keep))


class _File(apsw.VFSFile):
    def __init__(self, base: str, filename: Any, flags: list[int], disk: Disk) -> None:
        super().__init__(base, filename, flags)
        self._path = filename if isinstance(filename, str) else filename.filename()
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.wrote(self._path, offset, bytes(data))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.synced(self._path)
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.truncated(self._path, newsize)
        super().xTruncate(newsize)


class ForgetfulVFS(apsw.VFS):
    """Files of the system's layer, with a `Disk` that listens."""

    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        self.title = name
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802 - SQLite's name
        return _File("", name, flags, self._disk)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        self._disk.deleted(filename)
        super().xDelete(filename, syncdir)
