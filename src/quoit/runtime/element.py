"""A functional element of the architecture: named, placed, tagged with its stratum and plane.

An element reacts to messages by `async def` handlers and sees the world only through its `Context`:

    class Kma(Element):
        stratum, plane, realises = Stratum.FABRIC, Plane.RESOURCE, ("C2",)

        @handles(KeyBlock)
        async def on_block(self, ctx: Context, msg: KeyBlock) -> None: ...

A handler's return value is the reply to an `ask`; a `Problem` that it raises is raised at the asker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from quoit.runtime.wire import Message

if TYPE_CHECKING:
    from quoit.runtime.context import Context

Handler = Callable[["Element", "Context", Any], Awaitable[Message | None]]
H = TypeVar("H", bound=Callable[..., Awaitable[Message | None]])


class Stratum(StrEnum):
    """The three strata of the draft, and the synthetic environment below them (draft 5.2, 5.5)."""

    SERVICE = "service"
    FABRIC = "fabric"
    CONNECTIVITY = "connectivity"
    ENGINE = "engine"


class Plane(StrEnum):
    """The planes each stratum has (draft 5.1, 5.2)."""

    RESOURCE = "resource"
    CONTROL = "control"
    MANAGEMENT = "management"
    TELEMETRY = "telemetry"


def handles(kind: type[Message]) -> Callable[[H], H]:
    """Mark a method as the handler of messages of type `kind`."""

    def mark(method: H) -> H:
        method.__handles__ = kind  # type: ignore[attr-defined]
        return method

    return mark


class Element:
    """Base of all functional elements.

    `realises` lists the rows of the requirements that the element exists for. `subscribes` lists the
    subjects (with `*` for one label) whose news it wants; the handlers say what types it understands.
    `only_resource_plane` closes the element to callers of other planes: the kernel checks it.
    `separable` elements may run apart from the others of their cell: between these and them, local latency passes.
    """

    stratum: ClassVar[Stratum]
    plane: ClassVar[Plane]
    realises: ClassVar[tuple[str, ...]] = ()
    only_resource_plane: ClassVar[bool] = False
    separable: ClassVar[bool] = False
    handlers: ClassVar[dict[type[Message], Handler]] = {}
    subscribes: tuple[str, ...] = ()

    def __init__(self, name: str, place: str) -> None:
        self.name = name
        self.place = place

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        table = dict(cls.handlers)
        for attribute in vars(cls).values():
            kind = getattr(attribute, "__handles__", None)
            if kind is not None:
                table[kind] = attribute
        cls.handlers = table

    async def start(self, ctx: Context) -> None:
        """Run once at the scenario's time 0, in name order, before any message."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self.place}>"
