"""Log lines that others can cause in any number: the first at once, further ones once a second with their number."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any


class Repeated:
    """Says each event and reason at most once a second, with how many `times` it came.

    Whoever can connect can fail to. A line each would let him fill a disk, or stop the process at a pipe that
    nobody empties. Use it inside a running event loop; `fields` are in every line.
    """

    EVERY_S = 1.0

    def __init__(self, log: Any, **fields: Any) -> None:
        self._log = log
        self._fields = fields
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, event: str, reason: str) -> None:
        """Say it now, or with the others of this second."""
        self._unsaid[event, reason] += 1
        if self._timer is None:
            self._say()

    def _say(self) -> None:
        for (event, reason), times in self._unsaid.items():
            self._log.warning(event, reason=reason, times=times, **self._fields)
        again = bool(self._unsaid)
        self._unsaid.clear()
        self._timer = asyncio.get_running_loop().call_later(self.EVERY_S, self._say) if again else None

    def close(self) -> None:
        """Say what is left to say."""
        if self._timer is not None:
            self._timer.cancel()
            self._say()
        if self._timer is not None:  # for the line just said; None if there was none
            self._timer.cancel()
            self._timer = None
