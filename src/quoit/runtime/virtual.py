"""The virtual world: as fast as the machine can, and the same every time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from quoit.model.problem import Problem
from quoit.runtime.journal import Input
from quoit.runtime.kernel import Kernel
from quoit.runtime.wire import Message


class VirtualWorld:
    """Runs a kernel in simulated time alone. `begin` once, then `run_until` as often as wanted."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def begin(self) -> None:
        """Start all elements at the present instant."""
        self.kernel.start()

    def run_until(self, end_ns: int, progress: Callable[[int], None] | None = None, steps: int = 100) -> None:
        """Handle everything due up to and including `end_ns`; `progress` hears the time now and then."""
        kernel = self.kernel
        span = max(1, (end_ns - kernel.now) // steps)
        edge = kernel.now
        while edge < end_ns:
            edge = min(end_ns, edge + span)
            kernel.run(edge)
            if progress is not None:
                progress(edge)
        kernel.now = max(kernel.now, end_ns)

    def enter(self, inputs: Iterable[Input]) -> None:
        """Put recorded outside requests into the queue, at their recorded stamps."""
        for entry in inputs:
            self.kernel.ask_from_outside(entry.t, entry.to, entry.message, _ignore, entry.seq)

    def ask(self, to: str, msg: Message, within_ns: int = 10_000_000_000) -> Any:
        """Ask an element now and run until it answers. Raises its `Problem`, or `Problem("deadline")`."""
        box: list[Any] = []
        kernel = self.kernel

        def answered(value: Any) -> None:
            box.append(value)
            kernel.hold(kernel.now)  # the run ends with the answer

        kernel.ask_from_outside(kernel.now, to, msg, answered)
        kernel.run(kernel.now + within_ns)
        if not box:
            raise Problem("deadline", f"{to} did not answer within {within_ns} ns", element=to)
        if isinstance(box[0], Problem):
            raise box[0]
        return box[0]


def _ignore(reply: Any) -> None:
    """A replayed request's answer has nobody to go to."""
