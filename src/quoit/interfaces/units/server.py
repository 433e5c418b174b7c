"""quoit's own interface to service units over ASGI: open, look up, list, close, and follow them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from copy import deepcopy
from functools import cache
from importlib import resources
from typing import Any, TypeVar

import msgspec
import structlog
import yaml
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from quoit.interfaces import resource
from quoit.interfaces.http_edge import Answer, check_json_content, headers_of, read_body
from quoit.interfaces.identity import caller_of
from quoit.interfaces.strict_json import shown
from quoit.interfaces.units.codec import (
    asks_for_states,
    event_bytes,
    gap_bytes,
    notes_object,
    parse_allocation,
    parse_freeing,
    parse_list,
    parse_note,
    parse_open,
    parse_operation,
    parse_taking,
    parse_unit_id,
    render_problem,
    unit_object,
)
from quoit.interfaces.units.pairs import (
    circuit_object,
    news_object,
    parse_circuit,
    parse_closing,
    parse_giving_up,
    parse_over,
    parse_pairs,
    parse_part,
    parse_taking_pairs,
)
from quoit.model.problem import Problem
from quoit.runtime.gate import Gate, Missed
from quoit.runtime.wire import Message
from quoit.service.api import (
    CloseUnit,
    GetUnit,
    Memories,
    Notes,
    Operation,
    PairCircuit,
    PairNews,
    PairsAsked,
    Unit,
    Units,
    UnitsChanged,
)

_log = structlog.get_logger("quoit", element="interfaces.units")

KEEP_ALIVE_S = 15.0
A = TypeVar("A", bound=Message)
Handler = Callable[[Request], Awaitable[Answer | Response]]


class Resource(resource.Resource):
    """One path and its methods; refusals are problem details (RFC 9457)."""

    def __init__(self, methods: Mapping[str, resource.Handler]) -> None:
        super().__init__(methods, render_problem)


class UnitsInterface:
    """Service units of one KME's applications. `kme` is the element that the gate is asked for keys, `eme` for
    shared states, if there are memories at its node."""

    def __init__(
        self,
        gate: Gate,
        kme: str,
        new_unit_id: Callable[[], str],
        within_s: float = 10.0,
        keep_alive_s: float = KEEP_ALIVE_S,
        eme: str | None = None,
    ) -> None:
        self._gate = gate
        self._kme = kme
        self._eme = eme
        self._new_unit_id = new_unit_id
        self._within_s = within_s
        self._keep_alive_s = keep_alive_s

    async def open_unit(self, request: Request) -> Answer:
        """POST /api/v1/units: 201 with the unit, once it is established."""
        caller = caller_of(request.scope)
        body = await read_body(request.receive)
        check_json_content(headers_of(request.scope), body)
        order = parse_open(caller, body, self._new_unit_id)
        unit = await self._ask_unit(order, self._entangler() if asks_for_states(order.lifecycle) else self._kme)
        location = ("location", f"/api/v1/units/{unit.unit_id}")
        return self._json(self._shown(unit), 201, location)

    async def get_unit(self, request: Request) -> Answer:
        """GET /api/v1/units/{id}"""
        caller = caller_of(request.scope)
        unit_id = parse_unit_id(request.path_params["unit_id"])
        return self._json(self._shown(await self._any_unit(GetUnit(caller, unit_id))))

    async def list_units(self, request: Request) -> Answer:
        """GET /api/v1/units?prefix=&state=&limit=, or ?key_id= for the unit behind a 014 key_ID."""
        caller = caller_of(request.scope)
        query = dict(request.query_params)
        if len(query) < len(request.query_params.multi_items()):
            raise Problem("malformed", "a name is twice in the query")
        if "key_id" in query:
            return self._json({"units": await self._by_key_id(caller, query)})
        listing = parse_list(caller, query)
        found = [*(await self._ask(self._kme, listing, Units)).units]
        if self._eme is not None:
            found += (await self._ask(self._eme, listing, Units)).units
            found.sort(key=lambda unit: -unit.created_ns)
        return self._json({"units": [self._shown(unit) for unit in found[: listing.limit]]})

    async def _by_key_id(self, caller: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        if len(query) > 1:
            raise Problem("malformed", "key_id stands alone")
        try:
            key_id = parse_unit_id(query["key_id"])  # a unit's identifier is its key_ID (service.api.OpenUnit)
        except Problem:
            raise Problem("bad-key-id", f"expected a UUID, found {shown(query['key_id'])}") from None
        try:
            return [self._shown(await self._any_unit(GetUnit(caller, key_id)))]
        except Problem as problem:
            if problem.code in ("unknown-unit", "foreign-unit"):
                return []
            raise

    async def close_unit(self, request: Request) -> Answer:
        """DELETE /api/v1/units/{id}: 200 with the closed unit, or 204."""
        caller = caller_of(request.scope)
        message = CloseUnit(caller, parse_unit_id(request.path_params["unit_id"]))
        return self._json(self._shown(await self._any_unit(message)))

    async def events(self, request: Request) -> Response:
        """GET /api/v1/units/events: news of the caller's units, as server-sent events, from now on."""
        caller = caller_of(request.scope)
        stream = self._stream(caller, request.headers.get("last-event-id"))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})

    async def _stream(self, caller: str, last_event_id: str | None) -> AsyncIterator[bytes]:
        news = self._gate.watch(UnitsChanged)
        waiting = asyncio.ensure_future(anext(news))
        try:
            await asyncio.sleep(0)  # let the watch begin before the client hears that it has
            yield b": news of your units\nretry: 2000\n\n"
            if last_event_id:
                yield gap_bytes(last_event_id)
            while True:
                done, _ = await asyncio.wait({waiting}, timeout=self._keep_alive_s)
                if not done:
                    yield b": keep-alive\n\n"
                    continue
                try:
                    change = waiting.result()
                except StopAsyncIteration:
                    return
                waiting = asyncio.ensure_future(anext(news))
                if isinstance(change, Missed):
                    yield gap_bytes(f"{change.news} news that came too fast")
                elif isinstance(change, UnitsChanged) and caller in change.parties:
                    for one in change.each():
                        yield event_bytes(one, self._gate.unix_s)
        finally:
            waiting.cancel()

    # -- memories, operations, messages ----------------------------------------------------------------

    async def operate(self, request: Request) -> Answer:
        """POST /api/v1/memories/operations: 200 with what was read."""
        caller, body = await self._body_of(request)
        done = await self._ask(self._entangler(), parse_operation(caller, body), Operation)
        return self._json({"bits": list(done.bits), "ok": done.ok, "done_ns": done.done_ns})

    async def allocate(self, request: Request) -> Answer:
        """POST /api/v1/memories: 201 with addresses of empty memories."""
        caller, body = await self._body_of(request)
        found = await self._ask(self._entangler(), parse_allocation(caller, body), Memories)
        return self._json({"addresses": list(found.addresses)}, 201)

    async def free(self, request: Request) -> Answer:
        """POST /api/v1/memories/free: 204."""
        caller, body = await self._body_of(request)
        await self._ask(self._entangler(), parse_freeing(caller, body), Memories)
        return Answer(204, b"", ())

    async def send_note(self, request: Request) -> Answer:
        """POST /api/v1/messages: 204 once it has arrived."""
        caller, body = await self._body_of(request)
        await self._ask(self._entangler(), parse_note(caller, body), Notes)
        return Answer(204, b"", ())

    async def take_notes(self, request: Request) -> Answer:
        """GET /api/v1/messages?wait_ms=: what has arrived, each message once."""
        caller = caller_of(request.scope)
        notes = await self._ask(self._entangler(), parse_taking(caller, dict(request.query_params)), Notes)
        return self._json(notes_object(notes, self._gate.unix_s))

    async def ask_pairs(self, request: Request) -> Answer:
        """POST /api/v1/pairs: 201 with the create id."""
        caller, body = await self._body_of(request)
        asked = await self._ask(self._entangler(), parse_pairs(caller, body), PairsAsked)
        return self._json({"create_id": asked.create_id}, 201)

    async def open_circuit(self, request: Request) -> Answer:
        """POST /api/v1/circuits: 201 with the circuit."""
        caller, body = await self._body_of(request)
        made = await self._ask(self._entangler(), parse_circuit(caller, body), PairCircuit)
        return self._json(circuit_object(made), 201)

    async def close_circuit(self, request: Request) -> Answer:
        """DELETE /api/v1/circuits/{circuit}: 204."""
        message = parse_closing(caller_of(request.scope), request.path_params["circuit"])
        await self._ask(self._entangler(), message, PairNews)
        return Answer(204, b"", ())

    async def ask_over(self, request: Request) -> Answer:
        """POST /api/v1/circuits/{circuit}/pairs: 201 with the create id."""
        caller, body = await self._body_of(request)
        message = parse_over(caller, request.path_params["circuit"], body)
        asked = await self._ask(self._entangler(), message, PairsAsked)
        return self._json({"create_id": asked.create_id}, 201)

    async def give_pairs_up(self, request: Request) -> Answer:
        """DELETE /api/v1/pairs/{create_id}, /api/v1/circuits/{circuit}/pairs/{create_id}: 204."""
        path = request.path_params
        message = parse_giving_up(caller_of(request.scope), path["create_id"], path.get("circuit", ""))
        await self._ask(self._entangler(), message, PairNews)
        return Answer(204, b"", ())

    async def receive_pairs(self, request: Request) -> Answer:
        """POST /api/v1/pairs/receive: 204."""
        return await self._part(request, stop=False)

    async def stop_receiving(self, request: Request) -> Answer:
        """POST /api/v1/pairs/stop: 204."""
        return await self._part(request, stop=True)

    async def _part(self, request: Request, *, stop: bool) -> Answer:
        caller, body = await self._body_of(request)
        await self._ask(self._entangler(), parse_part(caller, body, stop=stop), PairNews)
        return Answer(204, b"", ())

    async def take_pairs(self, request: Request) -> Answer:
        """GET /api/v1/pairs?wait_ms=: OKs and ERRs, each once."""
        message = parse_taking_pairs(caller_of(request.scope), dict(request.query_params))
        return self._json(news_object(await self._ask(self._entangler(), message, PairNews)))

    async def _body_of(self, request: Request) -> tuple[str, bytes]:
        caller = caller_of(request.scope)
        body = await read_body(request.receive)
        check_json_content(headers_of(request.scope), body)
        return caller, body

    # -- whom to ask -----------------------------------------------------------------------------------

    def _entangler(self) -> str:
        if self._eme is None:
            raise Problem("above-stage", "there are no quantum memories at this node")
        return self._eme

    async def _any_unit(self, message: GetUnit | CloseUnit) -> Unit:
        """A unit of keys, or else one of shared states."""
        try:
            return await self._ask_unit(message, self._kme)
        except Problem as problem:
            if problem.code != "unknown-unit" or self._eme is None:
                raise
        return await self._ask_unit(message, self._eme)

    async def _ask_unit(self, message: Message, element: str) -> Unit:
        return await self._ask(element, message, Unit)

    async def _ask(self, element: str, message: Message, kind: type[A]) -> A:
        answer = await self._gate.ask(element, message, self._within_s)
        if not isinstance(answer, kind):
            raise TypeError(f"{element} answered with {type(answer).__name__}, expected {kind.__name__}")
        return answer

    def _shown(self, unit: Unit) -> dict[str, Any]:
        return unit_object(unit, self._gate.unix_s)

    def _json(self, value: object, status: int = 200, *headers: tuple[str, str]) -> Answer:
        return Answer(status, msgspec.json.encode(value), (("content-type", "application/json"), *headers))


