"""Spans, and the paths of quantum channels over them."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

SPAN_NEWS = "connectivity.span"
"""Subjects are `connectivity.span.<span>`."""
PATH_NEWS = "connectivity.path"
"""Subjects are `connectivity.path.<link>`."""


@message("connectivity.RequestPath")
class RequestPath(Message):
    """Give the quantum channel of `link` from node to node a path; `spans` empty: any, of least loss. One that is off
    is joined along it."""

    link: str
    a: str
    b: str
    spans: tuple[str, ...] = ()


@message("connectivity.ReleasePath")
class ReleasePath(Message):
    """Give up the path of a link's quantum channel: its cross-connects are opened, and its spectrum is free. Answered
    with the `ChannelRow`, which is off. Problems `no-such-element`, `malformed`, `switching`."""

    link: str


@message("connectivity.Path")
class Path(Message):
    """A path that is provisioned, with the loss it was planned with."""

    link: str
    spans: tuple[str, ...]
    loss_db: float
    lit: bool


@message("connectivity.PathDown")
class PathDown(Message):
    """News: no light arrives on a path, because a span of it is dark. `planned`: as was to be expected, since a
    satellite has set, or switches are about to let go by control's own order."""

    link: str
    span: str
    at_ns: int
    planned: bool = False


@message("connectivity.PathUp")
class PathUp(Message):
    """News: all spans of a path carry light again."""

    link: str
    at_ns: int


@message("connectivity.PathLoss")
class PathLoss(Message):
    """News: a path's loss differs from what it was."""

    link: str
    loss_db: float
    planned_db: float
    at_ns: int


@message("connectivity.SpanLight")
class SpanLight(Message):
    """News: the power meter at a span's end reads this loss; None: no light arrives."""

    span: str
    loss_db: float | None
    at_ns: int


@message("connectivity.GetSpans")
class GetSpans(Message):
    """What do the power meters say? Answered with `Spans`."""


class SpanRow(Message):
    """One span: loss at commissioning and now. `state`: lit, dark, or unknown before the first reading."""

    span: str
    a: str
    b: str
    commissioned_db: float
    loss_db: float | None
    state: str


@message("connectivity.Spans")
class Spans(Message):
    spans: tuple[SpanRow, ...]
