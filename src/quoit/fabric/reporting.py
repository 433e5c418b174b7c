"""The agents that report a link's two ends, and how one that is in somebody's hands reports.

Named models of falsification: the agent repeats what it told while all was well, under fresh times, and of blocks tells
the figures of the last good one; or it tells nothing, or all of it late; or it cries wolf, and tells of errors that
nobody made. Who has the agents of both ends has them repeat the same intervals, so that what they tell agrees. Only
what is told is false: the modules work on.
"""

from __future__ import annotations

from collections import deque

from msgspec.structs import replace

from quoit.fabric import api
from quoit.fabric.api import BlockCredited, BlockMade, EndReading, Falsify, LinkReading
from quoit.runtime.context import Context
from quoit.runtime.wire import Message, message

REPEATED = 16
"""Readings that a taken-over agent repeats, over and over."""
MARGIN = 4
"""Readings before it was taken over that it leaves out: the other end has not told of them yet."""
KEPT = 2 * REPEATED

TOLD_EVERY = 4
"""Intervals of which the sender hears at a time: one message for each would be a third of a link's load."""

HONEST, REPEAT, WITHHOLD, DELAY, CRY = "", "repeat", "withhold", "delay", "cry"
"""How an agent reports; see the module's own words."""


@message("fabric.LinkPaused")
class LinkPaused(Message):
    """One end of a link to the meters: I was told to make no key with it (`on` false: I make key again). `end`: its
    node."""

    link: str
    end: str
    on: bool


class Agent:
    """What one end tells the fabric's meters."""

    def __init__(self) -> None:
        self._manner = HONEST
        self._delay_ns = 0
        self._taken_ns = 0
        self._readings: deque[LinkReading] = deque(maxlen=KEPT)
        self._rows: deque[tuple[int, int, int]] = deque(maxlen=KEPT)
        self._block: BlockMade | None = None
        self._credit: int | None = None
        self._paused = False

    def obey(self, ctx: Context, msg: Falsify) -> None:
        """Somebody has taken the agent over, or has to give it back."""
        self._taken_ns = ctx.now
        self._manner, self._delay_ns = (msg.manner, msg.delay_ns) if msg.on else (HONEST, 0)

    def reading(self, ctx: Context, true: LinkReading) -> None:
        """Tell of an interval."""
        if self._manner == HONEST:
            self._readings.append(true)
            ctx.tell(api.METERS, true)
        elif self._manner == CRY:
            ctx.tell(api.METERS, replace(true, errors=true.tested // 2))
        elif self._manner == REPEAT and len(self._readings) > MARGIN and true.at_ns > self._taken_ns:
            source_ns = self._source_ns(true.at_ns, true.took_ns)
            past = min(self._readings, key=lambda kept: abs(kept.at_ns - source_ns))
            ctx.tell(api.METERS, replace(past, at_ns=true.at_ns, block=true.block, took_ns=true.took_ns, bright=False))
        else:
            self._pass_on(ctx, api.METERS, true)

    def end_reading(self, ctx: Context, true: EndReading) -> None:
        """Tell what the other end knows of it."""
        if self._manner == HONEST:
            self._rows += true.rows
            ctx.tell(api.METERS, true)
        elif self._manner == CRY:
            ctx.tell(api.METERS, EndReading(true.link, tuple((end, n, n // 2) for end, n, _ in true.rows)))
        elif self._manner == REPEAT and len(self._rows) > MARGIN:
            ctx.tell(api.METERS, EndReading(true.link, tuple(map(self._row, true.rows))))
        else:
            self._pass_on(ctx, api.METERS, true)

    def _row(self, true: tuple[int, int, int]) -> tuple[int, int, int]:
        """What is told of one interval; those that had ended before are told as they were."""
        if true[0] <= self._taken_ns:
            return true
        source_ns = self._source_ns(true[0], self._rows[-1][0] - self._rows[-2][0])
        past = min(self._rows, key=lambda kept: abs(kept[0] - source_ns))
        return (true[0], *past[1:])

    def _source_ns(self, end_ns: int, took_ns: int) -> int:
        """Which interval's reading is told for the one that ended then."""
        period_ns = REPEATED * took_ns
        turns = -((self._taken_ns - MARGIN * took_ns - end_ns) // period_ns)
        return end_ns - turns * period_ns

    def block(self, ctx: Context, true: BlockMade) -> None:
        """Tell of a block."""
        past = self._block
        if self._manner == REPEAT and past is not None:
            kept = (past.secret_bits, past.qber, past.sifted_bits, past.leak_bits)
            ctx.tell(api.METERS, BlockMade(true.link, true.block, *kept, true.made_ns, true.took_ns, past.why))
            return
        self._block = true if true.secret_bits or past is None else past
        self._pass_on(ctx, api.METERS, true)

    def credit(self, ctx: Context, true: BlockCredited) -> None:
        """Tell what the other end has put into its pool."""
        if self._manner == REPEAT and self._credit is not None:
            ctx.tell(api.METERS, BlockCredited(true.link, true.block, self._credit))
            return
        self._credit = true.bits
        self._pass_on(ctx, api.METERS, true)

    def news(self, ctx: Context, true: Message) -> None:
        """Tell management of something that an agent which repeats old readings keeps back."""
        if self._manner != REPEAT:
            self._pass_on(ctx, api.UPKEEP, true)

    def paused(self, ctx: Context, link: str, end: str, on: bool) -> None:
        """Tell that control wants no key of a link, or wants some again: silence is no alarm meanwhile."""
        if on is not self._paused:
            self._paused = on
            self._pass_on(ctx, api.METERS, LinkPaused(link, end, on))

    def _pass_on(self, ctx: Context, to: str, true: Message) -> None:
        if self._manner != WITHHOLD:
            ctx.tell(to, true, after=self._delay_ns)


class Disclosure:
    """What a receiver has yet to tell the sender of its test bits."""

    def __init__(self, link: str) -> None:
        self._link = link
        self._rows: list[tuple[int, int, int]] = []

    def add(self, end_ns: int, tested: int, errors: int) -> EndReading | None:
        """Take in an interval; the message when it is time for one."""
        self._rows.append((end_ns, tested, errors))
        if len(self._rows) < TOLD_EVERY:
            return None
        rows, self._rows = tuple(self._rows), []
        return EndReading(self._link, rows)