@cache
def _document() -> dict[str, Any]:
    text = resources.files("quoit.interfaces.units").joinpath("openapi.yaml").read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def openapi() -> dict[str, Any]:
    """The interface's OpenAPI document, as it is served. It is read once, since that takes a while."""
    return deepcopy(_document())


def new_unit_id() -> str:
    """A random version-4 UUID in lower case."""
    return str(uuid.uuid4())


def routes(
    gate: Gate,
    kme: str,
    *,
    new_id: Callable[[], str] = new_unit_id,
    within_s: float = 10.0,
    keep_alive_s: float = KEEP_ALIVE_S,
    eme: str | None = None,
) -> list[BaseRoute]:
    """The routes of the units interface for the KME element `kme`, to be mounted at the root. `eme`: the element that
    keeps shared states at the same node."""
    units = UnitsInterface(gate, kme, new_id, within_s, keep_alive_s, eme)
    document = Answer(200, msgspec.json.encode(openapi()))

    async def contract(request: Request) -> Answer:
        return document

    return [
        Route("/openapi.json", Resource({"GET": contract})),
        Route("/api/v1/units", Resource({"GET": units.list_units, "POST": units.open_unit})),
        Route("/api/v1/units/events", Resource({"GET": units.events})),
        Route("/api/v1/units/{unit_id}", Resource({"GET": units.get_unit, "DELETE": units.close_unit})),
        Route("/api/v1/memories", Resource({"POST": units.allocate})),
        Route("/api/v1/memories/free", Resource({"POST": units.free})),
        Route("/api/v1/memories/operations", Resource({"POST": units.operate})),
        Route("/api/v1/pairs", Resource({"GET": units.take_pairs, "POST": units.ask_pairs})),
        Route("/api/v1/pairs/receive", Resource({"POST": units.receive_pairs})),
        Route("/api/v1/pairs/stop", Resource({"POST": units.stop_receiving})),
        Route("/api/v1/pairs/{create_id}", Resource({"DELETE": units.give_pairs_up})),
        Route("/api/v1/circuits", Resource({"POST": units.open_circuit})),
        Route("/api/v1/circuits/{circuit}", Resource({"DELETE": units.close_circuit})),
        Route("/api/v1/circuits/{circuit}/pairs", Resource({"POST": units.ask_over})),
        Route("/api/v1/circuits/{circuit}/pairs/{create_id}", Resource({"DELETE": units.give_pairs_up})),
        Route("/api/v1/messages", Resource({"GET": units.take_notes, "POST": units.send_note})),
    ]
