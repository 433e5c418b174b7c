"""One path of an HTTP interface as an ASGI application: which methods it has, and how its refusals are worded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from quoit.interfaces.http_edge import Answer, reply
from quoit.model.problem import Problem

_log = structlog.get_logger("quoit", element="interfaces")

Handler = Callable[[Request], Awaitable[Answer | Response]]


class Resource:
    """`methods` by name; `refusal` renders a problem as the interface words errors."""

    def __init__(self, methods: Mapping[str, Handler], refusal: Callable[[Problem], Answer]) -> None:
        self._methods = dict(methods)
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._handler(request.method)(request)
        except ClientDisconnect:
            return
        except Problem as problem:
            answer = self._refusal(problem)
        except Exception as fault:  # noqa: BLE001 - border of the request: the caller must get its answer
            _log.error("request.fault", path=request.url.path, fault=type(fault).__name__, exc_info=fault)
            answer = self._refusal(Problem("internal"))
        if isinstance(answer, Response):
            await answer(scope, receive, send)
        else:
            await reply(send, answer)

    def _handler(self, method: str) -> Handler:
        handler = self._methods.get(method)
        if handler is None:
            allow = ", ".join(self._methods)
            raise Problem("method-not-allowed", f"expected {allow}, found {method}", allow=allow)
        return handler
