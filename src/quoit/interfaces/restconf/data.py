"""Data resources (RFC 8040 cl. 3.4, 3.5, 4.1 to 4.7) of a server: reading them, and changing their configuration."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from quoit.interfaces.restconf import edits
from quoit.interfaces.restconf.access import Access
from quoit.interfaces.restconf.datastore import Datastore, Limits
from quoit.interfaces.restconf.errors import RestconfError, bad_value, not_allowed, not_found
from quoit.interfaces.restconf.exchange import (
    DATA,
    PATCH,
    Request,
    Response,
    accepts,
    answer,
    check_preconditions,
    http_date,
    read_json,
    unchanged,
)
from quoit.interfaces.restconf.paths import Path, format_instance, format_resource, parse_resource
from quoit.interfaces.restconf.query import GET, INSERT, Query, parse_query
from quoit.interfaces.restconf.render import View, tagged
from quoit.interfaces.restconf.schema import Schema, Tree, qualified
from quoit.interfaces.restconf.tree import MISSING, lookup
from quoit.interfaces.restconf.yang_patch import EditRefused, parse_patch, status_of

RUNNING, OPERATIONAL = "ietf-datastores:running", "ietf-datastores:operational"
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


class DataResources:
    """All data resources of one server. `operational` gives configuration, providers' state and the server's own."""

    def __init__(
        self,
        schema: Schema,
        store: Datastore,
        access: Access,
        operational: Callable[[], Awaitable[Tree]],
        *,
        root: str,
        limits: Limits,
    ) -> None:
        self._schema = schema
        self._store = store
        self._access = access
        self._operational = operational
        self._root = root
        self._limits = limits

    async def handle(self, request: Request, below: str, store: str | None) -> Response:
        """The answer to a request for what `below` names in a datastore of RFC 8527, or in {root}/data (None)."""
        target = parse_resource(self._schema, below)
        if target.action is not None:
            raise RestconfError("operation-not-supported", f"nobody does {qualified(target.action)} here", status=501)
        path = target.path
        allow = edits.methods_of(path) if store != OPERATIONAL else edits.READ_ONLY
        if request.method == "OPTIONS":
            parse_query(request.query, ())
            patch = (("accept-patch", f"{DATA}, {PATCH}"),) if "PATCH" in allow else ()
            return Response(200, b"", (("allow", allow), *patch))
        if request.method in ("GET", "HEAD"):
            return await self._get(request, path, store)
        if request.method not in _WRITES or request.method not in allow.split(", "):
            raise not_allowed(f"{request.method} does not go with this resource", allow)
        accepts(request.headers, (DATA,))
        writes = {"POST": self._post, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        return await writes[request.method](request, path)

    async def _get(self, request: Request, path: Path, store: str | None) -> Response:
        query = parse_query(request.query, GET)
        accepts(request.headers, (DATA,))
        content = query.content
        if store == RUNNING:
            if content == "nonconfig":
                raise bad_value("running holds configuration alone")
            content = "config"
        tree = self._store.running if content == "config" else await self._operational()
        node = path[-1].node if path else self._schema.root
        value = self._shown(request.caller, tree, path, query, content)
        if value is MISSING:
            raise not_found("there is no such resource", format_instance(path) or None)
        headers = self._validators(request.caller, node, path)
        if headers and content == "config" and unchanged(request.headers, headers[0][1], self._store.modified):
            return Response(304, b"", headers)
        body = {qualified(node) if path else edits.ROOT_MEMBER: value}
        return answer(200, body, *headers)

    def _shown(self, caller: str, tree: Tree, path: Path, query: Query, content: str) -> Any:
        full = tree
        if query.defaults in ("report-all", "report-all-tagged"):
            full = self._schema.with_defaults(tree, config_only=content == "config")
        value, explicit = lookup(full, path), lookup(tree, path)
        if value is MISSING or not self._may_go(caller, path):
            return MISSING
        node = path[-1].node if path else self._schema.root
        single = bool(path) and path[-1].keys is not None
        wrapped = [value] if single else value
        view = View(
            self._schema,
            content=content,
            trim=query.defaults == "trim",
            may_read=lambda inner: self._access.may(caller, "read", inner),
        )
        seen = view.of(node, wrapped, query.depth, query.fields)
        if seen is MISSING or query.defaults != "report-all-tagged":
            return seen
        before = [] if explicit is MISSING else [explicit] if single else explicit
        return tagged(self._schema, node, before, seen)

    def _may_go(self, caller: str, path: Path) -> bool:
        """Whether the caller may read all that the path goes through: else it would learn what is there."""
        return all(self._access.may(caller, "read", step.node) for step in path)

    def _validators(self, caller: str, node: Any, path: Path) -> tuple[tuple[str, str], ...]:
        """ETag and Last-Modified; configuration has them, state has not (RFC 8040 cl. 3.5.1)."""
        tag = self._tag(path)
        if tag is None or not (node is self._schema.root or node.config):
            return ()
        return (("etag", tag), ("last-modified", http_date(self._store.modified)))

    def _tag(self, path: Path, tree: Tree | None = None) -> str | None:
        value = lookup(self._store.running if tree is None else tree, path)
        if value is MISSING:
            return None
        single = bool(path) and path[-1].keys is not None
        return self._store.tag_of(path[-1].node if path else self._schema.root, [value] if single else value)

    # -- edits -------------------------------------------------------------------------------------------

    def _body(self, request: Request, kinds: tuple[str, ...] = (DATA,)) -> dict[str, Any]:
        return read_json(request, kinds, self._limits.body_bytes, self._limits.json_depth)

    async def _commit(self, request: Request, path: Path, change: Callable[[Tree], Tree]) -> None:
        """Commit under the request's preconditions, which are looked at when it is this request's turn to write."""

        def guarded(tree: Tree) -> Tree:
            check_preconditions(request.headers, lambda: self._tag(path, tree), self._store.modified)
            return change(tree)

        await self._store.commit(
            request.caller, guarded, lambda verb, node: self._access.may(request.caller, verb, node)
        )

    def _written(self, status: int, path: Path, *more: tuple[str, str]) -> Response:
        """What was written as its sender may go on with: the new entity-tag and time."""
        tag = self._tag(path)
        validators = (("etag", tag), ("last-modified", http_date(self._store.modified))) if tag else ()
        return Response(status, b"", (*more, *validators))

    def _location(self, path: Path) -> tuple[str, str]:
        return ("location", f"{self._root}/data/{format_resource(path)}")

    async def _post(self, request: Request, path: Path) -> Response:
        query = parse_query(request.query, INSERT)
        child, value = edits.new_child(self._schema, path, self._body(request))
        place = edits.place_of(self._schema, child, query)
        await self._commit(request, path, lambda tree: edits.created(tree, child, value, place))
        return self._written(201, child, self._location(child))

    async def _put(self, request: Request, path: Path) -> Response:
        query = parse_query(request.query, INSERT)
        value = edits.value_for(self._schema, path, self._body(request))
        place = edits.place_of(self._schema, path, query)
        was_there = True

        def change(tree: Tree) -> Tree:
            nonlocal was_there
            was_there = lookup(tree, path) is not MISSING
            return edits.replaced(tree, path, value, place)

        await self._commit(request, path, change)
        return self._written(204, path) if was_there else self._written(201, path, self._location(path))

    async def _patch(self, request: Request, path: Path) -> Response:
        parse_query(request.query, ())
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind == PATCH:
            return await self._yang_patch(request, path)
        value = edits.value_for(self._schema, path, self._body(request, (DATA, PATCH)))
        await self._commit(request, path, lambda tree: edits.patched(self._schema, tree, path, value))
        return self._written(204, path)

    async def _yang_patch(self, request: Request, path: Path) -> Response:
        patch_id, change = parse_patch(self._schema, self._body(request, (PATCH,)), path)
        try:
            await self._commit(request, path, change)
        except EditRefused as refused:
            return answer(refused.error.status, status_of(patch_id, refused))
        return answer(200, status_of(patch_id))

    async def _delete(self, request: Request, path: Path) -> Response:
        parse_query(request.query, ())
        await self._commit(request, path, lambda tree: edits.deleted(tree, path))
        return Response(204)
