"""Journals: what is written comes back without secrets, and damage is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.model.secret import Secret
from quoit.runtime import journal
from quoit.runtime.journal import Header, Input, JournalError, JournalWriter
from quoit.service.api import GetStatus, Key, Keys, OpenKeys

HEADER = Header(journal.FORMAT, "0.1", 7, "quoit: 1\nname: x\n")
ASKED = OpenKeys("a", "b", 2, ("k1", "k2"), 256, ("c",), None)


def written(path: Path, close: bool = True) -> Path:
    writer = JournalWriter(path.open("wb"), HEADER)
    writer(5, 1, "kme-a", GetStatus("a", "b"))
    writer(9, 2, "kme-a", ASKED)
    if close:
        writer.close(100)
    return path


@pytest.mark.realises("F8")
def test_a_journal_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path / "j")
    back = journal.read(path)
    assert back.header == HEADER
    assert back.inputs == (Input(5, 1, "kme-a", GetStatus("a", "b")), Input(9, 2, "kme-a", ASKED))
    assert back.end_ns == 100
    assert tuple(journal.iterate(path)) == back.inputs


def test_a_recording_that_was_cut_short_has_no_end(tmp_path: Path) -> None:
    back = journal.read(written(tmp_path / "j", close=False))
    assert len(back.inputs) == 2
    assert back.end_ns is None


def test_secrets_are_zeros_in_a_journal(tmp_path: Path) -> None:
    value = bytes(range(100, 132))
    path = tmp_path / "j"
    writer = JournalWriter(path.open("wb"), HEADER)
    writer(1, 1, "x", Keys((Key("k", Secret(value)),)))
    writer.close(2)
    assert value not in path.read_bytes()
    (entry,) = journal.read(path).inputs
    assert entry.message == Keys((Key("k", Secret(bytes(32))),))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (2, b"{not json"),
        (3, b'{"t":1}'),
        (2, b'{"t":1,"seq":1,"to":"x","type":"no.Such","message":{}}'),
        (2, b'{"t":1,"seq":1,"to":"\xc4","type":"no.Such","message":{}}'),
        (3, b'{"end_ns":1,"\xc4":2}'),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: int, text: bytes) -> None:
    path = written(tmp_path / "j")
    lines = path.read_bytes().splitlines()
    lines[line - 1] = text
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(JournalError, match=rf"j:{line}: (not a recorded input|the end of the recording is damaged)"):
        journal.read(path)


def test_a_torn_end_is_a_damaged_line_too(tmp_path: Path) -> None:
    path = written(tmp_path / "j")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(JournalError, match="j:4"):
        journal.read(path)


@pytest.mark.parametrize("text", [b"", b"{}\n", b"quoit: 1\n"])
def test_what_is_no_journal_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "j").write_bytes(text)
    with pytest.raises(JournalError, match="j:1: expected the header"):
        journal.read(tmp_path / "j")


def test_another_format_is_refused(tmp_path: Path) -> None:
    JournalWriter((tmp_path / "j").open("wb"), Header(99, "9", 1, "")).close(1)
    with pytest.raises(JournalError, match="format 1, found 99"):
        journal.read(tmp_path / "j")
