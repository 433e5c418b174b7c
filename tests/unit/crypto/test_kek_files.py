"""Keys, PINs and tokens in files: for their owner alone, whole or not at all; and the names of keys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from rfc3394 import DATA, KEY, WRAPPED

from quoit.adapters.crypto.kek import FileKek, KekError, KekFileError, read_secret_file
from quoit.adapters.crypto.kek_uri import has_versions, open_kek


def test_rfc_3394_4_6_256_bits_of_data_with_a_256_bit_kek(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    path.write_bytes(KEY)
    path.chmod(0o600)
    kek = FileKek(path)
    assert kek.wrap(DATA) == WRAPPED
    assert kek.unwrap(WRAPPED) == DATA


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_file_that_others_may_use_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "kek"
    path.write_bytes(bytes(32))
    path.chmod(mode)
    for read in (FileKek, read_secret_file):
        with pytest.raises(KekFileError, match=f"found {mode:04o}; run: chmod 600"):
            read(path)
    path.chmod(0o400)
    FileKek(path)


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    for size in (0, 31, 33, 70_000):
        path.write_bytes(bytes(size))
        path.chmod(0o600)
        with pytest.raises(KekFileError, match="expected"):
            FileKek(path)
    for other in (tmp_path, tmp_path / "missing" / "kek"):
        with pytest.raises(KekFileError, match=str(other)):
            FileKek(other)


def test_a_key_is_made_only_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    with pytest.raises(KekFileError, match="No such file"):
        open_kek(str(path))
    assert list(tmp_path.iterdir()) == []
    wrapped = open_kek(str(path), make=True).wrap(bytes(32))
    assert open_kek(str(path)).unwrap(wrapped) == bytes(32)
    assert [file.name for file in tmp_path.iterdir()] == ["kek"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(set(path.read_bytes())) > 8


def test_what_a_crash_left_of_it_is_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "kek.new").write_bytes(b"x" * 100)
    FileKek(tmp_path / "kek")
    assert [(file.name, file.stat().st_size) for file in tmp_path.iterdir()] == [("kek", 32)]


MAKES = """
import sys
from pathlib import Path
from quoit.adapters.crypto.kek import FileKek
path, go = Path(sys.argv[1]), Path(sys.argv[1] + ".go")
print("ready", flush=True)
while not go.exists():
    pass
print(FileKek(path).wrap(bytes(32)).hex())
"""


def test_processes_that_make_it_at_once_have_one_key(tmp_path: Path) -> None:
    path = tmp_path / "kek"
    command = [sys.executable, "-c", MAKES, str(path)]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"
    (tmp_path / "kek.go").touch()
    wrapped = {maker.communicate(timeout=60)[0] for maker in makers}
    assert wrapped == {FileKek(path).wrap(bytes(32)).hex() + "\n"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["kek", "kek.go"]


@pytest.mark.parametrize("name", ["", "file:///etc/kek", "https://vault/transit/kek", "aws-kms://key"])
def test_a_name_of_no_kind_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(KekError, match=r"expected a file, pkcs11:.* or vault\+https:"):
        open_kek(name, make=True)


def test_which_keys_have_versions() -> None:
    names = ["kek.bin", "pkcs11:token=t;object=o", "vault+https://h/transit/k", "VAULT+HTTPS://h/transit/k"]
    assert [has_versions(name) for name in names] == [False, False, True, True]


def test_what_is_wrapped_has_one_length(tmp_path: Path) -> None:
    kek = FileKek(tmp_path / "kek")
    for size in (0, 8, 24, 32, 39, 41, 48):
        with pytest.raises(InvalidUnwrap):
            kek.unwrap(bytes(size))
