"""Which version of another simulator the benchmark runs, by the Pythons that it finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from quoit.testing.bench import peers
from quoit.testing.bench.peers import HERE, SEQUENCE, SIMQN, PeerUnable


def only(monkeypatch: pytest.MonkeyPatch, *minors: int) -> None:
    monkeypatch.setattr(peers, "interpreter_of", lambda minor: f"/python3.{minor}" if minor in minors else None)


@pytest.mark.parametrize(
    ("minors", "title"),
    [((11, 12), "SeQUeNCe 1.3.1"), ((11, 14), "SeQUeNCe 1.3.1"), ((11,), "SeQUeNCe 0.8.5"), ((), "SeQUeNCe 1.3.1")],
)
def test_the_newest_that_runs_here_is_run(minors: tuple[int, ...], title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, *minors)
    assert SEQUENCE.title == title


def test_without_a_python_for_it_a_peer_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    only(monkeypatch)
    monkeypatch.setattr(peers, "HOME", tmp_path)
    with pytest.raises(PeerUnable, match=r"3\.12 or 3\.13 or 3\.14 for SeQUeNCe 1\.3\.1, or Python 3\.11 for SeQUe"):
        SEQUENCE.run({})


@pytest.mark.parametrize("peer", [SEQUENCE, SIMQN], ids=lambda peer: peer.name)
def test_each_edition_has_its_script_and_a_lock_with_hashes(peer: peers.Peer) -> None:
    assert (HERE / peer.script).is_file()
    for edition in peer.editions:
        lock = (HERE / f"{edition.lock}.lock").read_text()
        name, _, version = edition.title.partition(" ")
        assert f"{peer.name}=={version} \\" in lock, name
        assert lock.count("--hash=sha256:") > 5
        assert "://" not in lock
