"""A RESTCONF server (RFC 8040) without sockets: `handle` turns a request into a response.

The API resource is {root}: data, operations, yang-library-version, the datastores of RFC 8527 (running, operational),
event streams, dynamic subscriptions, and the modules' texts. JSON only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec
import structlog

from quoit.interfaces.restconf import edits
from quoit.interfaces.restconf.access import Access, writers
from quoit.interfaces.restconf.data import OPERATIONAL, RUNNING, DataResources
from quoit.interfaces.restconf.datastore import DEFAULT_LIMITS, Datastore, Limits
from quoit.interfaces.restconf.errors import RestconfError, bad_value, not_allowed, not_found, of_problem
from quoit.interfaces.restconf.exchange import (
    DATA,
    HOST_META,
    JRD,
    MODULE,
    SSE,
    XRD,
    Request,
    Response,
    accepts,
    answer,
    read_json,
    refusal,
)
from quoit.interfaces.restconf.library import ModuleSet
from quoit.interfaces.restconf.monitoring import capabilities, state_of_streams
from quoit.interfaces.restconf.paths import decoded
from quoit.interfaces.restconf.providers import Provider
from quoit.interfaces.restconf.query import STREAM, parse_query
from quoit.interfaces.restconf.render import View
from quoit.interfaces.restconf.schema import Schema, Tree, qualified
from quoit.interfaces.restconf.streams import Event, EventStream
from quoit.interfaces.restconf.subscriptions import OPERATIONS, SN, Subscriptions
from quoit.interfaces.strict_json import shown
from quoit.model.problem import Problem

_log = structlog.get_logger("quoit", element="interfaces.restconf")

YANG_LIBRARY_VERSION = "2019-01-04"
DEFAULT_STREAM = "NETCONF"
_CLOSED = frozenset({f"{SN}:subscriptions", f"{SN}:filters"})


class Restconf:
    """One server: a schema, what stands behind it, and who may do what. Servers of one process may share a schema.

    `now` gives the instant that clients are told, an aware datetime. `streams` are names and descriptions of event
    streams besides NETCONF, which has all notifications. `access` None: everybody reads and nobody writes.
    """

    def __init__(
        self,
        modules: ModuleSet | Schema,
        providers: Iterable[Provider] = (),
        *,
        now: Callable[[], datetime],
        access: Access | None = None,
        initial: Tree | None = None,
        streams: Mapping[str, str] = {},
        root: str = "/restconf",
        limits: Limits = DEFAULT_LIMITS,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self.schema = modules if isinstance(modules, Schema) else Schema(modules)
        self.limits = limits
        self.root = root
        self._now = now
        self._access = access or writers(())
        self.store = Datastore(self.schema, providers, now=now, initial=initial, closed=_CLOSED, limits=limits)
        self._data = DataResources(self.schema, self.store, self._access, self._operational, root=root, limits=limits)
        self._by_operation = {name: provider for provider in self.store.providers for name in provider.operations}
        for name in self._by_operation:
            if self.schema.operation(name) is None:
                raise ValueError(f"a provider offers {name}, which no implemented module has")
        described = {DEFAULT_STREAM: "All notifications of this server.", **streams}
        self.streams = {name: EventStream(name, text, now=now, limits=limits) for name, text in described.items()}
        more = {"sleep": sleep} if sleep is not None else {}
        self.subscriptions = Subscriptions(
            self.schema,
            self.streams,
            self._snapshot,
            self.store.listen,
            lambda caller, node: self._access.may(caller, "read", node),
            now=now,
            root=root,
            limits=limits,
            **more,
        )

    # -- for what stands behind --------------------------------------------------------------------------

    def open_stream(self, name: str, text: str) -> None:
        """A further event stream, with its description; one of this name that is there stays."""
        if name not in self.streams:
            self.streams[name] = EventStream(name, text, now=self._now, limits=self.limits)

    def close_stream(self, name: str) -> None:
        """End a further stream and its readers."""
        stream = self.streams.pop(name, None)
        if stream is not None:
            stream.close()

    def publish(
        self, name: str, content: Tree, *, at: datetime | None = None, stream: str | Iterable[str] | None = None
    ) -> None:
        """Send a notification (module:name) to the default stream, and to `stream` too, or to several.

        Raises RestconfError if it is not valid: then a client could not read it either.
        """
        node = self.schema.notification(name)
        if node is None:
            raise RestconfError("unknown-element", f"no implemented module has the notification {name}")
        valid = self.schema.fragment(node, "", content)
        others = [stream] if isinstance(stream, str) else stream or ()
        for wanted in dict.fromkeys((DEFAULT_STREAM, *others)):
            self.streams[wanted].publish(at or self._now(), name, node, valid)

    def changed(self) -> None:
        """State has changed: on-change subscriptions look again."""
        self.store.changed()

    async def close(self) -> None:
        """End all streams and subscriptions."""
        await self.subscriptions.close()
        for stream in self.streams.values():
            stream.close()

    # -- requests ----------------------------------------------------------------------------------------

    async def handle(self, request: Request) -> Response:
        """The answer; what goes wrong is an answer, too. Never raises but on cancellation."""
        try:
            response = await self._routed(request)
        except RestconfError as error:
            response = refusal(error)
        except Problem as problem:
            response = refusal(of_problem(problem))
        except Exception as fault:  # noqa: BLE001 - border of a request: the next one is served
            _log.error("request.failed", method=request.method, fault=type(fault).__name__, exc_info=True)
            response = refusal(RestconfError("operation-failed", "internal error", status=500))
        if request.method == "HEAD":
            if response.feed is not None:
                response.feed.drop()
            length = ("content-length", str(len(response.body)))
            return Response(response.status, b"", (*response.headers, length))
        return response

    async def _routed(self, request: Request) -> Response:
        if request.path == HOST_META:
            return self._host_meta(request)
        if request.path.endswith("/"):
            raise bad_value("the path ends with a slash, as no resource's does")
        if request.path != self.root and not request.path.startswith(self.root + "/"):
            raise not_found("there is no such resource; the API is at the link that /.well-known/host-meta gives")
        head, _, rest = request.path[len(self.root) :].lstrip("/").partition("/")
        if head == "data":
            return await self._data.handle(request, rest, None)
        if head == "ds":
            name, _, below = rest.partition("/")
            store = decoded(name)
            if store not in (RUNNING, OPERATIONAL):
                raise not_found(f"there are {RUNNING} and {OPERATIONAL}, found {shown(store)}")
            return await self._data.handle(request, below, store)
        if head == "operations":
            return await self._operations(request, rest)
        if head == "streams":
            return self._stream(request, rest)
        if head == "subscriptions":
            return self._subscription(request, rest)
        if head == "modules":
            return self._module(request, rest)
        return self._fixed(request, head, rest)

    def _fixed(self, request: Request, head: str, rest: str) -> Response:
        if rest or head not in ("", "yang-library-version"):
            raise not_found("there is no such resource")
        if (early := self._only_get(request)) is not None:
            return early
        parse_query(request.query, ())
        accepts(request.headers, (DATA,))
        version = {"yang-library-version": YANG_LIBRARY_VERSION}
        if head:
            return answer(200, {"ietf-restconf:yang-library-version": YANG_LIBRARY_VERSION})
        return answer(200, {"ietf-restconf:restconf": {"data": {}, "operations": {}, **version}})

    def _host_meta(self, request: Request) -> Response:
        if (early := self._only_get(request)) is not None:
            return early
        if accepts(request.headers, (XRD, JRD)) == JRD:
            links = [{"rel": "restconf", "href": self.root}]
            return Response(200, msgspec.json.encode({"links": links}), (("content-type", JRD),))
        link = f"<Link rel='restconf' href={quoteattr(self.root)}/>"
        text = f"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  {link}\n</XRD>\n"
        return Response(200, text.encode(), (("content-type", XRD),))

    def _only_get(self, request: Request) -> Response | None:
        if request.method == "OPTIONS":
            return Response(200, b"", (("allow", edits.READ_ONLY),))
        if request.method not in ("GET", "HEAD"):
            raise not_allowed(f"{request.method} does not go with this resource", edits.READ_ONLY)
        return None

    def _module(self, request: Request, name: str) -> Response:
        """The text of a module, as the YANG library's locations say."""
        if (early := self._only_get(request)) is not None:
            return early
        accepts(request.headers, (MODULE,))
        for module in self.schema.modules.modules:
            if name in (module.name, f"{module.name}@{module.revision}"):
                return Response(200, module.text.encode(), (("content-type", MODULE),))
        raise not_found(f"there is no module {shown(name)}")

    # -- what is shown -----------------------------------------------------------------------------------

    async def _operational(self) -> Tree:
        tree = await self.store.operational()
        own = {
            "ietf-yang-library:yang-library": self.schema.modules.instance(),
            "ietf-restconf-monitoring:restconf-state": {
                "capabilities": {"capability": list(capabilities())},
                "streams": {"stream": state_of_streams(self.streams.values(), self.root)},
            },
            **self.subscriptions.state(),
        }
        return {**tree, **own}

    async def _snapshot(self, store: str, caller: str) -> Tree:
        """What a subscriber may see of a datastore."""
        tree = self.store.running if store == RUNNING else await self.store.operational()
        view = View(
            self.schema,
            content="config" if store == RUNNING else "all",
            may_read=lambda node: self._access.may(caller, "read", node),
        )
        seen: Tree = view.of(self.schema.root, tree)
        return seen

    # -- operations --------------------------------------------------------------------------------------

    async def _operations(self, request: Request, rest: str) -> Response:
        if not rest:
            if (early := self._only_get(request)) is not None:
                return early
            parse_query(request.query, ())
            accepts(request.headers, (DATA,))
            names = sorted(qualified(node) for node in self.schema.operations())
            return answer(200, {"ietf-restconf:operations": {name: [None] for name in names}})
        name = decoded(rest)
        operation = self.schema.operation(name)
        if operation is None:
            raise not_found(f"there is no operation {shown(name)}; see {self.root}/operations")
        if request.method == "OPTIONS":
            return Response(200, b"", (("allow", "OPTIONS, POST"),))
        if request.method != "POST":
            raise not_allowed(f"{request.method} does not go with an operation", "OPTIONS, POST")
        return await self._invoked(request, name, operation)

    async def _invoked(self, request: Request, name: str, operation: Any) -> Response:
        parse_query(request.query, ())
        accepts(request.headers, (DATA,))
        if not self._access.may(request.caller, "exec", operation):
            raise RestconfError("access-denied", f"you may not invoke {name}", kind="protocol")
        body: Any = {}
        if request.body:
            member, body = edits.one_member(read_json(request, (DATA,), self.limits.body_bytes, self.limits.json_depth))
            if member != f"{operation.ns}:input" or not isinstance(body, dict):
                raise RestconfError("malformed-message", f"expected {operation.ns}:input, found {shown(member)}")
        given = self.schema.fragment(operation, "input", body)
        if name in OPERATIONS:
            result = await self.subscriptions.invoke(name, given, request.caller)
        else:
            provider = self._by_operation.get(name)
            if provider is None:
                raise RestconfError("operation-not-supported", f"nobody does {name} here", status=501)
            result = await self.store.invoke(provider, name, given, request.caller)
        if not result:
            return Response(204)
        try:
            output = self.schema.fragment(operation, "output", result)
        except RestconfError as fault:
            _log.error("output.unfit", operation=name, fault=str(fault), path=fault.path)
            raise RestconfError(
                "operation-failed", f"the output of {name} does not fit its model", status=500
            ) from None
        return answer(200, {f"{operation.ns}:output": output})

    # -- streams -----------------------------------------------------------------------------------------

    def _stream(self, request: Request, rest: str) -> Response:
        name, _, encoding = rest.partition("/")
        stream = self.streams.get(decoded(name))
        if stream is None or encoding != "json":
            raise not_found("there is no such event stream; see ietf-restconf-monitoring:restconf-state/streams")
        if (early := self._only_get(request)) is not None:
            return early
        query = parse_query(request.query, STREAM)
        accepts(request.headers, (SSE,))
        caller = request.caller

        def passes(event: Event) -> bool:
            return self._access.may(caller, "read", event.node)

        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None
        if request.method == "HEAD":
            return Response(200, b"", (("content-type", SSE),))
        feed = stream.open(passes, start=query.start, stop=query.stop, after=after)
        return Response(200, b"", (("content-type", SSE),), feed)

    def _subscription(self, request: Request, rest: str) -> Response:
        if (early := self._only_get(request)) is not None:
            return early
        parse_query(request.query, ())
        accepts(request.headers, (SSE,))
        number = int(rest) if rest.isascii() and rest.isdigit() and len(rest) < 11 else 0
        if request.method == "HEAD":
            return Response(200, b"", (("content-type", SSE),))
        return Response(200, b"", (("content-type", SSE),), self.subscriptions.open(number, request.caller))
