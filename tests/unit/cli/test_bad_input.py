"""Whatever is wrong on the command line: one clear line on standard error, the right status, no traceback."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from quoit.cli.main import main

TWO_NODES = str(Path(__file__).parents[3] / "examples" / "two-nodes.yaml")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["run", "missing.yaml"], 2, "no such file"),
        (["run", "."], 2, "Is a directory"),
        (["run", TWO_NODES, "--until", "never"], 2, "--until: expected a number with a unit"),
        (["run", TWO_NODES, "--until", "1s", "--out", "taken/out"], 2, "taken"),
        (["up", TWO_NODES, "--speed", "0"], 2, "--speed: expected above 0"),
        (["up", TWO_NODES, "--port", "99999"], 2, "--port: expected 0"),
        (["up", TWO_NODES, "--agents", "0"], 2, "policies: {agents: true}"),
        (["up", TWO_NODES, "--teraflow"], 2, "here is neither"),
        (["controller", "--dir", "nowhere"], 2, "no twin runs in nowhere"),
        (["controller", "--agent", "a=https://h:1"], 2, "--agent goes with --network"),
        (["up", TWO_NODES, "--processes", "9"], 2, "this network has 2 nodes"),
        (["up", TWO_NODES, "--digest"], 2, "--digest needs --until"),
        (["up", TWO_NODES, "--dir", "busy"], 2, "a twin runs in busy already"),
        (["up", TWO_NODES, "--kek", "gcp://kek"], 2, "expected a file, pkcs11:"),
        (["up", TWO_NODES, "--kek", "vault+http://h/transit/k"], 2, "plain HTTP tells the token"),
        (["up", TWO_NODES, "--kek", "taken"], 2, "taken: expected mode 0600"),
        (["store", "rotate", "k", "--kek", "taken", "--dir", "busy"], 2, "name the new one by --to"),
        (["store", "rotate", "k", "--store", "postgresql://x", "--dir", "busy"], 2, "name the new key-encryption key"),
        (["top", "--dir", "nowhere"], 2, "no twin runs in nowhere"),
        (["keys", "a", "b", "--dir", "nowhere"], 2, "no twin runs in nowhere"),
        (["strike", "cut", "x", "--dir", "nowhere"], 2, "no twin runs in nowhere"),
        (["pki", "x", "--dir", "nowhere"], 2, "does not exist"),
        (["pki", "x", "--revoke", "--dir", "nowhere"], 2, "does not exist"),
        (["replay", "missing.jsonl"], 2, "No such file"),
        (["replay", "taken"], 2, "expected the header of a quoit journal"),
        (["verify", "missing.jsonl"], 2, "no such file"),
        (["verify", "taken"], 1, ""),
        (["check", "missing.yaml"], 1, ""),
    ],
    ids=lambda value: " ".join(a if a != TWO_NODES else "FILE" for a in value) if isinstance(value, list) else "",
)
def test_one_line_and_a_status(
    arguments: list[str],
    status: int,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_bytes(b"\x00junk\n")
    (tmp_path / "busy").mkdir()
    with (tmp_path / "busy" / "twin.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SystemExit) as end:
            main(arguments)
    told = capsys.readouterr()
    assert end.value.code == status
    assert text in told.err
    if text:
        assert told.err.count("\n") == 1
    assert "Traceback" not in told.err + told.out
