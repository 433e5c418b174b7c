"""The search for secrets finds what is planted, in every channel, in this process and in those that tests start."""

from __future__ import annotations

import importlib
import re
import stat
from pathlib import Path

import pytest

from quoit.testing.leaks.exempt import why_exempt
from quoit.testing.leaks.sources import SOURCES

PLANTED = """
import logging, os, subprocess, sys, tempfile, warnings
from pathlib import Path
import pytest
from quoit.model.secret import Secret

MADE = "from quoit.model.secret import Secret"

def key():
    return Secret(os.urandom(32))

def child(text):
    return [sys.executable, "-c", f"import os; {MADE}; k = Secret(os.urandom(32)).reveal().hex(); {text}"]

def test_clean(tmp_path, capsys):
    value = key()
    print(value, repr(value), f"{value}")
    (tmp_path / "log").write_text(str(value))

def test_stdout():
    print("a key:", key().reveal().hex())

def test_stderr():
    print(key().reveal(), file=sys.stderr)

def test_file_descriptor():
    os.write(2, key().reveal().hex().encode())  # pytest replaces what is no UTF-8

def test_taken_output(capsys):
    print(list(key().reveal()))
    assert capsys.readouterr().out

def test_log():
    logging.getLogger("x").warning("key %s", key().reveal())

def test_field_of_log():
    logging.getLogger("x").warning("key", extra={"value": key().reveal()})

def test_warning():
    warnings.warn("key " + key().reveal().hex())

def test_failure():
    assert key().reveal() == b""

def test_exception():
    raise ValueError(key().reveal().hex())

def test_teardown(request):
    value = key()
    request.addfinalizer(lambda: print(value.reveal().hex()))

def test_command_line():
    subprocess.run(["true", key().reveal().hex()], check=True)

def test_environment():
    subprocess.run(["true"], check=True, env={**os.environ, "KEY": key().reveal().hex()})

def test_command_line_of_a_child():
    subprocess.run(child("import subprocess; subprocess.run(['true', k])"), check=True)

def test_output_of_a_child():
    print(subprocess.run(child("print(k)"), check=True, capture_output=True, text=True).stdout)

def test_output_of_a_command(tmp_path):
    fake = tmp_path / "quoit"
    program = f"import os\\n{MADE}\\nprint(Secret(os.urandom(32)).reveal().hex())"
    fake.write_text(f"#!{sys.executable}\\n{program}")
    fake.chmod(0o700)
    with subprocess.Popen([str(fake), "up"], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            pass
    assert subprocess.run([str(fake), "up"], capture_output=True, check=True).stdout

def test_file(tmp_path):
    (tmp_path / "store.db").write_bytes(b"x" * 5000 + key().reveal())

def test_file_of_a_child(tmp_path):
    subprocess.run(child(f"open({str(tmp_path / 'events.jsonl')!r}, 'w').write(k)"), check=True)

def test_file_of_a_fork(tmp_path):
    pid = os.fork()
    if not pid:
        values = [key() for _ in range(5000)]
        (tmp_path / "forked").write_bytes(values[0].reveal())
        os._exit(0)
    os.waitpid(pid, 0)

def test_temporary_file():
    os.write(tempfile.mkstemp()[0], key().reveal().hex().encode())

def test_private_key(tmp_path):
    from quoit.adapters.crypto.pki import Authority
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    leaf = Authority(tmp_path / "pki").issue_application("alice")
    number = load_pem_private_key(leaf.key.read_bytes(), None).private_numbers().private_value
    (tmp_path / "notes").write_bytes(number.to_bytes(32, "big"))

def test_key_encryption_key(tmp_path):
    from quoit.adapters.crypto.kek import FileKek
    FileKek(tmp_path / "any-name")
    (tmp_path / "copy").write_bytes((tmp_path / "any-name").read_bytes())

def test_secret_file_for_all(tmp_path):
    (tmp_path / "x.key").write_bytes(key().reveal())
    (tmp_path / "x.key").chmod(0o644)

def test_secret_file(tmp_path):
    (tmp_path / "x.key").touch(0o600)
    (tmp_path / "x.key").write_bytes(key().reveal())

@pytest.mark.shows_secrets("it is its job")
def test_by_design(tmp_path):
    print(key().reveal().hex())
    (tmp_path / "keys").write_bytes(key().reveal())
"""
FAILED_BY_ITSELF = {
    "stdout": "captured stdout call",
    "stderr": "captured stderr call",
    "file_descriptor": "captured stderr call",
    "taken_output": "captured output",
    "log": "captured log call",
    "field_of_log": "log records",
    "failure": "the failure's text",
    "exception": "the failure's text",
    "teardown": "captured stdout teardown",
    "command_line": "a command line or environment of true",
    "environment": "a command line or environment of true",
    "command_line_of_a_child": "a command line of a process of the test's",
    "output_of_a_child": "captured stdout call",
    "output_of_a_command": "output of quoit up",
}
FAILED_AT_THE_END = {
    "warning": "a warning",
    "file": "store.db",
    "file_of_a_child": "events.jsonl",
    "file_of_a_fork": "forked",
    "private_key": "notes",
    "key_encryption_key": "copy",
    "secret_file_for_all": "x.key",
}
CLEAN = ("clean", "secret_file", "by_design")
LONG_SECRET = re.compile(r"[0-9a-f]{32,}|(\\x[0-9a-f]{2}){8,}|(\d+, ){9,}")


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *options: str) -> pytest.RunResult:
    """A run of pytest over the planted leaks, not watched by the search that watches this test."""
    monkeypatch.delenv("QUOIT_LEAKS_DIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3] / "src"))
    pytester.makepyfile(test_planted=PLANTED)
    return pytester.runpytest_subprocess("-p", "quoit.testing.leaks.plugin", "-p", "no:cacheprovider", *options)


@pytest.mark.realises("I1")
@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "worker"])
def test_s1_every_planted_leak_is_found_named_and_not_shown(
    options: tuple[str, ...], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(pytester, monkeypatch, "-vv", "-rpfE", *options)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    told = done.stdout.str()
    lines = told.splitlines()
    found = [line for line in lines if line.startswith("bytes of a secret in")]
    for name, channel in {**FAILED_BY_ITSELF, **FAILED_AT_THE_END}.items():
        assert any(line.endswith(f"::test_{name}") and channel in line for line in found), (name, told)
    for name in CLEAN:
        assert not [line for line in found if line.endswith(f"::test_{name}")], name
        assert any(line.startswith("PASSED") and line.endswith(f"::test_{name}") for line in lines), name
    for name in FAILED_AT_THE_END:  # known at the end alone: the test itself has passed
        assert any(line.startswith("PASSED") and line.endswith(f"::test_{name}") for line in lines), name
    assert any("a temporary file of some test" in line for line in found)
    assert not LONG_SECRET.search(told), LONG_SECRET.search(told)


def test_without_secrets_in_wrong_places_a_run_is_good(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(pytester, monkeypatch, "-k", "clean or by_design")
    done.assert_outcomes(passed=2, deselected=23)
    assert done.ret == pytest.ExitCode.OK


def test_the_search_can_be_switched_off(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(pytester, monkeypatch, "--no-leak-search", "-k", "stdout or clean").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("module", SOURCES)
def test_every_source_is_there(module: str) -> None:
    for source in SOURCES[module]:
        owner = importlib.import_module(module)
        for name in source.name.split("."):
            owner = getattr(owner, name)
        assert callable(owner)


def test_what_is_for_secrets_is_exempt_while_nobody_else_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "alice.key"
    file.touch(0o600)
    assert why_exempt(file)
    file.chmod(0o640)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert why_exempt(file) is None
    other = tmp_path / "events.jsonl"
    other.touch(0o600)
    assert why_exempt(other) is None
    assert why_exempt(other, {other})
    assert why_exempt(tmp_path / "gone.key") is None
