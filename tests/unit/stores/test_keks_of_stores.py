"""Stores under key-encryption keys of every kind, and on their way from one to another.

The token is SoftHSM 2; the transit engine is tests/transit_server.py, which is neither Vault nor OpenBao.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from quoit.adapters.crypto.kek import FileKek, Kek, KekError
from quoit.adapters.crypto.kek_uri import open_kek
from quoit.adapters.stores import care
from quoit.adapters.stores.sqlite import SqliteStore, StoreCorrupt
from quoit.cli.main import main
from quoit.model.secret import Secret
from quoit.service.keystore import AppendOp, ImportOp, OpenOp, StoreFailed, TakeOp
from quoit.testing.stores import code_of, do
from softhsm import SoftHsm
from transit_server import TransitServer

VALUE = bytes(range(32))
KINDS = ("file", "pkcs11", "vault")
PAIRS = list(itertools.permutations(KINDS, 2))
Name = Callable[[str], str]


@pytest.fixture
def name_of(request: pytest.FixtureRequest, tmp_path: Path) -> Name:
    """The name of a key of a kind, made if need be; without SoftHSM only its kind is skipped."""

    def name(kind: str) -> str:
        if kind == "file":
            open_kek(str(tmp_path / "shared.kek"), make=True)
            return str(tmp_path / "shared.kek")
        if kind == "pkcs11":
            hsm: SoftHsm = request.getfixturevalue("hsm")
            return hsm.key(str(tmp_path))
        transit: TransitServer = request.getfixturevalue("transit")
        return transit.uri("kek")

    return name


def filled(directory: Path, kek: Kek | None) -> None:
    """A store with two blocks, one of them thinned, and a key that waits."""
    store = SqliteStore(directory, kek)
    do(store, AppendOp("a>b", 0, Secret(VALUE * 4), (), True))
    do(store, AppendOp("a>b", 1024, Secret(VALUE * 4), (), True))
    do(store, OpenOp("a>b", ("k",), 256, "m", ("s",), None, 1))
    do(store, ImportOp(("i",), (Secret(VALUE),), "m", ("s",), None, 1))
    store.close()


def holds_all(directory: Path, kek: Kek | None) -> None:
    """All of `filled`, taken from a copy, so that the store stays as it is."""
    copy = directory.with_name("looked-at")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(directory, copy)
    store = SqliteStore(copy, kek)
    with contextlib.closing(store):
        assert do(store, TakeOp("s", "m", ("i",), 2)).values[0].reveal() == VALUE
        opened = do(store, OpenOp("a>b", ("k2", "k3", "k4", "k5"), 256, "m", ("s",), None, 2))
        assert opened.offsets == (256, 512, 768, 1024)
        assert [value.reveal() for value in opened.values] == [VALUE] * 4


def opens(directory: Path, kek: Kek) -> bool:
    try:
        holds_all(directory, kek)
    except StoreCorrupt as fault:
        if "another key-encryption key" not in str(fault):
            raise
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_lives_under_it(kind: str, name_of: Name, tmp_path: Path) -> None:
    directory = tmp_path / "store"
    with contextlib.closing(open_kek(name_of(kind))) as kek:
        filled(directory, kek)
    with contextlib.closing(open_kek(name_of(kind))) as again:
        holds_all(directory, again)
    assert not (directory / "kek.bin").exists()
    with pytest.raises(StoreCorrupt, match="give --kek"):
        SqliteStore(directory, FileKek(tmp_path / "another"))


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_store_goes_from_any_kind_to_any_other(old: str, new: str, name_of: Name, tmp_path: Path) -> None:
    directory = tmp_path / "store"
    with contextlib.closing(open_kek(name_of(old))) as before, contextlib.closing(open_kek(name_of(new))) as after:
        filled(directory, before)
        care.rotate_to(directory, after, before)
        assert (opens(directory, before), opens(directory, after)) == (False, True)
        care.rotate_to(directory, after, before)  # doing it again does no harm
        assert opens(directory, after)
        care.rotate_to(directory, before, after)
        assert (opens(directory, before), opens(directory, after)) == (True, False)


KILLED = """
import os, signal, sys
from pathlib import Path
from quoit.adapters.crypto.kek_uri import open_kek
from quoit.adapters.stores import care
from quoit.adapters.stores.sqlite import SqliteStore
directory, old, new, statements = sys.argv[1:]
write, left = SqliteStore._write, int(statements)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(*_):
    global left
    left -= 1
    return True if left >= 0 else die()

def dying(self, statements):
    self._db.exec_trace = counted
    write(self, statements)
    die()

