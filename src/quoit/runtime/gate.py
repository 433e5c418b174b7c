"""How the outside world reaches elements: the port that HTTP servers, command line and tests use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from quoit.runtime.wire import Message, message


@message("runtime.Missed")
class Missed(Message):
    """To a watcher that lagged: so many news were lost before the one that comes next."""

    news: int


class Gate(Protocol):
    """A way into a running twin. Each call is stamped with its simulated arrival time and recorded."""

    async def ask(self, to: str, msg: Message, within_s: float = 10.0) -> Message:
        """Send `msg` to the element called `to` and wait for its reply.

        Raises `Problem` as the element raised it; `Problem("deadline")` after `within_s` of the host's time.
        """
        ...

    def now_ns(self) -> int:
        """Simulated time, nanoseconds since the scenario's start."""
        ...

    def unix_s(self, at_ns: int) -> float:
        """The Unix time that the scenario gives to a simulated instant."""
        ...

    def watch(self, kind: type[Message]) -> AsyncIterator[Message]:
        """News of one type as they are published; a watcher that lags loses the oldest, and gets
        `Missed` before the next."""
        ...
