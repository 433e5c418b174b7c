"""What telemetry makes of a link's readings, and which blocks are in quarantine."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

STRAY_NEWS = "fabric.stray"
"""Subjects are `fabric.stray.<KME>`."""


@message("fabric.LinkFinding")
class LinkFinding(Message):
    """News: what telemetry makes of a change on a link. `cause`: one of `fabric.detection.Cause`. `explained`: what
    another stratum has told that explains it. `void`: blocks are void, as `LinkSuspect`
    says. `over`: it is as it was again."""

    link: str
    cause: str
    text: str
    at_ns: int
    explained: str = ""
    void: bool = False
    over: bool = False


@message("fabric.LinkSuspect")
class LinkSuspect(Message):
    """News: a link's readings are not what they were. Blocks from `first_block` on may be compromised. `cause`: what
    the alarm is called; that its blocks are void does not depend on it."""

    link: str
    first_block: int
    qber: float
    expected: float
    at_ns: int
    why: str
    cause: str = "suspected eavesdropping"


@message("fabric.LinkCalm")
class LinkCalm(Message):
    """News: a suspect link's error rate has been as before for the hold time; `block` is the block under way,
    which counts as suspect still."""

    link: str
    block: int
    at_ns: int


@message("fabric.LinkQuarantined")
class LinkQuarantined(Message):
    """News: no key of these blocks may be used any more, wherever it went."""

    link: str
    first_block: int
    last_block: int
    at_ns: int
    why: str


@message("fabric.LinkReleased")
class LinkReleased(Message):
    """News: blocks from `from_block` on may be used; those that were quarantined stay so."""

    link: str
    from_block: int
    at_ns: int


@message("fabric.GetIncidents")
class GetIncidents(Message):
    """Which blocks are, or ever were, quarantined? For those who were away when it was news."""


class Incident(Message):
    link: str
    first_block: int
    last_block: int


@message("fabric.Incidents")
class Incidents(Message):
    incidents: tuple[Incident, ...]


@message("fabric.KeyStrayed")
class KeyStrayed(Message):
    """A KME tells: key from `src` to `dst` (of the reserved `flow`, if it has a name) came over these nodes, which is
    not the way that control has granted it. It is not used. `over`: key goes as it was granted again."""

    src: str
    dst: str
    nodes: tuple[str, ...]
    flow: str
    at_ns: int
    over: bool = False
