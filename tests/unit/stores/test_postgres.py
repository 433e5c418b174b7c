"""The store in PostgreSQL: the contract of all stores, and a standby that takes over from a killed owner."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quoit.adapters.crypto.kek import FileKek, KekError
from quoit.adapters.stores import care
from quoit.adapters.stores.sealed import StoreCorrupt
from quoit.model.secret import Secret
from quoit.service.keystore import AppendOp, BeginOp, KeyStore, MirrorOp, OpenOp, StoreFailed, TakeOp
from quoit.testing.stores import StoreContract, code_of, do

asyncpg = pytest.importorskip("asyncpg")


def _program(name: str) -> str | None:
    """On PATH, or where Debian has it."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(places[-1]) if places else None)


PROGRAMS = _program("postgres"), _program("initdb")
pytestmark = pytest.mark.skipif(None in PROGRAMS, reason="PostgreSQL (postgres, initdb) is not installed")


def _as_somebody() -> dict[str, int]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a server of one's own, on a socket in a directory."""
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix="quoit-pg-", dir="/tmp"))  # a socket's path must be short
    who = _as_somebody()
    if who:
        os.chown(directory, who["user"], who["group"])
    postgres, initdb = (str(program) for program in PROGRAMS)
    data = directory / "data"
    subprocess.run(
        [initdb, "-D", str(data), "-U", "quoit", "-A", "trust", "--no-sync"],
        check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"}, **who,
    )  # fmt: skip
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={directory}", "-c", "fsync=on"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([postgres, "-D", str(data), *options], stdout=log, stderr=log, **who)
    try:
        end = time.monotonic() + 30
        while not (directory / ".s.PGSQL.5432").exists():
            assert time.monotonic() < end, (directory / "log").read_text()
            time.sleep(0.1)
        yield f"postgresql://quoit@/postgres?host={directory}"
    finally:
        process.send_signal(signal.SIGINT)  # clients that are left are cut off
        process.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.realises("B6", "C2")
class TestPostgres(StoreContract):
    @pytest.fixture(autouse=True)
    def _use(self, server: str) -> None:
        self.server = server

    def make(self, directory: Path) -> KeyStore:
        from quoit.adapters.stores.postgres import PostgresStore

        return PostgresStore(self.server, str(directory), directory)


OWNER = """
import sys
from pathlib import Path
from quoit.adapters.stores.postgres import PostgresStore
from quoit.model.secret import Secret
from quoit.service.keystore import AppendOp, MirrorOp, TakeOp
store = PostgresStore(sys.argv[1], "kme", Path(sys.argv[2]))
start = 0
for i in range(10**6):
    store.execute([AppendOp("a>b", start, Secret(i.to_bytes(32, "big")), (), False)])
    store.execute([MirrorOp("a>b", (f"k{i}",), (start,), 256, "m", ("s",), None, i)])
    start += 256
    if i >= 5:
        (taken,) = store.execute([TakeOp("s", "m", (f"k{i - 5}",), i)])
        print(i - 5, taken.values[0].reveal().hex(), flush=True)
"""


@pytest.mark.realises("B6", "C2")
def test_k4_a_standby_goes_on_when_the_owner_is_killed_and_gives_nothing_twice(server: str, tmp_path: Path) -> None:
    from quoit.adapters.stores.postgres import PostgresStore

    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, server, str(tmp_path / "owner")], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    given = [next(owner.stdout) for _ in range(40)]
    owner.kill()
    given += owner.stdout.readlines()
    owner.wait()
    (tmp_path / "standby").mkdir(mode=0o700)
    shutil.copy2(tmp_path / "owner" / "kek.bin", tmp_path / "standby" / "kek.bin")
    standby = PostgresStore(server, "kme", tmp_path / "standby")
    answered = {int(line.split()[0]) for line in given if line.endswith("\n")}
    for i in answered:
        assert code_of(standby, TakeOp("s", "m", (f"k{i}",), 10**6)) == "key-not-found"
    last = max(answered)
    # One delivery may have been committed and not told; those after it were mirrored before, and wait.
    waiting = range(last + 2, last + 5)
    values = [do(standby, TakeOp("s", "m", (f"k{i}",), 10**6)).values[0].reveal() for i in waiting]
    assert values == [i.to_bytes(32, "big") for i in waiting]
    standby.close()


def test_c1_an_owner_that_was_replaced_can_commit_nothing(server: str, tmp_path: Path) -> None:
    from quoit.adapters.stores.postgres import PostgresStore

    old = PostgresStore(server, "fenced", tmp_path)
    do(old, BeginOp(1))
    do(old, AppendOp("a>b", 0, Secret(bytes(64)), (), False))
    do(old, MirrorOp("a>b", ("k",), (0,), 256, "m", ("s",), None, 1))
    new = PostgresStore(server, "fenced", tmp_path)
    with pytest.raises(StoreFailed, match="FencedOut"):
        old.execute([TakeOp("s", "m", ("k",), 2)])
    assert do(new, TakeOp("s", "m", ("k",), 2)).values[0].reveal() == bytes(32)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            old.execute([OpenOp("a>b", ("x",), 256, "m", ("s",), None, 3)])
    new.close()
    old.close()


def test_a_store_is_wrapped_anew_and_whoever_had_it_open_is_put_out(server: str, tmp_path: Path) -> None:
    from quoit.adapters.stores.postgres import PostgresStore

    old, new = FileKek(tmp_path / "old"), FileKek(tmp_path / "new")
    owner = PostgresStore(server, "wrapped anew", tmp_path / "owner", old)
    do(owner, AppendOp("a>b", 0, Secret(bytes(range(32)) * 2), (), False))
    do(owner, MirrorOp("a>b", ("k",), (0,), 256, "m", ("s",), None, 1))
    for _ in range(2):  # the second finds it done
        care.rotate_shared(server, "wrapped anew", tmp_path / "care", new, old)
    with pytest.raises(StoreFailed, match="FencedOut"):
        do(owner, TakeOp("s", "m", ("k",), 2))
    owner.close()
    with pytest.raises(StoreCorrupt, match="another key-encryption key"):
        PostgresStore(server, "wrapped anew", tmp_path / "owner", old)
    late = PostgresStore(server, "wrapped anew", tmp_path / "owner", new)
    standby = PostgresStore(server, "wrapped anew", tmp_path / "standby", new)
    with pytest.raises(StoreFailed, match="FencedOut"):
        late.rewrap(old)
    late.close()
    assert do(standby, TakeOp("s", "m", ("k",), 2)).values[0].reveal() == bytes(range(32))
    standby.close()


def test_a_key_that_cannot_be_reached_takes_no_store_over(server: str, tmp_path: Path) -> None:
    from quoit.adapters.stores.postgres import PostgresStore

    class Gone(FileKek):
        def wrap(self, data_key: bytes) -> bytes:
            raise KekError("no route to the vault")

    kek = FileKek(tmp_path / "kek")
    owner = PostgresStore(server, "reached", tmp_path / "owner", kek)
    with pytest.raises(KekError, match="no route"):
        PostgresStore(server, "reached", tmp_path / "standby", Gone(tmp_path / "kek"))
    do(owner, AppendOp("a>b", 0, Secret(bytes(64)), (), False))
    owner.close()
