"""The sessions interface over ASGI: open, look up, list and close."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from quoit.interfaces.http_edge import Answer, check_json_content, headers_of, read_body
from quoit.interfaces.identity import caller_of
from quoit.interfaces.sessions.codec import parse_open, session_object
from quoit.interfaces.units.server import Resource, new_unit_id
from quoit.model.problem import Problem
from quoit.runtime.gate import Gate
from quoit.runtime.wire import Message
from quoit.service.api import CloseSession, GetSession, ListSessions, Session, Sessions

A = TypeVar("A", bound=Message)


class SessionsInterface:
    """Sessions of one KME's applications."""

    def __init__(self, gate: Gate, kme: str, new_id: Callable[[], str], within_s: float) -> None:
        self._gate = gate
        self._kme = kme
        self._new_id = new_id
        self._within_s = within_s

    async def open_session(self, request: Request) -> Answer:
        """POST /api/v1/sessions: 201 with the session, once its routes are reserved."""
        caller = caller_of(request.scope)
        body = await read_body(request.receive)
        check_json_content(headers_of(request.scope), body)
        session = await self._ask(parse_open(caller, body, self._new_id), Session)
        return self._json(session, 201, ("location", f"/api/v1/sessions/{session.session_id}"))

    async def list_sessions(self, request: Request) -> Answer:
        """GET /api/v1/sessions: the caller's, oldest first."""
        found = await self._ask(ListSessions(caller_of(request.scope)), Sessions)
        shown = [session_object(session, self._gate.unix_s) for session in found.sessions]
        return Answer(200, msgspec.json.encode({"sessions": shown}))

    async def get_session(self, request: Request) -> Answer:
        """GET /api/v1/sessions/{id}"""
        return self._json(await self._ask(GetSession(caller_of(request.scope), _id_of(request)), Session))

    async def close_session(self, request: Request) -> Answer:
        """DELETE /api/v1/sessions/{id}: 200 with the closed session."""
        return self._json(await self._ask(CloseSession(caller_of(request.scope), _id_of(request)), Session))

    async def _ask(self, message: Message, kind: type[A]) -> A:
        answer = await self._gate.ask(self._kme, message, self._within_s)
        if not isinstance(answer, kind):
            raise TypeError(f"{self._kme} answered with {type(answer).__name__}, expected {kind.__name__}")
        return answer

    def _json(self, session: Session, status: int = 200, *headers: tuple[str, str]) -> Answer:
        body = msgspec.json.encode(session_object(session, self._gate.unix_s))
        return Answer(status, body, (("content-type", "application/json"), *headers))


def _id_of(request: Request) -> str:
    text = request.path_params["session_id"]
    try:
        value = str(uuid.UUID(text))
    except ValueError:
        value = ""
    if value != text.lower():
        raise Problem("unknown-session", "a session's identifier is a UUID")
    return value


def routes(gate: Gate, kme: str, *, new_id: Callable[[], str] = new_unit_id, within_s: float = 10.0) -> list[BaseRoute]:
    """The routes of the sessions interface for the KME element `kme`, to be mounted at the root."""
    sessions = SessionsInterface(gate, kme, new_id, within_s)
    return [
        Route("/api/v1/sessions", Resource({"GET": sessions.list_sessions, "POST": sessions.open_session})),
        Route(
            "/api/v1/sessions/{session_id}",
            Resource({"GET": sessions.get_session, "DELETE": sessions.close_session}),
        ),
    ]
