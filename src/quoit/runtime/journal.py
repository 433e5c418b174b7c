"""Record and replay: what entered a live twin from outside, and when in simulated time.

With the network file, the seed and these inputs a virtual run repeats the live one event for event.
A journal is JSON lines: a header, then one line an input. Secrets in it are zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec

from quoit.runtime.wire import Message, decode_redacted, encode_redacted, name_of

FORMAT = 1


class Header(msgspec.Struct, frozen=True):
    """First line of a journal. `network` is the whole text of the network file. `life`: which life of its twin; a
    later one began with what earlier ones left in the key stores, which no journal holds."""

    quoit_journal: int
    version: str
    seed: int
    network: str
    until_ns: int | None = None
    life: int = 0


class _Line(msgspec.Struct):
    t: int
    seq: int
    to: str
    type: str
    message: msgspec.Raw


@dataclass(frozen=True)
class Input:
    """One outside request: its simulated arrival time, its count, the element it went to."""

    t: int
    seq: int
    to: str
    message: Message


class JournalError(ValueError):
    """A journal that cannot be read: not one, of another format, or damaged at a line."""


class JournalWriter:
    """Appends inputs to a stream; each line is flushed, so that a crash loses the last one at most."""

    def __init__(self, out: IO[bytes], header: Header) -> None:
        self._out = out
        self._encode = msgspec.json.Encoder().encode
        self._write(header)

    def _write(self, line: Any) -> None:
        self._out.write(self._encode(line) + b"\n")
        self._out.flush()

    def __call__(self, t: int, seq: int, to: str, msg: Message) -> None:
        self._write(_Line(t, seq, to, name_of(type(msg)), msgspec.Raw(encode_redacted(msg))))

    def close(self, until_ns: int) -> None:
        """Say how far the run went; a journal without this line was cut short."""
        self._write({"end_ns": until_ns})
        self._out.close()


@dataclass(frozen=True)
class Journal:
    """A journal read back. `end_ns` is None if the recording was cut short."""

    header: Header
    inputs: tuple[Input, ...]
    end_ns: int | None


def read(path: Path) -> Journal:
    """Read a journal. Raises `JournalError` with the line's number and what is wrong with it."""
    with path.open("rb") as lines:
        first = next(lines, b"")
        try:
            header = msgspec.json.decode(first, type=Header)
        except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
            raise JournalError(f"{path}:1: expected the header of a quoit journal: {fault}") from fault
        if header.quoit_journal != FORMAT:
            raise JournalError(f"{path}:1: expected journal format {FORMAT}, found {header.quoit_journal}")
        inputs: list[Input] = []
        end: int | None = None
        for number, line in enumerate(lines, start=2):
            if line.startswith(b'{"end_ns"'):
                end = _end(path, number, line)
            else:
                inputs.append(_input(path, number, line))
    return Journal(header, tuple(inputs), end)


def _end(path: Path, number: int, line: bytes) -> int:
    try:
        return msgspec.json.decode(line, type=dict[str, int])["end_ns"]
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise JournalError(f"{path}:{number}: the end of the recording is damaged: {fault}") from fault


def _input(path: Path, number: int, line: bytes) -> Input:
    try:
        raw = msgspec.json.decode(line, type=_Line)
        return Input(raw.t, raw.seq, raw.to, decode_redacted(raw.type, bytes(raw.message)))
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as fault:
        raise JournalError(f"{path}:{number}: not a recorded input: {fault}") from fault


def iterate(path: Path) -> Iterator[Input]:
    """The inputs of a journal, in order."""
    yield from read(path).inputs
