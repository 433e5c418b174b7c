"""What telemetry makes of one link: tests for each kind of change, and which cause they point to.

The tests only see what the link's two agents report and what other strata have told. Naming a cause never makes a
reaction weaker: blocks under a raised error rate, a splitting sign, blinded detectors or a disagreement are void,
whatever the cause is called, because an eavesdropper can shine light or bend a fibre as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, sqrt
from typing import Any, NamedTuple, Protocol

from quoit.engine.physics.bb84 import binary_entropy
from quoit.fabric.api import BlockCredited, BlockMade, EndReading, LinkReading
from quoit.fabric.reporting import TOLD_EVERY
from quoit.fabric.signs import ERRORS, BatteryPlan, Cause, Finding, Signs, promised_bell, share
from quoit.planes.count_trend import Change, CountTrend

__all__ = [
    "SILENT_NS",
    "Battery",
    "BatteryPlan",
    "Cause",
    "Finding",
    "LinkDetector",
    "Seen",
    "TwoEnds",
    "promised_bell",
]

COUNT_SHIFT = 0.02
"""The relative change of the count rate that its test is built for; a coupler of 0.2 dB takes 4.5 %."""
DARK_SHIFT = 0.5
"""The relative rise of clicks in the dark that its test is built for."""
DARK = 0.02
"""A rate below this share of what it was is no light at all."""
SIGMAS = 4.0
"""Standard errors that a cause is allowed when it is named."""
SILENT_NS = 5 * 10**9
"""So long, and two messages of the sender's, one end may tell nothing of what the other has told."""
PENDING = 64
BLOCKS_SEEN = 3
OVERDUE = 4
"""So many times the sifted bits that a block ever took may be told of without one."""


class Seen(NamedTuple):
    """One interval as a detector sees it.

    `steady`: sifted clicks of the strongest intensity, whose rate only loss and noise change (all, where there are no
    intensities). `baseline_qber` and `rate_ratio` (rate of the steady ones over what was learned) are None while they
    are learned. `decoy_ratio`: share of decoy clicks over the least that is honest; 1 where there are none.
    """

    tested: int
    errors: int
    sifted: int
    steady: int
    seconds: float
    baseline_qber: float | None
    rate_ratio: float | None
    decoy_ratio: float
    block: int


class LinkDetector(Protocol):
    """A further detector, by the entry point group `quoit.detectors`; one instance a link, made without arguments.

    It may only add suspicion. A finding that leaves blocks as they are says so with `void` false.
    """

    def add(self, seen: Seen) -> Finding | None:
        """Take in one interval; what it found, when it is found."""
        ...

    def rearm(self) -> None:
        """The link is quiet again: forget excursions."""
        ...


def _sifted(reading: LinkReading) -> int:
    return round(reading.sifted_bps * (reading.took_ns / 1e9))


def _steady(reading: LinkReading) -> int:
    """Clicks whose rate only loss and noise change: those of the strongest intensity, where there are any."""
    return reading.clicks[0] if reading.clicks else _sifted(reading)


class _Sums:
    """Readings since the error rate last looked normal. Summed up when somebody asks: most are of healthy links."""

    __slots__ = ("_first", "_readings", "errors", "seconds", "sifted", "tested")

    def __init__(self) -> None:
        self._first: LinkReading | None = None
        self._readings: list[LinkReading] = []
        self.clear()

    def clear(self) -> None:
        self._first = None
        self._readings.clear()
        self.tested = self.errors = self.sifted = 0
        self.seconds = 0.0

    def begin(self, reading: LinkReading) -> None:
        """Forget all but this one."""
        if self._readings or self.seconds:
            self.clear()
        self._first = reading

    def add(self, reading: LinkReading) -> None:
        self._readings.append(reading)
        if len(self._readings) > PENDING:
            self.settle()

    def settle(self) -> None:
        """Bring the sums up to date."""
        if self._first is not None:
            self._readings.insert(0, self._first)
            self._first = None
        for reading in self._readings:
            self.tested += reading.tested
            self.errors += reading.errors
            self.sifted += _sifted(reading)
            self.seconds += reading.took_ns / 1e9
        self._readings.clear()


