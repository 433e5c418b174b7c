"""A key-encryption key in the transit engine of a HashiCorp Vault or an OpenBao, over HTTPS.

    vault+https://vault.example:8200/transit/quoit-kek?token-file=/etc/quoit/vault-token

What stands before the last `/` is where the engine is mounted, the last part is the key's name. Further: `ca-file`
(PEM, who vouches for the server, instead of the system's authorities), `namespace`. The token is read from its file, of
mode 0600, at each call: an agent may renew it. Its policy needs `update` on `<mount>/encrypt/<name>` and
`<mount>/decrypt/<name>`, and no `create`: with it, a name that is misspelt becomes a new key.

A client of our own, because two calls of one engine are all of it, because the whole of a call has one deadline, and
because what such a server says in errors must not get into ours. Within the deadline, what may pass is tried again: no
connection, a sealed vault, a change of leaders, too many requests. Redirections are not followed: the token would go
where they point.

https://developer.hashicorp.com/vault/api-docs/secret/transit, https://openbao.org/api-docs/secret/transit/
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx2
import msgspec
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap

from quoit.adapters.crypto.kek import DATA_KEY_BYTES, KekError, KekFileError, must_be_a_data_key, read_secret_file
from quoit.model.secret import Secret

WITHIN_S = 10.0
"""All tries of a call together."""
RETRY_S = 0.25
ANSWER_BYTES = 65_536
_WRAPPED = re.compile(r"vault:v[1-9][0-9]{0,9}:[A-Za-z0-9+/]+={0,2}")
_PASSING = {412, 429, 472, 473, 500, 502, 503, 504}
_SAYS = {
    400: "does not do that with this key: expected one that is there, for encryption, not derived",
    403: "refuses: its token is no longer valid, or may not do that",
    404: "knows no transit engine there",
    412: "has not caught up with its leader",
    429: "has too many requests",
    503: "is sealed, or in maintenance",
}
_WHY = {
    "too old": "min_decryption_version of the key is above it",
    "too new": "the key has no such version",
    "key not found": "there is no such key",
}


class VaultUriError(KekError):
    """Not the name of a transit key. The text holds no value of the URI."""


@dataclass(frozen=True)
class VaultUri:
    """A transit key's name, and the files that calls need."""

    server: str
    mount: str
    name: str
    token_file: Path
    ca_file: Path | None = None
    namespace: str | None = None

    @classmethod
    def parse(cls, text: str) -> VaultUri:
        """Raises `VaultUriError`."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise VaultUriError("expected vault+https://HOST:PORT/MOUNT/NAME?token-file=FILE") from None
        if parts.scheme != "vault+https" or not host:
            raise VaultUriError(
                "expected vault+https://HOST:PORT/MOUNT/NAME?token-file=FILE; plain HTTP tells the token"
            )
        if not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
            raise VaultUriError("expected a host's name or address")
        if "@" in parts.netloc or parts.fragment:
            raise VaultUriError("expected no user, password or fragment; the token's file is given by token-file")
        *mount, name = parts.path.removeprefix("/").split("/")
        if not mount or not all(re.fullmatch(r"(?!\.+$)[A-Za-z0-9._-]+", word) for word in (*mount, name)):
            raise VaultUriError("expected /MOUNT/NAME: where the transit engine is, and its key")
        given = _query(parts.query)
        if "token-file" not in given:
            raise VaultUriError("expected token-file: a file of mode 0600 that holds the token")
        host = f"[{host}]" if ":" in host else host
        ca_file = Path(given["ca-file"]) if "ca-file" in given else None
        server = f"https://{host}:{port or 8200}"
        return cls(server, "/".join(mount), name, Path(given["token-file"]), ca_file, given.get("namespace"))

    def token(self) -> Secret:
        """The token, from its file. Raises `KekFileError`."""
        content = read_secret_file(self.token_file).strip()
        # What a header cannot hold would be printed by the error that says so.
        if not re.fullmatch(rb"[\x21-\x7e]+", content):
            raise KekFileError(f"{self.token_file}: expected a token in one line")
        return Secret(content)

    def __str__(self) -> str:
        """Which key at which server, for messages."""
        return f"{self.server}, key {self.name} of {self.mount}"


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        if name not in ("token-file", "ca-file", "namespace"):
            raise VaultUriError("after the ? expected token-file, ca-file, namespace; found something else")
        value = unquote(value)
        if name in found or not value or not value.isprintable():
            raise VaultUriError(f"{name}: expected one value, percent-encoded")
        found[name] = value
    return found


class _Passing(Exception):
    """What may be over at the next try; the text says what it was."""


class VaultKek:
    """See `Kek`. Opening it wraps and unwraps a random key. No call takes longer than `within_s` seconds.
    Raises `KekError`."""

    def __init__(self, uri: VaultUri, within_s: float = WITHIN_S) -> None:
        self._uri = uri
        self._within_s = within_s
        headers = {"X-Vault-Request": "true"} | ({"X-Vault-Namespace": uri.namespace} if uri.namespace else {})
        try:
            trust = ssl.create_default_context(cafile=uri.ca_file)
        except OSError as fault:  # ssl.SSLError is one
            raise KekFileError(f"{uri.ca_file}: no certificates of authorities in PEM ({fault.strerror})") from fault
        # A loop of its own in a thread of its own: on it, a deadline ends a call wherever it is, and stores call from
        # threads where another loop may run. Proxies of the environment are left out: they would be told the token.
        self._http = httpx2.AsyncClient(
            base_url=uri.server, headers=headers, verify=trust, timeout=within_s, trust_env=False
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vault", daemon=True)
        self._thread.start()
        try:
            self._must_work()
        except BaseException:  # an interrupt, too, must not leave the loop's thread behind
            self.close()
            raise

    def _must_work(self) -> None:
        trial = os.urandom(DATA_KEY_BYTES)
        try:
            found = self.unwrap(self.wrap(trial))
        except InvalidUnwrap as fault:
            raise KekError(f"{self._uri}: what was encrypted there cannot be decrypted ({fault})") from None
        if found != trial:
            raise KekError(f"{self._uri}: what was encrypted there is decrypted to something else")

    def wrap(self, data_key: bytes) -> bytes:
        must_be_a_data_key(data_key)
        wrapped = self._ask("encrypt", {"plaintext": base64.b64encode(data_key).decode()}, "ciphertext")
        if not _WRAPPED.fullmatch(wrapped):
            raise KekError(f"{self._uri}: expected a ciphertext of transit, found something else")
        return wrapped.encode()

    def unwrap(self, wrapped: bytes) -> bytes:
        text = wrapped.decode("ascii", errors="replace")
        if not _WRAPPED.fullmatch(text):
            raise InvalidUnwrap("expected a ciphertext of transit")
        found = self._ask("decrypt", {"ciphertext": text}, "plaintext")
        try:
            data_key = base64.b64decode(found, validate=True)
        except (binascii.Error, ValueError):
            raise KekError(f"{self._uri}: expected base64, found something else") from None
        if len(data_key) != DATA_KEY_BYTES:
            raise InvalidUnwrap(f"expected a data key of {DATA_KEY_BYTES} bytes, found {len(data_key)}")
        return data_key

    def close(self) -> None:
        """Close connections, end the thread."""
        asyncio.run_coroutine_threadsafe(self._http.aclose(), self._loop).result(self._within_s)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self._within_s)
        self._loop.close()

    def _ask(self, operation: str, members: dict[str, str], wanted: str) -> str:
        token = self._uri.token()
        call = self._try_on(operation, members, token)
        status, content = asyncio.run_coroutine_threadsafe(call, self._loop).result(self._within_s + 5)
        if status == 400 and operation == "decrypt":
            text = content.decode(errors="replace")
            raise InvalidUnwrap(next((why for word, why in _WHY.items() if word in text), "HTTP 400"))
        if status != 200:
            raise KekError(f"{self._uri}: {_said(status)}")
        try:
            found = msgspec.json.decode(content)["data"][wanted]
        except (ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, str):
            raise KekError(f"{self._uri}: expected an answer of the transit engine, found something else")
        return found

    async def _try_on(self, operation: str, members: dict[str, str], token: Secret) -> tuple[int, bytes]:
        said = f"no answer within {self._within_s:g} s"
        try:
            async with asyncio.timeout(self._within_s):
                while True:
                    try:
                        return await self._try(operation, members, token)
                    except _Passing as fault:
                        said = str(fault)
                    await asyncio.sleep(RETRY_S)
        except TimeoutError:
            raise KekError(f"{self._uri}: {said}; tried for {self._within_s:g} s") from None

    async def _try(self, operation: str, members: dict[str, str], token: Secret) -> tuple[int, bytes]:
        path, headers = (
            f"/v1/{self._uri.mount}/{operation}/{self._uri.name}",
            {"X-Vault-Token": token.reveal().decode()},
        )
        content = b""
        try:
            async with self._http.stream("POST", path, json=members, headers=headers) as answer:
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > ANSWER_BYTES:
                        raise KekError(f"{self._uri}: the answer has more than {ANSWER_BYTES} bytes")
        except httpx2.HTTPError as fault:
            raise _Passing(f"cannot be reached: {fault or type(fault).__name__}") from None
        if answer.status_code in _PASSING:
            raise _Passing(_said(answer.status_code))
        return answer.status_code, content


def _said(status: int) -> str:
    if 300 <= status < 400:
        return f"the server points elsewhere (HTTP {status}); name the server that answers itself"
    return f"the server {_SAYS.get(status, 'refuses the request')} (HTTP {status})"
