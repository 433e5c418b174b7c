"""The bus of a twin whose parts are started apart: who may say what on it, and frames that know their parts' lives.

    quoit.hall.<part>          what a part says of itself to all: it alone may publish there, all may listen
    quoit.frame.<to>.<from>    events of one part for another: `from` alone may publish there, `to` alone may listen
    quoit.news.<to>.<from>     news for those who watch the twin at another part: likewise

The server goes by the name in a part's certificate, so no part can speak as another one or read what is for another.
One bus carries one twin. As on the crew's bus, TLS 1.3 alone.

Events must not be lost, and wait as long as it takes. News may be: what would wait behind too much is left out, and the
part that was to hear it is told how much that was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import nats.errors
import structlog

from quoit.adapters.buses.nats import START_S, BusGone, BusIdentity, NatsLine
from quoit.runtime.inbox import Frame, Inbox

_log = structlog.get_logger("quoit", element="bus")
News = tuple[Any, ...]
NEWS_BACKLOG = 1_000
"""With so much waiting to leave, news are left out."""
EARLY = 100_000
"""Frames kept of parts that began before this one knew who is who."""


def users_lines(parts: Iterable[str]) -> str:
    """For the server's configuration: the parts by their certificates' names, and the subjects of each."""
    users = []
    for part in parts:
        say = f'publish: ["quoit.hall.{part}", "quoit.frame.*.{part}", "quoit.news.*.{part}"]'
        hear = f'subscribe: ["quoit.hall.*", "quoit.frame.{part}.*", "quoit.news.{part}.*"]'
        users.append(f'  {{ user: "CN={part}", permissions: {{ {say}, {hear} }} }}\n')
    return f"authorization {{ timeout: {START_S:g}, users: [\n{''.join(users)}] }}\n"


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
        self._told = Counter[int]()
        self._heard = Counter[int]()
        self._promised = Counter[int]()
        self._hear: Callable[[str, News], None] = _to_nobody
        self._missed: Callable[[str, int], None] = _to_nobody
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

        async def news_came(message: Any) -> None:
            self._take_news(message.subject.rpartition(".")[2], message.data)

        subjects = {
            "quoit.hall.*": in_hall,
            f"quoit.frame.{self._part}.*": arrived,
            f"quoit.news.{self._part}.*": news_came,
        }
        try:
            await self._open(gone, subjects)
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
            for count in (self._told, self._heard, self._promised):
                count[number] = 0

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

    # -- news ----------------------------------------------------------------------------------------

    def listen(self, hear: Callable[[str, News], None], missed: Callable[[str, int], None]) -> None:
        """Before `meet`: `hear` gets news (part, what it told) of each part in its order, `missed` (part, how many)
        hears of those that were left out or lost, before what came after them."""
        self._hear, self._missed = hear, missed

    def tell(self, part: str, news: News) -> None:
        """News for those who watch at another part; left out, which its number shows, with `NEWS_BACKLOG` waiting."""
        process = self._numbers[part]
        self._told[process] += 1
        if self._out.qsize() < NEWS_BACKLOG:
            data = self._encode((self._life, self._lives[process], self._told[process], news))
            self._out.put_nowait((f"quoit.news.{part}.{self._part}", data))

    @property
    def told(self) -> dict[str, int]:
        """How many news each part was told, or was to be, in its life and this one."""
        return {self._names[process]: number for process, number in self._told.items() if number}

    def promised(self, part: str, number: int) -> None:
        """A part says how many news it has told to this one. Those that have not come by its next word never will: so
        even the last ones of a stream are missed."""
        process = self._numbers[part]
        due, self._promised[process] = self._promised[process], number
        self._note_gap(part, process, due)

    def _note_gap(self, part: str, process: int, due: int) -> None:
        missing = due - self._heard[process]
        if missing > 0:
            self._heard[process] = due
            self._missed(part, missing)

    def _take_news(self, part: str, data: bytes) -> None:
        process = self._numbers.get(part)
        if process is None:  # before the common start, or of a part that has no place in this twin
            return
        try:
            life, own_life, number, news = msgspec.msgpack.decode(data)
            self.renew(process, life)
            if (life, own_life) != (self._lives[process], self._life) or number <= self._heard[process]:
                return
            self._note_gap(part, process, number - 1)
            self._heard[process] = number
            self._hear(part, tuple(news))
        except Exception as fault:  # noqa: BLE001 - the client library would drop it and say nothing
            _log.warning("news.not_understood", part=part, error=type(fault).__name__)
            self._missed(part, 1)


def _to_nobody(part: str, what: object) -> None:
    """No news are wanted here."""
