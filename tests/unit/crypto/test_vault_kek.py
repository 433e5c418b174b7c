"""Key-encryption keys in a transit engine: deadlines, refusals, and nothing secret in what is said of them.

The server is tests/transit_server.py. It is neither Vault nor OpenBao: no package registry has one.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap
from hypothesis import given
from hypothesis import strategies as st

from quoit.adapters.crypto.kek import KekError, KekFileError
from quoit.adapters.crypto.kek_uri import open_kek
from quoit.adapters.crypto.vault_kek import VaultKek, VaultUri, VaultUriError
from transit_server import TransitServer

DATA_KEY = bytes(range(100, 132))
WITHIN_S = 1.0
"""Deadline of the calls of these tests."""


@contextlib.contextmanager
def opened(uri: str) -> Iterator[VaultKek]:
    with contextlib.closing(VaultKek(VaultUri.parse(uri), WITHIN_S)) as kek:
        yield kek


def refusal_of(use: Callable[[], object], transit: TransitServer) -> str:
    """What a use is refused with, soon; no token and no key is in it, nor in its traceback."""
    begun = time.monotonic()
    with pytest.raises(KekError) as refused:
        use()
    assert time.monotonic() - begun < WITHIN_S + 1.5
    told = "".join(traceback.format_exception(refused.value))
    assert transit.token not in told
    assert "ZGVmZ2hp" not in told  # DATA_KEY in base64
    return str(refused.value)


def test_what_a_uri_names() -> None:
    found = VaultUri.parse("vault+https://vault.example/a/b/kek?token-file=/t%20t&ca-file=ca.pem&namespace=team/x")
    assert found == VaultUri("https://vault.example:8200", "a/b", "kek", Path("/t t"), Path("ca.pem"), "team/x")
    assert VaultUri.parse("vault+https://[::1]:443/transit/k?token-file=t").server == "https://[::1]:443"
    assert str(found) == "https://vault.example:8200, key kek of a/b"


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("vault+http://h/transit/k?token-file=t", "plain HTTP tells the token"),
        ("vault+https:///transit/k?token-file=t", "expected vault+https://HOST"),
        ("vault+https://h:99999/transit/k?token-file=t", "expected vault+https://HOST"),
        ("vault+https://h%20/transit/k?token-file=t", "expected a host's name"),
        ("vault+https://hunter2@h/transit/k?token-file=t", "expected no user"),
        ("vault+https://h/transit/k?token-file=t#hunter2", "expected no user"),
        ("vault+https://h/k?token-file=t", "expected /MOUNT/NAME"),
        ("vault+https://h/transit/?token-file=t", "expected /MOUNT/NAME"),
        ("vault+https://h/../k?token-file=t", "expected /MOUNT/NAME"),
        ("vault+https://h/transit/a%2Fb?token-file=t", "expected /MOUNT/NAME"),
        ("vault+https://h/transit/k", "expected token-file"),
        ("vault+https://h/transit/k?token-file=", "token-file: expected one value"),
        ("vault+https://h/transit/k?token-file=t&token-file=t", "token-file: expected one value"),
        ("vault+https://h/transit/k?token-file=t&namespace=a%0Ab", "namespace: expected one value"),
        ("vault+https://h/transit/k?token=hunter2", "found something else"),
    ],
)
def test_uris_that_are_refused(uri: str, text: str) -> None:
    with pytest.raises(VaultUriError) as refused:
        VaultUri.parse(uri)
    assert text in str(refused.value)
    assert "hunter2" not in str(refused.value)


@given(st.text() | st.text(alphabet="/:?&=@[]#%.-a1token-file").map(lambda rest: f"vault+https://{rest}"))
def test_no_text_brings_it_to_anything_but_a_name_or_its_refusal(text: str) -> None:
    try:
        found = VaultUri.parse(text)
    except VaultUriError:
        return
    assert re.fullmatch(r"https://[A-Za-z0-9._:\[\]-]+:\d+", found.server)
    assert found.mount
    assert found.name


def test_calls_are_as_the_engine_expects_them(transit: TransitServer) -> None:
    with opened(transit.uri("kek", "&namespace=team")) as kek:
        wrapped = kek.wrap(DATA_KEY)
        assert re.fullmatch(rb"vault:v1:[A-Za-z0-9+/]{80}", wrapped)
        assert kek.unwrap(wrapped) == DATA_KEY
    paths = ["/v1/transit/encrypt/kek", "/v1/transit/decrypt/kek"] * 2  # the first two are the trial
    assert transit.asked == [(path, transit.token, "team") for path in paths]


def test_a_refusal_tells_no_secret(transit: TransitServer) -> None:
    with opened(transit.uri("kek")) as kek:
        wrapped = kek.wrap(DATA_KEY)
        transit.write_token("hvs.another")
        transit.token_file.chmod(0o600)
        for use in (lambda: kek.wrap(DATA_KEY), lambda: kek.unwrap(wrapped)):
            said = refusal_of(use, transit)
            assert "refuses: its token is no longer valid, or may not do that (HTTP 403)" in said
            assert "hvs.another" not in said
        transit.write_token(transit.token)
        assert kek.unwrap(wrapped) == DATA_KEY  # the file is read again
        transit.may = {"encrypt"}
        assert "may not do that" in refusal_of(lambda: kek.unwrap(wrapped), transit)


@pytest.mark.shows_secrets("a token in a file that others may read is what it tries")
@pytest.mark.parametrize(
    ("content", "mode", "text"),
    [
        ("hvs.hunter2", 0o644, "expected mode 0600, found 0644"),
        ("", 0o600, "expected a token in one line"),
        ("hvs.hunter2\nhvs.hunter2", 0o600, "expected a token in one line"),
        ("hvs.hunter2\x7f", 0o600, "expected a token in one line"),
        ("hvs.h\u00fcnter2", 0o600, "expected a token in one line"),
    ],
)
def test_token_files_that_are_refused(content: str, mode: int, text: str, transit: TransitServer) -> None:
    uri = transit.uri("kek")
    transit.write_token(content, mode)
    with pytest.raises(KekFileError) as refused:
        VaultKek(VaultUri.parse(uri), WITHIN_S)
    assert text in str(refused.value)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))
    assert transit.asked == []


def test_a_sealed_vault_is_waited_for_within_the_deadline(transit: TransitServer) -> None:
    uri = transit.uri("kek")
    transit.sealed_for = 2
    with opened(uri) as kek:
        wrapped = kek.wrap(DATA_KEY)
        transit.sealed_for = 1
        assert kek.unwrap(wrapped) == DATA_KEY
        transit.sealed = True
        assert "sealed, or in maintenance (HTTP 503)" in refusal_of(lambda: kek.unwrap(wrapped), transit)
        assert "sealed" in refusal_of(lambda: VaultKek(VaultUri.parse(uri), WITHIN_S), transit)
        transit.sealed = False
        assert kek.unwrap(wrapped) == DATA_KEY


def test_a_server_that_cannot_be_reached(transit: TransitServer) -> None:
    uri = transit.uri("kek")
    with opened(uri) as kek:
        transit.close()
        assert "cannot be reached" in refusal_of(lambda: kek.wrap(DATA_KEY), transit)
    with socket.socket() as nobody:  # takes connections and never says anything
        nobody.bind(("127.0.0.1", 0))
        nobody.listen()
        silent = uri.replace(f":{transit.port}/", f":{nobody.getsockname()[1]}/")
        assert "tried for 1 s" in refusal_of(lambda: VaultKek(VaultUri.parse(silent), WITHIN_S), transit)


def test_a_server_that_nobody_vouches_for_is_not_told_the_token(transit: TransitServer, tmp_path: Path) -> None:
    uri = transit.uri("kek")
    stranger = uri.replace(f"&ca-file={transit.ca_file}", "")
    assert "certificate verify failed" in refusal_of(lambda: VaultKek(VaultUri.parse(stranger), WITHIN_S), transit)
    assert transit.asked == []
    for name in ("missing.pem", "token"):
        with pytest.raises(KekFileError, match="no certificates of authorities"):
            VaultKek(VaultUri.parse(uri.replace(str(transit.ca_file), str(transit.token_file.parent / name))), WITHIN_S)


def test_a_slow_answer_ends_at_the_deadline_whole(transit: TransitServer) -> None:
    with opened(transit.uri("kek")) as kek:
        transit.drip = True
        assert "no answer within 1 s" in refusal_of(lambda: kek.wrap(DATA_KEY), transit)
        transit.drip, transit.stall_s = False, 3.0
        assert "no answer within 1 s" in refusal_of(lambda: kek.wrap(DATA_KEY), transit)
        transit.stall_s = 0.0
        assert kek.unwrap(kek.wrap(DATA_KEY)) == DATA_KEY


def test_the_token_does_not_go_where_the_server_points(transit: TransitServer, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    other = TransitServer(tmp_path / "elsewhere")
    with opened(transit.uri("kek")) as kek:
        transit.redirect_to = f"https://127.0.0.1:{other.port}/v1/transit/encrypt/kek"
        assert "points elsewhere (HTTP 307)" in refusal_of(lambda: kek.wrap(DATA_KEY), transit)
    other.close()
    assert other.asked == []


def test_proxies_of_the_environment_are_not_asked(transit: TransitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with opened(transit.uri("kek")) as kek:
        assert kek.unwrap(kek.wrap(DATA_KEY)) == DATA_KEY


def test_engines_and_keys_that_are_not_there(transit: TransitServer) -> None:
    uri = transit.uri("kek")
    elsewhere = uri.replace(f"{transit.port}/transit/", f"{transit.port}/elsewhere/")
    misspelt = uri.replace("/kek?", "/misspelt?")
    said = refusal_of(lambda: VaultKek(VaultUri.parse(elsewhere), WITHIN_S), transit)
    assert "knows no transit engine there (HTTP 404)" in said
    assert "may not do that (HTTP 403)" in refusal_of(lambda: VaultKek(VaultUri.parse(misspelt), WITHIN_S), transit)
    assert transit.keys.keys() == {"kek"}
    with opened(uri) as kek:
        wrapped = kek.wrap(DATA_KEY)
        del transit.keys["kek"]
        with pytest.raises(InvalidUnwrap, match="there is no such key"):
            kek.unwrap(wrapped)


def test_versions_of_a_key(transit: TransitServer) -> None:
    with opened(transit.uri("kek")) as kek:
        first = kek.wrap(DATA_KEY)
        transit.keys["kek"].versions.append(bytes(range(32)))
        second = kek.wrap(DATA_KEY)
        assert second.startswith(b"vault:v2:")
        assert [kek.unwrap(wrapped) for wrapped in (first, second)] == [DATA_KEY] * 2
        transit.keys["kek"].min_decryption_version = 2
        with pytest.raises(InvalidUnwrap, match="min_decryption_version"):
            kek.unwrap(first)
        transit.keys["kek"].versions.pop()
        with pytest.raises(InvalidUnwrap, match="no such version"):
            kek.unwrap(second)


def _answer(**data: object) -> bytes:
    return json.dumps({"data": data}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>a proxy's page</html>"),
        (200, b"{}"),
        (200, b'{"data": null}'),
        (200, b"[]"),
        (200, b'"data"'),
        (200, b"\xff"),
        (200, _answer(ciphertext=1, plaintext=1)),
        (200, _answer(ciphertext="vault:v0:AAAA", plaintext="ZGVmZ2hp!")),
        (200, _answer(ciphertext="ZGVmZ2hp", plaintext="\u00e9")),
        (204, b""),
        (401, b"ZGVmZ2hp"),
    ],
)
def test_answers_of_something_else(answer: tuple[int, bytes], transit: TransitServer) -> None:
    with opened(transit.uri("kek")) as kek:
        wrapped = kek.wrap(DATA_KEY)
        transit.raw_answer = answer
        refusal_of(lambda: kek.wrap(DATA_KEY), transit)
        refusal_of(lambda: kek.unwrap(wrapped), transit)


def test_an_answer_that_does_not_end_is_not_kept(transit: TransitServer) -> None:
    with opened(transit.uri("kek")) as kek:
        transit.raw_answer = 200, b" " * 70_000 + _answer(ciphertext="vault:v1:AAAA")
        assert "more than 65536 bytes" in refusal_of(lambda: kek.wrap(DATA_KEY), transit)


def test_a_plaintext_of_another_size_is_no_data_key(transit: TransitServer) -> None:
    with opened(transit.uri("kek")) as kek:
        short = transit.keys["kek"].encrypt("AAAA").encode()
        with pytest.raises(InvalidUnwrap, match="32 bytes, found 3"):
            kek.unwrap(short)


def test_closing_it_ends_its_thread(transit: TransitServer) -> None:
    import threading

    before = set(threading.enumerate())
    kek = open_kek(transit.uri("kek"))
    mine = [thread for thread in set(threading.enumerate()) - before if thread.name == "vault"]
    assert len(mine) == 1
    kek.close()
    assert not mine[0].is_alive()