SqliteStore._write = dying
care.rotate_to(Path(directory), open_kek(new), open_kek(old))
"""


@pytest.mark.parametrize(("old", "new"), [("file", "pkcs11"), ("pkcs11", "vault"), ("vault", "file")])
def test_a_rotation_that_is_killed_leaves_a_store_that_one_of_the_two_opens(
    old: str, new: str, name_of: Name, tmp_path: Path
) -> None:
    names, outcomes = (name_of(old), name_of(new)), []
    with contextlib.closing(open_kek(names[0])) as before, contextlib.closing(open_kek(names[1])) as after:
        for statements in (0, 2, 1000):
            directory = tmp_path / f"store{statements}"
            filled(directory, before)
            command = [sys.executable, "-c", KILLED, str(directory), *names, str(statements)]
            assert subprocess.run(command, timeout=60).returncode == -signal.SIGKILL
            outcomes.append((opens(directory, before), opens(directory, after)))
            care.rotate_to(directory, after, before)
            assert (opens(directory, before), opens(directory, after)) == (False, True)
    # Before the commit the old key opens all of it, after it the new one: never both, never neither.
    assert outcomes == [(True, False), (True, False), (False, True)]


class Fading:
    """A key that can be used so many times more to wrap, and then not."""

    def __init__(self, kek: Kek, wraps: int) -> None:
        self.kek = kek
        self.wraps = wraps

    def wrap(self, data_key: bytes) -> bytes:
        if self.wraps == 0:
            raise KekError("the vault is gone")
        self.wraps -= 1
        return self.kek.wrap(data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        return self.kek.unwrap(wrapped)

    def close(self) -> None:
        pass


def test_a_rotation_to_a_key_that_fails_changes_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    old, new = FileKek(tmp_path / "old"), FileKek(tmp_path / "new")
    filled(directory, old)
    for wraps in (0, 1, 2):
        with pytest.raises(KekError, match="the vault is gone"):
            care.rotate_to(directory, Fading(new, wraps), old)
        assert (opens(directory, old), opens(directory, new)) == (True, False)


def test_a_rotation_of_a_store_that_another_key_opens_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    old, new, wrong = (FileKek(tmp_path / name) for name in ("old", "new", "wrong"))
    filled(directory, old)
    with pytest.raises(StoreCorrupt, match="another key-encryption key"):
        care.rotate_to(directory, new, wrong)
    with pytest.raises(care.CareError, match=r"kek\.bin is missing"):
        care.rotate_to(directory, new)
    with pytest.raises(care.CareError, match=r"kek\.bin is missing"):
        care.rotate(directory)
    assert opens(directory, old)


def test_a_store_goes_on_from_a_rotation_of_its_own_file_that_was_stopped(tmp_path: Path) -> None:
    directory, new = tmp_path / "store", FileKek(tmp_path / "new")
    filled(directory, None)
    stopped = shutil.copytree(directory, tmp_path / "stopped")
    following = FileKek(stopped / "kek.next")
    with contextlib.closing(SqliteStore(stopped)) as store:
        store.rewrap(following)  # and its new file has not got its name
    with pytest.raises(StoreCorrupt, match="another key-encryption key"):
        SqliteStore(stopped, new)  # whoever names a key means it
    for each in (directory, stopped):
        care.rotate_to(each, new)
        assert opens(each, new)


def test_a_key_that_fails_in_a_commit_stops_the_store_at_the_last_one(tmp_path: Path) -> None:
    directory, kek = tmp_path / "store", FileKek(tmp_path / "kek")
    filled(directory, kek)
    store = SqliteStore(directory, Fading(kek, 1))
    do(store, AppendOp("a>b", 2048, Secret(VALUE), (), True))
    for _ in range(2):
        with pytest.raises(StoreFailed):
            store.execute([OpenOp("a>b", ("lost",), 256, "m", ("s",), None, 3)])
    store.close()
    holds_all(directory, kek)
    with contextlib.closing(SqliteStore(directory, kek)) as again:
        assert do(again, OpenOp("a>b", ("lost",), 256, "m", ("s",), None, 3)).offsets == (256,)


def test_a_key_that_fails_at_the_start_leaves_the_store_to_whoever_tries_again(tmp_path: Path) -> None:
    directory, kek = tmp_path / "store", FileKek(tmp_path / "kek")

    class Unreachable(Fading):
        def unwrap(self, wrapped: bytes) -> bytes:
            raise KekError("no route to the vault")

    for _ in range(2):
        with pytest.raises(KekError, match="the vault is gone"):
            SqliteStore(directory, Unreachable(kek, 0))
    filled(directory, kek)
    with pytest.raises(KekError, match="no route") as kept:  # keeps the traceback, and what its frames hold
        SqliteStore(directory, Unreachable(kek, 9))
    holds_all(directory, kek)
    assert kept.value.__traceback__ is not None
    with contextlib.closing(SqliteStore(directory, kek)):
        pass


def test_a_backup_comes_back_under_the_key_that_the_store_has_now(tmp_path: Path) -> None:
    directory, copy = tmp_path / "store", tmp_path / "copy"
    old, new = FileKek(tmp_path / "old"), FileKek(tmp_path / "new")
    filled(directory, old)
    care.backup(directory, copy, old)
    care.rotate_to(directory, new, old)
    with pytest.raises(care.CareError, match="give --kek"):
        care.restore(copy, directory, to=new)
    with pytest.raises(care.CareError, match=r"kek\.bin is missing"):
        care.restore(copy, directory, old)
    holds_all(directory, new)
    assert care.restore(copy, directory, old, new) == 1
    with contextlib.closing(SqliteStore(directory, new)) as store:
        assert code_of(store, TakeOp("s", "m", ("i",), 2)) == "key-not-found"
    with pytest.raises(StoreCorrupt):
        SqliteStore(directory, old)


# -- the command line ------------------------------------------------------------------------------------


def quoit(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code, and what was told."""
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    return int(end.value.code or 0), told.out + told.err


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    filled(tmp_path / "run" / "stores" / "kme-a", None)
    return tmp_path / "run"


