"""Links: what their ends read, the blocks that they make, the table of all."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

LINK_NEWS = "fabric.link"
"""Subjects are `fabric.link.<link>.<what>`; a link's name holds no dot."""


@message("fabric.LinkReading")
class LinkReading(Message):
    """News, once a telemetry interval of `took_ns`: test detections and errors among them, and rates of one link.
    `clicks`: sifted detections by intensity, strongest first, where there are intensities. `bright`: the detectors'
    monitor of their supply current found bright light. `games`: rounds of a Bell test and those of them that were won,
    of protocols that have one."""

    link: str
    tested: int
    errors: int
    sifted_bps: float
    raw_bps: float
    at_ns: int
    block: int
    took_ns: int = 10**9
    clicks: tuple[int, ...] = ()
    bright: bool = False
    games: tuple[int, ...] = ()


@message("fabric.BlockMade")
class BlockMade(Message):
    """News: a block went through distillation. `secret_bits` 0: it failed, and `why` says so. `chsh`: its estimate of
    S, where the protocol tests it."""

    link: str
    block: int
    secret_bits: int
    qber: float
    sifted_bits: int
    leak_bits: int
    made_ns: int
    took_ns: int
    why: str | None = None
    chsh: float | None = None


@message("fabric.EndReading")
class EndReading(Message):
    """The other end's own reading of some intervals' test detections, as its agent tells it: (end of the interval, ns;
    tested; errors) each."""

    link: str
    rows: tuple[tuple[int, int, int], ...]


@message("fabric.BlockCredited")
class BlockCredited(Message):
    """The other end put so many secret bits of a block into its pool, as its agent tells it."""

    link: str
    block: int
    bits: int


@message("fabric.Falsify")
class Falsify(Message):
    """To a module: its reporting agent is in somebody's hands (`on` false: no more), and reports in this manner; see
    `fabric.reporting`. `delay_ns`: of one that tells late."""

    link: str
    on: bool = True
    manner: str = "repeat"
    delay_ns: int = 0


@message("fabric.LinkAuth")
class LinkAuth(Message):
    """News: the key that authenticates a link's own messages lasts for so many blocks that fail. `parked`: so few
    that the link has stopped, before any message would have to go without a tag."""

    link: str
    blocks_left: int
    parked: bool
    at_ns: int


@message("fabric.CommissionLink")
class CommissionLink(Message):
    """An operator has brought both ends of a link fresh key for their messages."""

    link: str


@message("fabric.GetLinks")
class GetLinks(Message):
    """Ask the meters for the table of all links."""


class LinkRow(Message):
    """`over`: links for entangled pairs that it goes over, none if it has a light of its own. `chsh`: S of the last
    block, where the protocol tests it. `rests_on`: what its key's secrecy does."""

    link: str
    a: str
    b: str
    state: str
    qber: float | None
    sifted_bps: float
    secret_bps: float
    pool_bits: int
    blocks: int
    failed_blocks: int
    over: tuple[str, ...] = ()
    chsh: float | None = None
    rests_on: str = ""


@message("fabric.Links")
class Links(Message):
    rows: tuple[LinkRow, ...]