class Battery:
    """All tests of one link."""

    def __init__(self, plan: BatteryPlan, further: Sequence[tuple[str, LinkDetector]] = ()) -> None:
        self._signs = Signs(plan)
        self.trend = self._signs.trend
        self.ends = TwoEnds()
        self._counts = CountTrend(COUNT_SHIFT) if plan.steady else None
        self._all = CountTrend(COUNT_SHIFT) if plan.steady else None
        # Pulses without light are the receiver's dark windows: what clicks in them is noise alone.
        self._empty = next((k for k, w in enumerate(plan.shares) if w == 0 and plan.steady), None)
        self._dark = CountTrend(DARK_SHIFT) if self._empty is not None else None
        self._lighter = False
        self._further = tuple(further)
        self._sums = _Sums()
        self._changed: Cause | None = None
        self._lit_again = False

    # -- readings ------------------------------------------------------------------------------------

    def add(self, reading: LinkReading) -> list[Finding]:
        """Take in a reading; what has changed, the gravest first."""
        seen = self._seen(reading) if self._further else None
        found = self._signs.see(reading)
        if found and found[-1].why is ERRORS:
            self._sums.add(reading)
            found[-1] = found[-1]._replace(cause=self.why_errors())
        elif self.trend.score == 0.0:
            self._sums.begin(reading)
        else:
            self._sums.add(reading)
        if found and self._counts is not None:
            self._counts.rearm()  # what made blocks void explains the rate, or matters more
        elif self._counts is not None:
            self._rate(reading, found)
        if self._dark is not None:
            self._look_into_the_dark(reading, self._dark, found)
        if seen is not None:
            found += self._asked(seen)
        return found

    def _asked(self, seen: Seen) -> Iterator[Finding]:
        """What further detectors say."""
        for name, detector in self._further:
            more = detector.add(seen)
            if more is not None:
                yield more._replace(why=f"{name}: {more.why}")

    def skip(self, block: int) -> None:
        """A reading of a link that is dark or suspect: nothing is learned of it."""
        self._signs.skip(block)

    def calm(self, reading: LinkReading) -> bool:
        """Whether a reading of a suspect link looks as it did before."""
        return self.ends.agree and self._signs.calm(reading)

    def rearm(self) -> None:
        """Forget excursions, keep baselines."""
        self._signs.rearm()
        self._sums.clear()
        for counts in (self._counts, self._dark):
            if counts is not None:
                counts.rearm()
        for _, detector in self._further:
            detector.rearm()

    def lit_again(self, now_ns: int) -> None:
        """Light is back: of the next reading a part was dark, so its rate means nothing."""
        self._lit_again = True
        self.ends.lit_again(now_ns)
        self.rearm()

    def moved(self) -> None:
        """The link goes another way from now on, on purpose: learn its rate anew."""
        for counts in (self._counts, self._all, self._dark):
            if counts is not None:
                counts.relearn()
        self._changed = None

    def _seen(self, reading: LinkReading) -> Seen:
        seconds, sifted, steady = reading.took_ns / 1e9, _sifted(reading), _steady(reading)
        ratio = self._counts.ratio(steady, seconds) if self._counts is not None else None
        decoys = [(share(reading, k), floor.floor) for k, floor in self._signs.floors]
        decoy = min((part / whole / least for (part, whole), least in decoys if whole), default=1.0)
        return Seen(
            reading.tested, reading.errors, sifted, steady, seconds, self.trend.baseline, ratio, decoy, reading.block
        )

    # -- rates ---------------------------------------------------------------------------------------

    def _rate(self, reading: LinkReading, found: list[Finding]) -> None:
        assert self._counts is not None
        assert self._all is not None
        if self._lit_again:
            self._lit_again = False
            return
        before = self.trend.last_trusted
        seconds, steady = reading.took_ns / 1e9, _steady(reading)
        change = self._counts.add(steady, seconds)
        if self._all.baseline is None:  # only what it learns is asked for
            self._all.add(_sifted(reading), seconds)
        if self._changed is None and change is None:
            return
        ratio = self._counts.ratio(steady, seconds)
        why = f"the rate is {ratio or 0.0:.3f} of what it was"
        if self._changed is not None:
            if ratio is not None and abs(ratio - 1) <= COUNT_SHIFT / 2 + 3 / sqrt(max(1, steady)):
                cause, self._changed = self._changed, None
                self._counts.rearm()
                found.append(Finding(cause, reading.block, why, void=False, over=True))
            return
        if change is Change.FALLEN:
            self._changed = Cause.CUT if (ratio or 0.0) < DARK else Cause.LOSS
        else:
            self._changed = Cause.RISE
        found.append(Finding(self._changed, before, why, void=False))

    def _look_into_the_dark(self, reading: LinkReading, dark: CountTrend, found: list[Finding]) -> None:
        """Clicks of empty pulses: noise light raises them before it raises the error rate by much."""
        if self._empty is None or len(reading.clicks) <= self._empty:
            return
        clicks, seconds = reading.clicks[self._empty], reading.took_ns / 1e9
        change = dark.add(clicks, seconds)
        ratio = dark.ratio(clicks, seconds) or 0.0
        why = f"clicks of pulses without light are {ratio:.2f} times what they were"
        if change is Change.RISEN and not self._lighter:
            self._lighter = True
            found.append(Finding(Cause.NOISE, self.trend.last_trusted, why, void=False))
        elif self._lighter and ratio and ratio <= 1 + DARK_SHIFT / 2 + 3 / sqrt(clicks):
            self._lighter = False
            dark.rearm()
            found.append(Finding(Cause.NOISE, reading.block, why, void=False, over=True))

    # -- causes --------------------------------------------------------------------------------------

    def why_errors(self) -> Cause:
        """The cause of a raised error rate: loss leaves the noise that was there, resending leaves the rate.

        Noise adds clicks, half of them wrong: N noise clicks among C raise an error rate q0 to q by
        N = C (q - q0)/(1/2 - q0), and C by N.
        """
        sums, q0 = self._sums, self.trend.baseline
        sums.settle()
        base = self._all.baseline if self._all is not None else None
        if q0 is None or base is None or not sums.tested or not sums.sifted:
            return Cause.EAVESDROPPING
        q = sums.errors / sums.tested
        honest = base * sums.seconds
        excess, scatter = sums.sifted - honest, SIGMAS * sqrt(honest)
        noise = sums.sifted * (q - q0) / (0.5 - q0)
        unsure = scatter + SIGMAS * sums.sifted / (0.5 - q0) * sqrt(q * (1 - q) / sums.tested)
        if excess > scatter and noise / 2 - unsure <= excess <= 1.5 * noise + unsure:
            return Cause.NOISE
        if excess < -scatter and q <= q0 * honest / sums.sifted + SIGMAS * sqrt(q * (1 - q) / sums.tested):
            return Cause.LOSS
        return Cause.EAVESDROPPING


