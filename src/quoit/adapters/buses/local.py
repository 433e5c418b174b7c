"""The in-process bus: several kernels of one process, joined by function calls."""

from __future__ import annotations

from collections.abc import Callable

from quoit.runtime.inbox import Frame

Receive = Callable[[Frame], None]


class LocalBus:
    """Brings frames to the kernels that joined. What is sent to a process that has not is an error."""

    def __init__(self) -> None:
        self._receivers: dict[int, Receive] = {}

    def join(self, process: int, receive: Receive) -> None:
        """Deliver frames for `process` to `receive`."""
        self._receivers[process] = receive

    def send(self, process: int, frame: Frame) -> None:
        """See `Post.send`. KeyError if nobody joined under that number."""
        self._receivers[process](frame)
