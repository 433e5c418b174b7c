"""Asking one of several instances of a control element: the same one for the same subject, another if it is silent."""

from __future__ import annotations

import zlib
from typing import Any

from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.wire import Message
from quoit.service.messages.names import controller

SHUN_NS = 30_000_000_000
"""How long an instance that was silent is asked last."""


class Instances:
    """The instances of one kind of element, as one asker knows them."""

    def __init__(self, names: tuple[str, ...], each_ns: int) -> None:
        """`each_ns`: how long one instance may take."""
        self._names = names
        self._each_ns = each_ns
        self._silent: dict[str, int] = {}

    async def ask(self, ctx: Context, subject: str, msg: Message) -> Any:
        """The answer of the first instance that gives one, beginning with the subject's own. What an instance refuses
        is refused; only silence makes the next one be asked. Raises Problem `deadline` if all are silent."""
        first = zlib.crc32(subject.encode()) % len(self._names)
        turn = (*self._names[first:], *self._names[:first])
        for name in sorted(turn, key=lambda name: self._silent.get(name, 0) > ctx.now):
            try:
                return await ctx.ask(name, msg, within=self._each_ns)
            except Problem as problem:
                if problem.code != "deadline" or problem.fields.get("element", name) != name or len(turn) == 1:
                    raise
                self._silent[name] = ctx.now + SHUN_NS
                ctx.log.warning("instance.silent", instance=name)
        raise Problem("deadline", f"none of {len(self._names)} instances answered")


class Controllers:
    """The service controllers of all domains, as one asker knows them: `number` instances in each."""

    def __init__(self, number: int, within_ns: int) -> None:
        """`within_ns`: how long all instances of a domain may take together."""
        self._number = number
        self._each_ns = within_ns // number
        self._of: dict[str, Instances] = {}

    async def ask(self, ctx: Context, domain: str, msg: Message) -> Any:
        """See `Instances.ask`: any instance knows what all do, and each place has one of its own to begin with."""
        known = self._of.get(domain)
        if known is None:
            names = tuple(controller(domain, n) for n in range(self._number))
            known = self._of[domain] = Instances(names, self._each_ns)
        return await known.ask(ctx, ctx.place, msg)
