"""The bus of a twin whose parts are started apart: who may say what on it, and frames that know their parts' lives.

    quoit.hall.<part>          what a part says of itself to all: it alone may publish there, all may listen
    quoit.frame.<to>.<from>    events of one part for another: `from` alone may publish there, `to` alone may listen

The server goes by the name in a part's certificate, so no part can speak as another one or read what is for another.
One bus carries one twin. As on the crew's bus, TLS 1.3 alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import nats.errors

from quoit.adapters.buses.nats import BusGone, BusIdentity, NatsLine
from quoit.runtime.inbox import Frame, Inbox

EARLY = 100_000
"""Frames kept of parts that began before this one knew who is who."""


def users_lines(parts: Iterable[str]) -> str:
    """For the server's configuration: the parts by their certificates' names, and the subjects of each."""
    users = []
    for part in parts:
        say = f'publish: ["quoit.hall.{part}", "quoit.frame.*.{part}"]'
        hear = f'subscribe: ["quoit.hall.*", "quoit.frame.{part}.*"]'
        users.append(f'  {{ user: "CN={part}", permissions: {{ {say}, {hear} }} }}\n')
    return f"authorization {{ users: [\n{''.join(users)}] }}\n"


class PartBus(NatsLine):
    """One part's place on the bus. A `Post` once the parts have `met`."""

    def __init__(self, url: str, part: str, identity: BusIdentity) -> None:
        super().__init__(url, identity)
        self._part = part
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._life = 0
        self._lives: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._inboxes: dict[int, Inbox] = {}
        self._early: list[tuple[str, bytes]] | None = []
        self._receive: Callable[[Frame], None]
        self._lost: Callable[[int, int], None]
        self._gone: Callable[[Exception], None]

    async def connect(self, heard: Callable[[str, bytes], None], gone: Callable[[Exception], None]) -> None:
        """Join; `heard` gets what each part says of itself (name, bytes), `gone` hears that the bus has gone."""
        self._gone = gone

        async def in_hall(message: Any) -> None:
            heard(message.subject.rpartition(".")[2], message.data)

        async def arrived(message: Any) -> None:
            source = message.subject.rpartition(".")[2]
            if self._early is None:
                self._take(source, message.data)
            elif len(self._early) < EARLY:
                self._early.append((source, message.data))
            else:
                gone(BusGone("the other parts have begun, and nobody said so here"))

        try:
            await self._open(gone, {"quoit.hall.*": in_hall, f"quoit.frame.{self._part}.*": arrived})
        except (nats.errors.Error, OSError) as fault:
            raise BusGone(
                f"no bus at {self._url} lets part {self._part} in ({type(fault).__name__}); does `quoit bus` run "
                "there, and are these the credentials that it made when it was started last?"
            ) from fault

    def say(self, data: bytes) -> None:
        """Tell all parts of oneself."""
        self._out.put_nowait((f"quoit.hall.{self._part}", data))

    def meet(
        self,
        names: Sequence[str],
        lives: Sequence[int],
        receive: Callable[[Frame], None],
        lost: Callable[[int, int], None],
    ) -> None:
        """All parts by their numbers, and which life of each this is. From now on frames go and come: `receive` gets
        each once, `lost(part's number, frame's)` hears of those that stay away."""
        self._names = list(names)
        self._numbers = {name: number for number, name in enumerate(names)}
        self._receive, self._lost = receive, lost
        self._life = lives[self._numbers[self._part]]
        for number, life in enumerate(lives):
            self.renew(number, life)
        early, self._early = self._early or [], None
        for source, data in early:
            self._take(source, data)

    def renew(self, number: int, life: int) -> None:
        """A part has come back to a later life: frames to and from it are numbered anew."""
        if life > self._lives.get(number, -1):
            self._lives[number] = life
            self._sent[number] = 0
            self._inboxes[number] = Inbox(self._receive, self._lost)

    def send(self, process: int, frame: Frame) -> None:
        """See `Post.send`."""
        number = self._sent[process] = self._sent[process] + 1
        data = self._encode((self._life, self._lives[process], number, frame))
        self._out.put_nowait((f"quoit.frame.{self._names[process]}.{self._part}", data))

    def _take(self, source: str, data: bytes) -> None:
        try:
            process = self._numbers[source]
            life, own_life, number, frame = msgspec.msgpack.decode(data)
            self.renew(process, life)  # its first frame may come before its first word in the hall
            if life == self._lives[process] and own_life == self._life:  # else of, or for, one that has gone
                self._inboxes[process].take(process, number, tuple(frame))
        except Exception as fault:  # noqa: BLE001 - the client library would drop it, and the frame with it
            self._gone(BusGone(f"a frame of {source} on the bus cannot be read ({type(fault).__name__})"))
