"""A small client of ETSI GS QKD 014 V1.1.1, with and without asyncio. It works against any KME."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import httpx2

from quoit.model.secret import Secret
from quoit.service.api import Key, Status


class KmeRefusal(Exception):
    """The KME answered with an error, or with something that 014 does not know. `status` is HTTP's."""

    def __init__(self, status: int, text: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        self.status = status
        self.text = text
        self.details = tuple(details)
        super().__init__(f"HTTP {status}: {text}")


class _Call(NamedTuple):
    """A request, ready to be sent: GET without `members`, POST with them."""

    path: str
    members: dict[str, Any] | None = None

    @property
    def method(self) -> str:
        return "GET" if self.members is None else "POST"


def _status_call(peer: str) -> _Call:
    return _Call(f"/api/v1/keys/{quote(peer, safe='')}/status")


def _enc_call(peer: str, number: int, size: int | None, additional: Sequence[str]) -> _Call:
    members: dict[str, Any] = {"number": number}
    if size is not None:
        members["size"] = size
    if additional:
        members["additional_slave_SAE_IDs"] = list(additional)
    return _Call(f"/api/v1/keys/{quote(peer, safe='')}/enc_keys", members)


def _dec_call(peer: str, key_ids: Sequence[str]) -> _Call:
    members = {"key_IDs": [{"key_ID": key_id} for key_id in key_ids]}
    return _Call(f"/api/v1/keys/{quote(peer, safe='')}/dec_keys", members)


def _read(response: httpx2.Response) -> dict[str, Any]:
    try:
        members = response.json()
    except ValueError:
        raise KmeRefusal(response.status_code, "the answer is not JSON") from None
    if not isinstance(members, dict):
        raise KmeRefusal(response.status_code, "the answer is not a JSON object")
    if response.status_code != 200:
        details = members.get("details")
        raise KmeRefusal(
            response.status_code, str(members.get("message", "")), details if isinstance(details, list) else ()
        )
    return members


def _status_of(members: dict[str, Any]) -> Status:
    extension = members.get("status_extension")
    refill = extension.get("quoit_refill_bps", 0.0) if isinstance(extension, dict) else 0.0
    try:
        return Status(
            str(members["source_KME_ID"]),
            str(members["target_KME_ID"]),
            str(members["master_SAE_ID"]),
            str(members["slave_SAE_ID"]),
            int(members["key_size"]),
            int(members["stored_key_count"]),
            int(members["max_key_count"]),
            int(members["max_key_per_request"]),
            int(members["max_key_size"]),
            int(members["min_key_size"]),
            int(members["max_SAE_ID_count"]),
            float(refill),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise KmeRefusal(200, f"not a Status of 014 table 9: {type(fault).__name__} {fault}") from None


def _keys_of(members: dict[str, Any]) -> tuple[Key, ...]:
    try:
        return tuple(
            Key(str(key["key_ID"]), Secret(base64.b64decode(key["key"], validate=True))) for key in members["keys"]
        )
    except (KeyError, TypeError, binascii.Error):
        # Not chained: the fault's text could hold the key.
        raise KmeRefusal(200, "not a key container of 014 table 11") from None


def _tls(cert: Path | str, key: Path | str, ca: Path | str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.load_cert_chain(cert, key)
    return context


class Kme014:
    """A KME as an application sees it. `cert` and `key` name the application, `ca` vouches for the KME (PEM files).

    Methods raise `KmeRefusal`, and httpx2.HTTPError if there is no answer at all. Use it as a context
    manager: connections are kept between calls.
    """

    def __init__(
        self, base_url: str, cert: Path | str, key: Path | str, ca: Path | str, timeout_s: float = 15.0
    ) -> None:
        # Environment variables must not change whom we trust or which proxy reads the keys.
        self._http = httpx2.Client(base_url=base_url, verify=_tls(cert, key, ca), timeout=timeout_s, trust_env=False)

    def _send(self, call: _Call) -> dict[str, Any]:
        return _read(self._http.request(call.method, call.path, json=call.members))

    def status(self, peer: str) -> Status:
        """What there is for keys shared with `peer` (cl. 5.2)."""
        return _status_of(self._send(_status_call(peer)))

    def enc_keys(
        self, peer: str, number: int = 1, size: int | None = None, additional: Sequence[str] = ()
    ) -> tuple[Key, ...]:
        """New keys of `size` bits, shared with `peer` and `additional` (cl. 5.3)."""
        return _keys_of(self._send(_enc_call(peer, number, size, additional)))

    def dec_keys(self, peer: str, key_ids: Sequence[str]) -> tuple[Key, ...]:
        """The keys that `peer` got under these key_IDs (cl. 5.4)."""
        return _keys_of(self._send(_dec_call(peer, key_ids)))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncKme014:
    """`Kme014` for asyncio."""

    def __init__(
        self, base_url: str, cert: Path | str, key: Path | str, ca: Path | str, timeout_s: float = 15.0
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=base_url, verify=_tls(cert, key, ca), timeout=timeout_s, trust_env=False
        )

    async def _send(self, call: _Call) -> dict[str, Any]:
        return _read(await self._http.request(call.method, call.path, json=call.members))

    async def status(self, peer: str) -> Status:
        """See `Kme014.status`."""
        return _status_of(await self._send(_status_call(peer)))

    async def enc_keys(
        self, peer: str, number: int = 1, size: int | None = None, additional: Sequence[str] = ()
    ) -> tuple[Key, ...]:
        """See `Kme014.enc_keys`."""
        return _keys_of(await self._send(_enc_call(peer, number, size, additional)))

    async def dec_keys(self, peer: str, key_ids: Sequence[str]) -> tuple[Key, ...]:
        """See `Kme014.dec_keys`."""
        return _keys_of(await self._send(_dec_call(peer, key_ids)))

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
