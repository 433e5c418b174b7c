"""A small RESTCONF server for tests, and a second data model that everything it returns is checked against."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from yangson import DataModel
from yangson.enumerations import ContentType

from quoit.interfaces.restconf.access import Access, writers
from quoit.interfaces.restconf.core import Restconf
from quoit.interfaces.restconf.datastore import Limits
from quoit.interfaces.restconf.exchange import Request, Response
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.providers import ConfigChange, Provider
from quoit.interfaces.restconf.schema import Schema, Tree
from quoit.model.problem import Problem

YANG = Path(__file__).parent / "conformance" / "yang"
ROOT = "/restconf"
DATA = ROOT + "/data"
LAB = DATA + "/quoit-lab:lab"
JSON = "application/yang-data+json"

# RFC 8040 cl. 7, typed here once more: the product's own table must not be what it is checked against.
STATUS_OF = {
    "in-use": {409},
    "invalid-value": {400, 404, 406},
    "too-big": {413, 400},
    "missing-attribute": {400},
    "bad-attribute": {400},
    "unknown-attribute": {400},
    "bad-element": {400},
    "unknown-element": {400},
    "unknown-namespace": {400},
    "access-denied": {401, 403},
    "lock-denied": {409},
    "resource-denied": {409},
    "rollback-failed": {500},
    "data-exists": {409},
    "data-missing": {409},
    "operation-not-supported": {405, 501, 415},
    "operation-failed": {412, 500},
    "partial-operation": {500},
    "malformed-message": {400},
    "missing-element": {400},
}


@cache
def models() -> tuple[Schema, DataModel]:
    """The schema that servers share, and a model of the same modules that is independent of it."""
    modules = ModuleSet.of(["quoit-lab"], [YANG])
    return Schema(modules), modules.load()


class Library(Provider):
    """What stands behind the lab: it can be told to refuse, to fail, to be slow."""

    roots = frozenset({"quoit-lab:lab"})
    operations = frozenset({"quoit-lab:lend", "quoit-lab:dust"})

    def __init__(self) -> None:
        self.shown: Tree = {"quoit-lab:lab": {"uptime": 7, "counters": {"visits": "3", "visitor": [{"who": "a"}]}}}
        self.changes: list[ConfigChange] = []
        self.refuse: Exception | None = None
        self.slow_s = 0.0
        self.output: Tree = {"until": "tomorrow"}

    async def state(self) -> Tree:
        return self.shown

    async def apply(self, change: ConfigChange) -> None:
        await asyncio.sleep(self.slow_s)
        if self.refuse is not None:
            raise self.refuse
        self.changes.append(change)

    async def invoke(self, operation: str, body: Tree, caller: str) -> Tree:
        if body.get("row") == "gone":
            raise Problem("no-such-element", "no shelf of that name")
        return self.output if operation == "quoit-lab:lend" else {}


class Second(Library):
    """A second thing behind the same roots, asked after the first."""

    operations = frozenset()

    async def state(self) -> Tree:
        return {}


class Lab:
    """The server, its clock, and requests to it whose answers are all checked."""

    def __init__(
        self,
        *,
        access: Access | None = None,
        limits: Limits | None = None,
        two: bool = False,
        initial: Tree | None = None,
    ) -> None:
        schema, self.other = models()
        self.modules = schema.modules
        self.library = Library()
        self.second = Second()
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []
        self.at = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
        self.core = Restconf(
            schema,
            [self.library, self.second] if two else [self.library],
            now=lambda: self.at,
            access=access or writers({"me"}),
            limits=limits or Limits(provider_s=0.5, keepalive_s=0.05),
            streams={"loans": "What is lent."},
            initial=initial,
            sleep=self._sleep,
        )

    def later(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    async def _sleep(self, seconds: float) -> None:
        """What subscriptions wait with: until `advance` has come that far."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.at + timedelta(seconds=seconds), done))
        await done

    async def settle(self) -> None:
        """Let all that can happen now happen."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass for subscriptions, from one of their instants to the next."""
        end = self.at + timedelta(seconds=seconds)
        while True:
            await self.settle()
            self._sleepers = [s for s in self._sleepers if not s[1].done()]
            due = min((at for at, _ in self._sleepers if at <= end), default=None)
            if due is None:
                break
            self.at = max(self.at, due)
            for at, done in self._sleepers:
                if at <= self.at:
                    done.set_result(None)
        self.at = end
        await self.settle()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: str = "",
        *,
        caller: str = "me",
        raw: bytes | None = None,
        **headers: str,
    ) -> Response:
        """One request; its answer is checked for all that holds of any answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        if content:
            named.setdefault("content-type", JSON)
        response = await self.core.handle(Request(method, path, query, named, content, caller))
        self._check(method, path, query, response)
        return response

    def _check(self, method: str, path: str, query: str, response: Response) -> None:
        if response.status >= 400:
            if method != "HEAD":
                check_errors(response, self.other)
        elif method == "GET" and path.startswith((DATA, ROOT + "/ds")) and response.body:
            self._check_data(path, query, response.json())

    def _check_data(self, path: str, query: str, body: Mapping[str, Any]) -> None:
        """Names and types against the second model; a whole datastore must be valid as a whole."""
        (name, value), *rest = body.items()
        assert not rest
        value = without_marks(value)
        if name == "ietf-restconf:data":
            instance = self.other.from_raw(value)
            if not query and path == DATA:
                instance.validate(ctype=ContentType.all)
            elif not query and path.endswith("running"):
                instance.validate(ctype=ContentType.config)
            return
        below = path.removeprefix(DATA + "/").removeprefix(ROOT + "/ds/").removeprefix("ietf-datastores:running/")
        below = below.removeprefix("ietf-datastores:operational/")
        plain = "/" + "/".join(part.partition("=")[0] for part in below.strip("/").split("/"))
        node = self.other.get_data_node(plain)
        assert node is not None, plain
        assert f"{node.ns}:{node.name}" == name
        node.orphan_instance(value)

    async def get(self, path: str, query: str = "", **headers: str) -> Any:
        """The value that a GET shows; 200 is asserted."""
        response = await self.ask("GET", path, query=query, **headers)
        assert response.status == 200, response.body
        return next(iter(response.json().values()))

    async def ready(self) -> None:
        """Put the usual content in."""
        response = await self.ask(
            "PUT",
            LAB,
            {
                "quoit-lab:lab": {
                    "title": "t",
                    "tag": ["a", "b", "c"],
                    "shelf": [{"row": "A", "column": 1, "serial": "s1", "book": [{"name": "x"}, {"name": "y"}]}],
                }
            },
        )
        assert response.status == 201, response.body


def without_marks(value: Any) -> Any:
    """The value without RFC 7952 metadata, which the models here do not define."""
    if isinstance(value, dict):
        return {k: without_marks(v) for k, v in value.items() if not k.startswith("@")}
    return [without_marks(v) for v in value] if isinstance(value, list) else value


def check_errors(response: Response, model: DataModel) -> Mapping[str, Any]:
    """An error answer is ietf-restconf:errors, its tag fits the status, its path can be parsed. The first error."""
    assert response.header("content-type") == JSON
    body = response.json()
    if "ietf-yang-patch:yang-patch-status" in body:
        (edit,) = body["ietf-yang-patch:yang-patch-status"]["edit-status"]["edit"]
        errors = edit["errors"]["error"]
    else:
        assert list(body) == ["ietf-restconf:errors"], body
        errors = body["ietf-restconf:errors"]["error"]
    (error,) = errors
    assert set(error) <= {"error-type", "error-tag", "error-app-tag", "error-path", "error-message"}
    assert error["error-type"] in ("transport", "rpc", "protocol", "application")
    assert response.status in STATUS_OF[error["error-tag"]], error
    if "error-path" in error:
        model.parse_instance_id(error["error-path"])
    first: Mapping[str, Any] = error
    return first


def error_of(response: Response) -> tuple[int, str, str | None]:
    """Status, tag and app-tag."""
    error = response.json()["ietf-restconf:errors"]["error"][0]
    return response.status, error["error-tag"], error.get("error-app-tag")


def with_lab(work: Callable[[Lab], Awaitable[None]], **options: Any) -> None:
    """Run a test's coroutine with a lab that has the usual content."""

    async def run() -> None:
        lab = Lab(**options)
        await lab.ready()
        try:
            await work(lab)
        finally:
            await lab.core.close()

    asyncio.run(run())
