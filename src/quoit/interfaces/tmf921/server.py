"""Intents over ASGI, in the shape of TMF921; events by SSE. Callbacks are not made: a server that calls addresses which
its clients give it is a way into its own network."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from quoit.interfaces.http_edge import Answer, check_json_content, headers_of, read_body
from quoit.interfaces.identity import caller_of
from quoit.interfaces.resource import Resource
from quoit.interfaces.tmf921.codec import (
    BASE,
    error_object,
    event_object,
    intent_object,
    parse_create,
    parse_list,
    parse_page,
    parse_patch,
    report_object,
)
from quoit.model.problem import Problem
from quoit.orchestration.api import (
    INTENTS,
    EndIntent,
    GetIntent,
    GetReports,
    Intent,
    IntentChanged,
    Intents,
    Report,
    Reports,
)
from quoit.runtime.gate import Gate, Missed
from quoit.runtime.wire import Message

_log = structlog.get_logger("quoit", element="interfaces.tmf921")
KEEP_ALIVE_S = 15.0
MOST_READERS = 32
MERGE = "application/merge-patch+json"
JSON = (("content-type", "application/json"),)
A = TypeVar("A", bound=Message)
Handler = Callable[[Request], Awaitable[Answer | Response]]


def refusal(problem: Problem) -> Answer:
    """A problem as TMF630 words errors."""
    allow = problem.fields.get("allow")
    headers = (*JSON, ("allow", str(allow))) if allow else JSON
    return Answer(problem.row.status, msgspec.json.encode(error_object(problem)), headers)


class IntentInterface:
    """The intents of one element, behind a listener that knows its callers."""

    def __init__(
        self, gate: Gate, element: str, new_id: Callable[[], str], within_s: float, keep_alive_s: float
    ) -> None:
        self._gate = gate
        self._element = element
        self._new_id = new_id
        self._within_s = within_s
        self._keep_alive_s = keep_alive_s
        self._readers = 0

    async def create(self, request: Request) -> Answer:
        """POST /intent: 201, acknowledged. How it goes on is in its state, its reports and the events."""
        caller, body = await _body_of(request)
        order = parse_create(body, caller, self._new_id, self._gate.unix_s)
        intent = await self._ask(order, Intent)
        return self._json(self._shown(intent), 201, ("location", f"{BASE}/intent/{intent.intent_id}"))

    async def listed(self, request: Request) -> Answer:
        """GET /intent?lifecycleStatus=&offset=&limit=: the oldest first."""
        caller_of(request.scope)
        found = await self._ask(parse_list(_query(request)), Intents)
        return self._page([self._shown(intent) for intent in found.intents], found.total)

    async def get(self, request: Request) -> Answer:
        """GET /intent/{id}"""
        caller_of(request.scope)
        return self._json(self._shown(await self._ask(GetIntent(_id(request)), Intent)))

    async def patch(self, request: Request) -> Answer:
        """PATCH /intent/{id}: another name, description or expression, or `lifecycleStatus` terminated."""
        _, body = await _body_of(request, MERGE)
        revise, end = parse_patch(_id(request), body)
        order = EndIntent(_id(request)) if end or revise is None else revise
        return self._json(self._shown(await self._ask(order, Intent)))

    async def remove(self, request: Request) -> Answer:
        """DELETE /intent/{id}: terminated and forgotten; 204."""
        caller_of(request.scope)
        await self._ask(EndIntent(_id(request), remove=True), Intent)
        return Answer(204, b"", ())

    async def reports(self, request: Request) -> Answer:
        """GET /intent/{id}/intentReport?offset=&limit=: the newest first."""
        caller_of(request.scope)
        found = await self._ask(GetReports(_id(request), None, *parse_page(_query(request))), Reports)
        return self._page([report_object(one, self._gate.unix_s) for one in found.reports], found.total)

    async def report(self, request: Request) -> Answer:
        """GET /intent/{id}/intentReport/{report}"""
        caller_of(request.scope)
        found = await self._ask(GetReports(_id(request), request.path_params["report_id"]), Reports)
        return self._json(report_object(found.reports[0], self._gate.unix_s))

    async def hub(self, request: Request) -> Answer:
        """POST /hub: not done."""
        caller_of(request.scope)
        raise Problem("not-supported", f"this server calls nobody back: read events at {BASE}/events")

    async def events(self, request: Request) -> Response:
        """GET /events: what a hub would send, as server-sent events, from now on."""
        caller_of(request.scope)
        if self._readers >= MOST_READERS:
            raise Problem("overloaded", f"expected at most {MOST_READERS} readers of events")
        headers = {"cache-control": "no-store"}
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=headers)

    async def _stream(self) -> AsyncIterator[bytes]:
        self._readers += 1
        queue: asyncio.Queue[Message] = asyncio.Queue(256)
        tasks = [asyncio.create_task(self._carry(kind, queue)) for kind in (IntentChanged, Report)]
        try:
            await asyncio.sleep(0)  # let the watches begin before the client hears that they have
            yield b": events of intents\nretry: 2000\n\n"
            for number in count(1):
                try:
                    news = await asyncio.wait_for(queue.get(), self._keep_alive_s)
                except TimeoutError:
                    yield b": keep-alive\n\n"
                    continue
                if isinstance(news, Missed):
                    yield f": {news.news} events came too fast and are lost\n\n".encode()
                elif isinstance(news, IntentChanged | Report):
                    event = event_object(news, str(number), self._gate.unix_s)
                    head = f"id: {number}\nevent: {event['eventType']}\ndata: ".encode()
                    yield head + msgspec.json.encode(event) + b"\n\n"
        finally:
            self._readers -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, kind: type[Message], queue: asyncio.Queue[Message]) -> None:
        async for news in self._gate.watch(kind):
            await queue.put(news)

    # -- pieces ----------------------------------------------------------------------------------------

    async def _ask(self, message: Message, kind: type[A]) -> A:
        answer = await self._gate.ask(self._element, message, self._within_s)
        if not isinstance(answer, kind):
            raise TypeError(f"{self._element} answered with {type(answer).__name__}, expected {kind.__name__}")
        return answer

    def _shown(self, intent: Intent) -> dict[str, Any]:
        return intent_object(intent, self._gate.unix_s)

    def _page(self, shown: list[dict[str, Any]], total: int) -> Answer:
        return self._json(shown, 200, ("x-total-count", str(total)), ("x-result-count", str(len(shown))))

    def _json(self, value: object, status: int = 200, *headers: tuple[str, str]) -> Answer:
        return Answer(status, msgspec.json.encode(value), (*JSON, *headers))


async def _body_of(request: Request, kind: str = "application/json") -> tuple[str, bytes]:
    caller = caller_of(request.scope)
    body = await read_body(request.receive)
    headers = headers_of(request.scope)
    if kind == MERGE and headers.get("content-type", "").split(";")[0].strip().lower() == MERGE:
        headers["content-type"] = "application/json"  # TMF630 has both for PATCH
    check_json_content(headers, body)
    return caller, body


def _query(request: Request) -> dict[str, str]:
    query = dict(request.query_params)
    if len(query) < len(request.query_params.multi_items()):
        raise Problem("malformed", "a name is twice in the query")
    return query


def _id(request: Request) -> str:
    text = request.path_params["intent_id"]
    try:
        value = str(uuid.UUID(text))
    except ValueError:
        value = ""
    if value != text.lower():
        raise Problem("unknown-intent", "an intent's identifier is a UUID")
    return value


def new_intent_id() -> str:
    """A random version-4 UUID in lower case."""
    return str(uuid.uuid4())


def routes(
    gate: Gate,
    element: str = INTENTS,
    *,
    new_id: Callable[[], str] = new_intent_id,
    within_s: float = 10.0,
    keep_alive_s: float = KEEP_ALIVE_S,
) -> list[BaseRoute]:
    """The routes of the intent interface for the element that keeps them, to be mounted at the root."""
    intents = IntentInterface(gate, element, new_id, within_s, keep_alive_s)
    one = BASE + "/intent/{intent_id}"
    return [
        Route(f"{BASE}/intent", Resource({"GET": intents.listed, "POST": intents.create}, refusal)),
        Route(one, Resource({"GET": intents.get, "PATCH": intents.patch, "DELETE": intents.remove}, refusal)),
        Route(f"{one}/intentReport", Resource({"GET": intents.reports}, refusal)),
        Route(f"{one}/intentReport/{{report_id}}", Resource({"GET": intents.report}, refusal)),
        Route(f"{BASE}/hub", Resource({"POST": intents.hub}, refusal)),
        Route(f"{BASE}/events", Resource({"GET": intents.events}, refusal)),
    ]
