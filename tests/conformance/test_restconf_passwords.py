"""Clients without a certificate come by a role's password (RFC 8040 cl. 2.5, RFC 7617) where a listener has them."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from quoit.adapters.crypto.pki import Authority
from quoit.interfaces.identity import Identities
from quoit.interfaces.listener import listen
from quoit.interfaces.passwords import Passwords
from quoit.interfaces.restconf.server import serve
from restconf_lab import LAB, Lab

TOKENS = {"me": "S6wVtq3_mYx-2o", "you": "p0k9T7_aa-ZzQ1"}


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


@asynccontextmanager
async def site(
    directory: Path, tls: Callable[[Authority], ssl.SSLContext | None]
) -> AsyncIterator[tuple[int, Authority]]:
    authority = Authority(directory)
    lab = Lab()
    await lab.ready()
    identities = Identities.of([("me", None)])
    passwords = Passwords(TOKENS)
    async with serve(lab.core, "127.0.0.1", 0, tls(authority), identities.read, passwords=passwords) as listener:
        yield listener.port, authority


def at(
    directory: Path, tls: Callable[[Authority], ssl.SSLContext | None], work: Callable[[int, Authority], None]
) -> None:
    async def run() -> None:
        async with site(directory, tls) as (port, authority):
            await asyncio.to_thread(work, port, authority)

    asyncio.run(run())


def fetch(url: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=10, **options)


def test_over_plain_http_on_loopback_the_password_says_who_asks(tmp_path: Path) -> None:
    def work(port: int, authority: Authority) -> None:
        url = f"http://127.0.0.1:{port}{LAB}"
        nobody = fetch(url)
        assert (nobody.status_code, nobody.headers["www-authenticate"][:5]) == (401, "Basic")
        assert nobody.json()["ietf-restconf:errors"]["error"][0]["error-tag"] == "access-denied"
        for wrong in (
            basic("me", TOKENS["you"]),
            basic("nobody", TOKENS["me"]),
            basic("me", ""),
            f"Bearer {TOKENS['me']}",
            "Basic %%%",
            "Basic /w==",
            "",
        ):
            assert fetch(url, headers={"authorization": wrong}).status_code == 401
        assert fetch(url, auth=("me", TOKENS["me"])).status_code == 200
        # as a client does that only knows an address: the URL has name and password
        assert fetch(f"http://me:{TOKENS['me']}@127.0.0.1:{port}{LAB}").status_code == 200

    at(tmp_path / "pki", lambda authority: None, work)


def test_over_tls_a_certificate_goes_before_a_password(tmp_path: Path) -> None:
    def tls(authority: Authority) -> ssl.SSLContext:
        return authority.enrolment_context(authority.issue_kme("agent", ["127.0.0.1"]))

    def work(port: int, authority: Authority) -> None:
        url, root = f"https://127.0.0.1:{port}{LAB}", str(authority.root_pem)
        mine, strange = (authority.issue_application(name) for name in ("me", "stranger"))
        assert fetch(url, verify=root).status_code == 401
        assert fetch(url, verify=root, auth=("you", TOKENS["you"])).status_code == 200
        assert fetch(url, verify=root, cert=(str(mine.chain), str(mine.key))).status_code == 200
        certificate = (str(strange.chain), str(strange.key))
        assert fetch(url, verify=root, cert=certificate, auth=("me", TOKENS["me"])).status_code == 401

    at(tmp_path / "pki", tls, work)


def test_a_listener_without_tls_is_opened_on_loopback_and_on_purpose_alone() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    async def opened(address: str, anonymous: bool) -> None:
        await listen(app, address, 0, None, {}, identify=Identities.of([]).read, anonymous=anonymous)

    with pytest.raises(ValueError, match="client certificate"):
        asyncio.run(opened("127.0.0.1", False))
    with pytest.raises(ValueError, match=r"loopback addresses alone, found 0\.0\.0\.0"):
        asyncio.run(opened("0.0.0.0", True))


def test_passwords_do_not_print() -> None:
    assert TOKENS["me"] not in repr(vars(Passwords(TOKENS)))