def test_rotate_from_the_command_line(
    run_directory: Path, name_of: Name, transit: TransitServer, capsys: pytest.CaptureFixture[str]
) -> None:
    store, where = run_directory / "stores" / "kme-a", ("--dir", str(run_directory))
    vault, file = name_of("vault"), name_of("file")
    assert quoit(capsys, "store", "rotate", "kme-a", "--to", vault, *where)[0] == 0
    with contextlib.closing(open_kek(vault)) as kek:
        assert opens(store, kek)
        transit.keys["kek"].versions.append(os.urandom(32))
        assert quoit(capsys, "store", "rotate", "kme-a", "--kek", vault, *where)[0] == 0
        transit.keys["kek"].min_decryption_version = 2
        assert opens(store, kek)
    code, told = quoit(capsys, "store", "rotate", "kme-a", "--kek", vault, "--to", file, *where)
    assert (code, "the old one opens nothing any more" in told) == (0, True)
    assert opens(store, open_kek(file))
    code, told = quoit(capsys, "store", "rotate", "kme-a", "--kek", file, *where)
    assert (code, "name the new one by --to" in told) == (2, True)
    code, told = quoit(capsys, "store", "rotate", "kme-a", "--to", str(run_directory / "new"), *where)
    assert (code, "was sealed under another key-encryption key" in told) == (2, True)
    assert opens(store, open_kek(file))


def test_rotate_says_what_is_wrong_with_a_key(
    run_directory: Path, transit: TransitServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    where, before = ("--dir", str(run_directory)), sorted(run_directory.rglob("*"))
    transit.token_file.chmod(0o644)
    pin = "pkcs11:token=t;object=o?module-path=/x.so&pin-value=hunter2"
    for name, text in (
        (transit.uri("kek"), "expected mode 0600, found 0644"),
        ("vault+http://127.0.0.1/transit/kek?token-file=t", "plain HTTP"),
        ("gcp://kek", "expected a file, pkcs11:"),
        (pin, "pin-value" if _has_pkcs11() else "pip install 'quoit[hsm]'"),
    ):
        code, told = quoit(capsys, "store", "rotate", "kme-a", "--to", name, *where)
        assert code == 2
        assert text in told
        assert told.count("\n") == 1
        assert "hunter2" not in told
    assert [path for path in sorted(run_directory.rglob("*")) if path.name != "twin.lock"] == before


def _has_pkcs11() -> bool:
    import importlib.util

    return importlib.util.find_spec("pkcs11") is not None


def test_keygen_makes_a_key_once(
    run_directory: Path, hsm: SoftHsm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri, where = hsm.uri("made here"), ("--dir", str(run_directory))
    assert quoit(capsys, "store", "keygen", uri)[0] == 0
    code, told = quoit(capsys, "store", "keygen", uri)
    assert (code, "there is one" in told) == (2, True)
    assert quoit(capsys, "store", "backup", "kme-a", str(tmp_path / "own"), *where)[0] == 0
    assert quoit(capsys, "store", "rotate", "kme-a", "--to", uri, *where)[0] == 0
    assert quoit(capsys, "store", "backup", "kme-a", str(tmp_path / "copy"), "--kek", uri, *where)[0] == 0
    own = str(run_directory / "stores" / "kme-a" / "kek.bin")
    assert quoit(capsys, "store", "restore", "kme-a", str(tmp_path / "own"), "--kek", own, "--to", uri, *where)[0] == 0
    assert quoit(capsys, "store", "restore", "kme-a", str(tmp_path / "copy"), "--to", uri, *where)[0] == 0
    with (
        contextlib.closing(open_kek(uri)) as kek,
        contextlib.closing(SqliteStore(run_directory / "stores" / "kme-a", kek)) as store,
        pytest.raises(InvalidUnwrap),
    ):
        FileKek(Path(own)).unwrap(next(iter(store._rows("SELECT checksum_key FROM progress")))[0])