class TwoEnds:
    """Compares what the two ends of a link tell: error counts of each interval, secret bits of each block.

    Honest ends count the same disclosed bits, so any difference is a disagreement, and so is an end that is silent for
    more than `SILENT_NS`. Readings of key that no block comes of are one, too. Who of the two lies is not told by it.
    """

    def __init__(self) -> None:
        self.agree = True
        self._near: dict[int, tuple[int, int]] = {}
        self._far: dict[int, tuple[int, int]] = {}
        self._made: dict[int, BlockMade] = {}
        self._credited: dict[int, int] = {}
        self._tested = self._errors = 0
        self._lit_ns = self._told_ns = 0
        self._sifted = self._most_sifted = 0.0
        self._blocks = 0
        self._limit = inf

    def idle(self) -> None:
        """No key is to be made just now: no block is awaited."""
        self._sifted = 0.0

    @property
    def overdue(self) -> bool:
        """Whether readings have told of much more key than blocks ever took, and no block came."""
        return self._sifted > self._limit

    def why_overdue(self) -> str:
        """Says so, and begins anew."""
        told, self._sifted = self._sifted, 0.0
        return f"one end tells of {told:.0f} sifted bits and of no block; {self._most_sifted:.0f} were the most for one"

    def lit_again(self, now_ns: int) -> None:
        """What the ends told of the dark says nothing of the blocks to come."""
        self._lit_ns = now_ns
        self._tested = self._errors = 0

    def near(self, msg: LinkReading) -> str | None:
        """The receiver's reading; in which way the ends disagree."""
        self._sifted += msg.sifted_bps * msg.took_ns / 1e9
        return self._compare(self._near, self._far, msg.at_ns, (msg.tested, msg.errors))

    def far(self, msg: EndReading) -> str | None:
        """The sender's. If several intervals disagree, the first is told."""
        why: str | None = None
        for end_ns, tested, errors in msg.rows:
            began_ns, self._told_ns = self._told_ns, end_ns
            if began_ns >= self._lit_ns:
                self._tested = self._tested // 2 + tested  # the last few intervals weigh most
                self._errors = self._errors // 2 + errors
            why = why or self._compare(self._far, self._near, end_ns, (tested, errors))
        if why is not None:
            self.agree = False
        return why

    def _compare(
        self, mine: dict[int, tuple[int, int]], other: dict[int, tuple[int, int]], at_ns: int, told: tuple[int, int]
    ) -> str | None:
        theirs = other.pop(at_ns, None)
        if theirs is None:
            mine[at_ns] = told
            oldest = next(iter(mine))
            if at_ns - oldest <= SILENT_NS or len(mine) <= 2 * TOLD_EVERY:
                return None
            del mine[oldest]
            self.agree = False
            return f"one end tells nothing of {len(mine)} readings that the other told"
        for old in [at for at in other if at < at_ns]:
            del other[old]
        self.agree = theirs == told
        if self.agree:
            return None
        (n, e), (m, f) = told, theirs
        return f"of one interval one end tells {e} errors in {n}, the other {f} in {m}"

    def made(self, msg: BlockMade) -> str | None:
        """The receiver's verdict on a block."""
        if self._blocks:  # before the first one nobody knows when it was begun
            self._most_sifted = max(self._most_sifted, self._sifted)
        self._blocks += 1
        self._sifted = 0.0
        if self._blocks >= BLOCKS_SEEN:
            self._limit = OVERDUE * self._most_sifted
        if not msg.secret_bits:
            return None
        bits = self._credited.pop(msg.block, None)
        if bits is None:
            _keep(self._made, msg.block, msg)
            return None
        return self._judge(msg, bits)

    def credited(self, msg: BlockCredited) -> str | None:
        """What the sender put into its pool."""
        made = self._made.pop(msg.block, None)
        if made is None:
            _keep(self._credited, msg.block, msg.bits)
            return None
        return self._judge(made, msg.bits)

    def _judge(self, made: BlockMade, bits: int) -> str | None:
        if bits != made.secret_bits:
            self.agree = False
            return f"of block {made.block} one end tells {made.secret_bits} secret bits, the other {bits}"
        if not made.leak_bits or not self._tested:
            return None
        q = min(0.5, self._errors / self._tested)
        least = max(0.0, q - 5 * sqrt(q * (1 - q) / self._tested))
        most = made.sifted_bits * (1 - binary_entropy(least)) - made.leak_bits
        if bits > most:
            self.agree = False
            return f"block {made.block} gave {bits} secret bits; at the sender's error rate {most:.0f} are the most"
        return None


def _keep(where: dict[int, Any], key: int, value: Any) -> None:
    """Remember, within bounds: the oldest goes."""
    where[key] = value
    if len(where) > PENDING:
        del where[next(iter(where))]
