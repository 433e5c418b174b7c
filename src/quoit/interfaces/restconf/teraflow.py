"""The dialect of TeraFlowSDN's QKD driver, translated to RESTCONF and back; a switch for one listener, off unless used.

The driver (TeraFlowSDN, `src/device/service/drivers/qkd`, Apache-2.0, read and run as a description of its requests):

- ends paths with a slash, sends and expects application/json with unqualified names;
- wraps what it POSTs in the target's own name, and writes null for leaves that are not there;
- reads lists that are empty, and gives up on 404: a container whose parent is there is answered with its lists empty;
- reads the top node by a path with a slash and looks for its leaves at the answer's top, where others look for the node
  by its name: such an answer has both;
- finds interfaces by a member `uuid` of their attachment points, device:port, which the standard lacks: answers
  have it;
- names in `virt_next_hop` all nodes from the next one to the last, in order. In the standard several next hops are
  branches of a multicast; here the first is the next hop, and the rest is what the nodes after it are told anyway.

Nothing in its requests tells it from others, so a listener speaks either this or RESTCONF. Errors are said as RESTCONF
says them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec

from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.datastore import Limits
from quoit.interfaces.restconf.errors import RestconfError
from quoit.interfaces.restconf.exchange import DATA, HOST_META, PATCH, Request, Response, refusal
from quoit.interfaces.restconf.paths import Step, format_resource, parse_resource
from quoit.interfaces.restconf.schema import Schema, entry_key, is_container, is_leaf_list, is_list, qualified
from quoit.interfaces.strict_json import decode_object, shown
from quoit.model.problem import Problem

NEXT_HOP = "virt_next_hop"
POINT, POINT_NAME = "qkdi_att_point", "uuid"


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
        if response.status == 404 and request.method == "GET":
            return await self._empty(translated) or response
        if response.status != 200 or not response.body or response.header("content-type") != DATA:
            return response
        plain = {name.rpartition(":")[2]: value for name, value in response.json().items()}
        below = translated.path.removeprefix(f"{self.core.root}/data/")
        top = next(iter(plain.values()), None)
        if request.path.endswith("/") and "/" not in below and isinstance(top, dict):  # its members, too
            plain = {**top, **plain}
        return _plain(_with_points_named(plain), tuple(h for h in response.headers if h[0] != "content-type"))

    async def _empty(self, request: Request) -> Response | None:
        """The answer for a container that has nothing in it, while what it is in is there; None for all else."""
        data = f"{self.core.root}/data/"
        parent = request.path.rpartition("/")[0]
        if not parent.startswith(data):
            return None
        try:
            target = parse_resource(self.core.schema, request.path.removeprefix(data))
        except RestconfError:
            return None
        node = target.path[-1].node
        if target.action is not None or not is_container(node) or node.presence:
            return None
        if (await self.core.handle(replace(request, path=parent, query="depth=1"))).status != 200:
            return None
        lists: dict[str, Any] = {
            child.name: [] for child in node.data_children() if is_list(child) or is_leaf_list(child)
        }
        return _plain({node.name: lists})

    def _translated(self, request: Request) -> Request:
        data = self.core.root + "/data"
        path = request.path.rstrip("/") or "/"
        headers = {name: value for name, value in request.headers.items() if name != "accept" or path == HOST_META}
        plain = replace(request, path=path, headers=headers)
        if not request.body or not path.startswith(data):
            return plain
        headers["content-type"] = DATA
        body = _inward(self._object(request.body))
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


def _inward(value: Any) -> Any:
    """The value in RESTCONF's words: without members that are null, the first alone of a virtual link's hops,
    attachment points without the name that answers give them. [null], RFC 7951's word for an empty leaf, stays."""
    if isinstance(value, dict):
        found = {name: _inward(inside) for name, inside in value.items() if inside is not None}
        if isinstance(hops := found.get(NEXT_HOP), list):
            found[NEXT_HOP] = hops[:1]
        if isinstance(point := found.get(POINT), dict):
            found[POINT] = {name: inside for name, inside in point.items() if name != POINT_NAME}
        return found
    return [_inward(inside) for inside in value] if isinstance(value, list) else value


def _with_points_named(value: Any) -> Any:
    """The value with the name of each attachment point, as the driver writes it: device:port."""
    if isinstance(value, dict):
        named = {name: _with_points_named(inside) for name, inside in value.items()}
        point = named.get(POINT)
        if isinstance(point, dict) and {"device", "port"} <= point.keys():
            named[POINT] = {**point, POINT_NAME: f"{point['device']}:{point['port']}"}
        return named
    if isinstance(value, list):
        return [_with_points_named(inside) for inside in value]
    return value


def _plain(value: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(200, msgspec.json.encode(value), (("content-type", "application/json"), *headers))


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
