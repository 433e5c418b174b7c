"""The dialect of TeraFlowSDN's QKD driver, translated to RESTCONF and back; a switch for one listener, off unless used.

The driver (TeraFlowSDN, `src/device/service/drivers/qkd`, Apache-2.0, read as a description of its requests) ends paths
with a slash, sends and expects application/json with unqualified names, wraps what it POSTs in the target's own name,
and writes null for leaves that are not there. Nothing in its requests tells it from others, so a listener speaks either
this or RESTCONF. Errors are said as RESTCONF says them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec

from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.datastore import Limits
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.exchange import DATA, PATCH, Request, Response, refusal
from quoit.interfaces.restconf.paths import Step, format_resource, parse_resource
from quoit.interfaces.restconf.schema import Schema, entry_key, is_leaf_list, is_list, qualified
from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem


class TeraFlow:
    """A `Restconf` server for clients of that dialect; give it to `serve` in the server's place."""

    def __init__(self, core: Restconf) -> None:
        self.core = core

    @property
    def limits(self) -> Limits:
        return self.core.limits

    async def close(self) -> None:
        await self.core.close()

    async def handle(self, request: Request) -> Response:
        """The answer, with unqualified names."""
        try:
            translated = self._translated(request)
        except RestconfError as error:
            return refusal(error)
        response = await self.core.handle(translated)
        if request.method == "POST" and translated.method == "PATCH" and response.status == 200:
            return Response(201)
        if response.status != 200 or not response.body or response.header("content-type") != DATA:
            return response
        plain = {name.rpartition(":")[2]: value for name, value in response.json().items()}
        headers = tuple(h for h in response.headers if h[0] != "content-type")
        return Response(200, msgspec.json.encode(plain), (("content-type", "application/json"), *headers))

    def _translated(self, request: Request) -> Request:
        data = self.core.root + "/data"
        path = request.path.rstrip("/") or "/"
        headers = {name: value for name, value in request.headers.items() if name != "accept"}
        plain = replace(request, path=path, headers=headers)
        if not request.body or not path.startswith(data):
            return plain
        headers["content-type"] = DATA
        body = _without_nulls(self._object(request.body))
        below = path[len(data) :].strip("/")
        if below.endswith(":"):  # a module, and nothing of it: the top-level node is in the body
            body = {f"{below}{name}": value for name, value in body.items()}
            return replace(plain, path=data, body=_encoded({"ietf-restconf:data": body}))
        schema = self.core.schema
        target = parse_resource(schema, below).path
        if not target:
            return replace(plain, body=_encoded(body))
        node = target[-1].node
        if request.method == "POST" and set(body) == {node.name} and isinstance(body[node.name], dict):
            headers["content-type"] = PATCH
            return replace(plain, method="PATCH", body=_encoded(_creations(schema, node, body[node.name])))
        parent = node if request.method == "POST" else None
        return replace(plain, body=_encoded({_qualified(schema, parent, node, n): v for n, v in body.items()}))

    def _object(self, body: bytes) -> dict[str, Any]:
        try:
            return decode_object(body, self.core.limits.json_depth)
        except Problem as problem:
            raise RestconfError("malformed-message", problem.detail, kind="protocol") from None


def _qualified(schema: Schema, parent: Any | None, node: Any, name: str) -> str:
    """A member's name with its module: a child's of the target for POST, else the target's own."""
    if ":" in name:
        return name
    child = schema.child(parent, name, None) if parent is not None else node if name == node.name else None
    return qualified(child) if child is not None else name


def _creations(schema: Schema, node: Any, wrapped: dict[str, Any]) -> dict[str, Any]:
    """What is wrapped in the target's own name, as a YANG Patch that creates all of it or nothing."""
    rows: list[dict[str, Any]] = []
    for name, value in wrapped.items():
        child = schema.member(node, name)
        if child is None:
            raise RestconfError("unknown-element", f"the target has no {shown(name)}")
        many = is_list(child) or is_leaf_list(child)
        for entry in value if many and isinstance(value, list) else (value,):
            keys = entry_key(child, schema.part(child, [entry], f"/{qualified(child)}")[0]) if many else None
            rows.append(
                {
                    "edit-id": str(len(rows) + 1),
                    "operation": "create",
                    "target": "/" + format_resource((Step(child, keys),)),
                    "value": {qualified(child): [entry] if many else entry},
                }
            )
    return {"ietf-yang-patch:yang-patch": {"patch-id": "post", "edit": rows}}


def _without_nulls(value: Any) -> Any:
    """The value without members that are null; [null], which RFC 7951 writes for an empty leaf, stays."""
    if isinstance(value, dict):
        return {name: _without_nulls(inside) for name, inside in value.items() if inside is not None}
    if isinstance(value, list):
        return [_without_nulls(inside) for inside in value]
    return value


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
