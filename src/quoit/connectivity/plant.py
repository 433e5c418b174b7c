"""The plant: fibre spans, the light on them, and the paths that use them (E1)."""

from __future__ import annotations

from dataclasses import dataclass

from quoit.connectivity.api import PATH_NEWS, PLANT, SPAN_NEWS, Path, PathDown, PathLoss, PathUp, SpanLight
from quoit.engine.api import ENGINE, LightLevel, WatchLight
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.runtime.wire import Message, message

LOSS_STEP_DB = 0.1
"""A power meter's resolution: smaller changes are not news."""


@message("connectivity.Light")
class Light(Message):
    """The controller's order to the plant: this path is in use from now on."""

    path: Path


@dataclass(frozen=True)
class Span:
    """A fibre between two nodes as the inventory has it."""

    name: str
    a: str
    b: str
    loss_db: float


class Plant(Element):
    """Watches the light of all spans and says which paths suffer."""

    stratum, plane = Stratum.CONNECTIVITY, Plane.RESOURCE
    realises = ("E1", "I2", "G1")

    def __init__(self, place: str, spans: tuple[Span, ...]) -> None:
        super().__init__(PLANT, place)
        self._spans = {span.name: span for span in spans}
        self._level: dict[str, float | None] = {span.name: span.loss_db for span in spans}
        self._paths: dict[str, Path] = {}
        self._dark: dict[str, str] = {}

    async def start(self, ctx: Context) -> None:
        for span in self._spans:
            ctx.tell(ENGINE, WatchLight(span, PLANT))

    @handles(Light)
    async def on_light(self, ctx: Context, msg: Light) -> None:
        self._paths[msg.path.link] = msg.path
        for span in msg.path.spans:
            if self._level[span] is None:
                self._mark_dark(ctx, msg.path.link, span)

    @handles(LightLevel)
    async def on_level(self, ctx: Context, msg: LightLevel) -> None:
        was = self._level[msg.span]
        self._level[msg.span] = msg.loss_db
        ctx.publish(f"{SPAN_NEWS}.{msg.span}", SpanLight(msg.span, msg.loss_db, ctx.now))
        if was == msg.loss_db:
            return
        ctx.emit("light.lost" if msg.loss_db is None else "light.changed", span=msg.span, loss_db=msg.loss_db)
        for link, path in self._paths.items():
            if msg.span in path.spans:
                self._judge(ctx, link, path, msg.span, was)

    def _judge(self, ctx: Context, link: str, path: Path, span: str, was: float | None) -> None:
        levels = [self._level[name] for name in path.spans]
        if None in levels:
            if link not in self._dark:
                self._mark_dark(ctx, link, span)
            return
        if link in self._dark:
            del self._dark[link]
            ctx.publish(f"{PATH_NEWS}.{link}", PathUp(link, ctx.now))
        loss = sum(level for level in levels if level is not None)
        if was is None or abs(loss - path.loss_db) >= LOSS_STEP_DB:
            ctx.gauge("quoit_link_loss_db", (link,), loss)
            ctx.publish(f"{PATH_NEWS}.{link}", PathLoss(link, loss, path.loss_db, ctx.now))

    def _mark_dark(self, ctx: Context, link: str, span: str) -> None:
        self._dark[link] = span
        ctx.publish(f"{PATH_NEWS}.{link}", PathDown(link, span, ctx.now))
