"""RESTCONF requests per second of processor time: an SD-QKD node with twenty links, without its sockets.

A PATCH is validated as a whole and committed; beside it, what checking the same tree with the YANG library alone costs,
so that the server's own share can be seen.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from yangson.enumerations import ContentType

from quoit.interfaces.restconf.access import writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.exchange import Request
from quoit.interfaces.restconf.library import ModuleSet

LINKS = 20
MODULE = "etsi-qkd-sdn-node"
NODE = f"/restconf/data/{MODULE}:qkd_node"
YANG = "application/yang-data+json"

Figure = tuple[str, float, str, float | None, bool | None]


def figures(requests: int) -> Iterator[Figure]:
    """So many reads, and a tenth as many edits."""
    modules = ModuleSet.of([MODULE])
    tree = _node()
    core = Restconf(modules, now=lambda: datetime(2026, 1, 1, tzinfo=UTC), access=writers(["controller"]), initial=tree)
    link = f"{NODE}/qkd_links/qkd_link={_link_id(0)}"
    edits = max(1, requests // 10)
    whole = _rate(core, [Request("GET", NODE, caller="controller")] * requests)
    one = _rate(core, [Request("GET", link, caller="controller")] * requests)
    patch = _rate(core, [_patch(link, number) for number in range(edits)])
    model = modules.load()
    began = time.process_time()
    for _ in range(edits):
        model.from_raw(tree).validate(ctype=ContentType.config)
    alone = edits / (time.process_time() - began)
    yield f"RESTCONF GET of a node of {LINKS} links", round(whole), "requests/CPU s", None, None
    yield "RESTCONF GET of one link", round(one), "requests/CPU s", None, None
    yield "RESTCONF PATCH of one link", round(patch), "requests/CPU s", None, None
    yield "RESTCONF PATCH against validation alone", round(patch / alone, 2), "x", None, None


def _rate(core: Restconf, asked: list[Request]) -> float:
    async def ask() -> None:
        for request in asked:
            answer = await core.handle(request)
            if answer.status >= 300:
                raise AssertionError(f"{request.method} {request.path}: {answer.status} {answer.body!r}")

    began = time.process_time()
    asyncio.run(ask())
    return len(asked) / (time.process_time() - began)


def _patch(link: str, number: int) -> Request:
    body = {f"{MODULE}:qkd_link": [{"qkdl_id": _link_id(0), "phys_wavelength": str(1 + number % 40)}]}
    headers = {"content-type": YANG}
    return Request("PATCH", link, headers=headers, body=json.dumps(body).encode(), caller="controller")


def _link_id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"link {number}"))


def _node() -> dict[str, Any]:
    """A node with interfaces and links."""
    here, there = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("here", "there"))
    links = [
        {
            "qkdl_id": _link_id(number),
            "qkdl_enable": True,
            "qkdl_local": {"qkdn_id": here, "qkdi_id": number},
            "qkdl_remote": {"qkdn_id": there, "qkdi_id": number},
            "qkdl_type": "etsi-qkd-node-types:PHYS",
            "phys_channel_att": "9.5",
            "phys_wavelength": "34",
            "phys_qkd_role": "etsi-qkd-node-types:TRANSMITTER",
        }
        for number in range(LINKS)
    ]
    return {f"{MODULE}:qkd_node": {"qkdn_id": here, "qkd_links": {"qkd_link": links}}}
