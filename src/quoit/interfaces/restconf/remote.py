"""Carries calls of elements that stand for remote ones over RESTCONF, and brings their notifications.

A change becomes one YANG Patch under the entity-tag of what was read (RFC 8072, RFC 8040 cl. 3.5.2): all of it or
nothing, and nothing if somebody was faster. A server that has no YANG Patch gets an edit at a time, deletions last, and
may be left with a part of a change; whoever reconciles mends it. What a server has beyond the modules that are known
here is left out when it is read, and not touched when it is written; of a module that it does not implement it is
written nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from quoit.interfaces.restconf.client import RestconfClient
from quoit.interfaces.restconf.paths import format_resource
from quoit.interfaces.restconf.schema import Schema, Tree, qualified
from quoit.interfaces.restconf.tree import MISSING, Edit, differences
from quoit.model.problem import PROBLEMS, Problem
from quoit.planes.remote import Call, RemoteAnswer, RemoteCall, RemoteNews
from quoit.runtime.gate import Gate

_log = structlog.get_logger("quoit", element="interfaces.restconf.remote")

YANG_PATCH = "urn:ietf:params:restconf:capability:yang-patch:1.0"
CAPABILITIES = "ietf-restconf-monitoring:restconf-state/capabilities"
LIBRARY = "ietf-yang-library:yang-library"
RECONNECT_S = 2.0
MOST_AT_ONCE = 16
"""Calls under way; more wait."""


class Remote:
    """One server. `root`: the top-level node (module:name) that its element is."""

    def __init__(self, client: RestconfClient, schema: Schema, root: str) -> None:
        self._client = client
        self._schema = schema
        self._root = root
        self._known = {module.name for module in schema.modules.modules}
        self._has: set[str] | None = None
        self._patches = False
        self._seen: tuple[Tree, str | None] = ({}, None)
        self._turn = asyncio.Lock()

    async def answer(self, call: RemoteCall) -> str:
        """Do it; the tree that was read. Raises Problem."""
        async with self._turn:
            if self._has is None:
                await self.get_to_know()
            if call.call == Call.STATE:
                return msgspec.json.encode((await self._read("all"))[0]).decode()
            if call.call == Call.CONFIGURATION:
                self._seen = await self._read("config")
                return msgspec.json.encode(self._seen[0]).decode()
            await self._apply(msgspec.json.decode(call.before), msgspec.json.decode(call.after))
            return ""

    async def get_to_know(self) -> None:
        """Ask which modules the server implements, and whether it takes YANG Patches. Done with the first call, unless
        it was done before. Raises Problem."""
        reply = await self._client.get(CAPABILITIES)
        found = (reply.body or {}).get("ietf-restconf-monitoring:capabilities", {}).get("capability", [])
        self._patches = YANG_PATCH in found
        library = (await self._client.get(LIBRARY)).body or {}
        sets = library.get("ietf-yang-library:yang-library", {}).get("module-set", [])
        self._has = {module["name"] for one in sets for module in one.get("module", [])}
        _log.info("remote.known", patches=self._patches, modules=len(self._has))

    async def _read(self, content: str) -> tuple[Tree, str | None]:
        reply = await self._client.get(self._root, content=content)
        body = reply.body
        if not isinstance(body, dict) or not isinstance(body.get(self._root), dict):
            raise Problem("bad-answer", f"expected {self._root}")
        return {self._root: self._kept(body[self._root])}, reply.etag

    def _kept(self, value: Any) -> Any:
        """Without members of modules that are not known here."""
        if isinstance(value, dict):
            known = {n: v for n, v in value.items() if ":" not in n or n.partition(":")[0] in self._known}
            return {name: self._kept(inside) for name, inside in known.items()}
        return [self._kept(inside) for inside in value] if isinstance(value, list) else value

    async def _apply(self, before: Tree, after: Tree) -> None:
        schema = self._schema
        old, new = schema.canonical(before), schema.validated(after)
        seen, etag = self._seen
        if any(differences(schema, schema.canonical(seen), old)):
            raise Problem("config-changed", "it is another than what was read last")
        wanted = [edit for edit in differences(schema, old, new) if self._implements(edit)]
        if not wanted:
            return
        if self._patches:
            await self._client.patch(self._root, self._patch(wanted), if_match=etag)
        else:
            for edit in sorted(wanted, key=lambda edit: edit.new is MISSING):
                await self._one(edit)

    def _implements(self, edit: Edit) -> bool:
        empty = edit.old in (MISSING, {}) and edit.new in (MISSING, {})  # a container that says nothing
        return not empty and (self._has is None or edit.path[-1].node.ns in self._has)

    def _patch(self, wanted: list[Edit]) -> Tree:
        rows = []
        for number, edit in enumerate(wanted, 1):
            target = "/" + format_resource(edit.path[1:]) if len(edit.path) > 1 else "/"
            row: dict[str, Any] = {"edit-id": str(number), "operation": "remove", "target": target}
            if edit.new is not MISSING:
                row.update(operation="replace", value=_resource(edit))
            rows.append(row)
        return {"ietf-yang-patch:yang-patch": {"patch-id": "quoit", "edit": rows}}

    async def _one(self, edit: Edit) -> None:
        path = format_resource(edit.path)
        if edit.new is MISSING:
            await self._client.delete(path)
        else:
            await self._client.put(path, _resource(edit))

    async def notifications(self, gate: Gate, element: str) -> None:
        """Until cancelled: what the server's default stream tells."""
        while True:
            try:
                async for event in self._client.follow():
                    content = msgspec.json.encode(event.content).decode()
                    await gate.ask(element, RemoteNews(event.name, content), 5.0)
            except Problem as problem:
                _log.warning("stream.broken", element=element, code=problem.code, detail=problem.detail)
            await asyncio.sleep(RECONNECT_S)


def _resource(edit: Edit) -> dict[str, Any]:
    """An edit's value as the body of a PUT: an entry of a list stands in a list."""
    step = edit.path[-1]
    return {qualified(step.node): [edit.new] if step.keys is not None else edit.new}


async def carry_calls(gate: Gate, remotes: Mapping[str, Remote]) -> None:
    """Until cancelled: calls to these elements go out, and answers and notifications come back."""
    room = asyncio.Semaphore(MOST_AT_ONCE)

    async def one(call: RemoteCall) -> None:
        async with room:
            try:
                answer = RemoteAnswer(call.number, await remotes[call.element].answer(call))
            except Problem as problem:
                # the server's own word for what is wrong is in the app-tag
                said = str(problem.fields.get("app_tag"))
                code = said if said in PROBLEMS else problem.code
                answer = RemoteAnswer(call.number, "", code, problem.detail)
        try:
            await gate.ask(call.element, answer, 5.0)
        except Problem as problem:
            _log.warning("answer.lost", element=call.element, code=problem.code)

    async with asyncio.TaskGroup() as tasks:
        for element, remote in remotes.items():
            tasks.create_task(remote.notifications(gate, element))
        async for news in gate.watch(RemoteCall):
            if isinstance(news, RemoteCall) and news.element in remotes:
                tasks.create_task(one(news))
