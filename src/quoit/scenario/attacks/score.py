"""Plays an attack in virtual time, seed by seed, and judges what was noticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from quoit.adapters.stores.memory import MemoryStore
from quoit.model.quantity import format_duration
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.attacks.check import Play
from quoit.scenario.attacks.truth import HELD, Truth
from quoit.scenario.schema import NetworkFile

S = 1e9
INFORMATIVE = frozenset({"key cannot be refilled"})
"""Alarms that tell of a consequence and name no cause."""


@dataclass(frozen=True)
class Found:
    """A finding of the fabric's telemetry, or an alarm of any stratum."""

    at_ns: int
    cause: str
    about: str
    explained: str
    alarm: bool


class Finds:
    """A sink for what is found in one run."""

    def __init__(self) -> None:
        self.all: list[Found] = []

    def __call__(self, event: Event) -> None:
        f = event.fields
        if event.event == "link.finding" and not f["over"]:
            self.all.append(Found(event.t, f["cause"], f["link"], f["explained"], False))
        elif event.event == "alarm.raised" and f["cause"] not in INFORMATIVE:
            self.all.append(Found(event.t, f["cause"], f["about"], "", True))
        elif event.event == "link.held":
            self.all.append(Found(event.t, HELD, f["link"], "", True))


class Bits(NamedTuple):
    """`learned`: sifted bits that the eavesdropper knows. `secret`: all key made. `insecure`: key given out as secret
    of which she knows too much; `delivered`: of these handed out, `late`: after the deadline. `touched`: handed out
    before the first finding from blocks that she touched, secure by the bound or not."""

    learned: int
    secret: int
    insecure: int
    delivered: int
    late: int
    touched: int


@dataclass(frozen=True)
class Run:
    """One seed. `delays_s`: of each expected detection; None: missed. `clean`: findings on the clean twin."""

    seed: int
    delays_s: tuple[float | None, ...]
    bits: Bits
    clean: int
    faults: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """All seeds of an attack."""

    name: str
    title: str
    expected: tuple[str, ...]
    runs: tuple[Run, ...]
    clean_s: float

    @property
    def good(self) -> bool:
        """Whether everything was found in time, nothing else was, and no key that is not secret was handed out late."""
        return not any(run.faults for run in self.runs)

    def delays(self) -> Iterator[tuple[str, int, float, float, float]]:
        """(what, times found, least, median, greatest delay in s) of each expected detection."""
        for i, what in enumerate(self.expected):
            found = sorted(d for run in self.runs if (d := run.delays_s[i]) is not None)
            if found:
                yield what, len(found), found[0], median(found), found[-1]
            else:
                yield what, 0, float("inf"), float("inf"), float("inf")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "good": self.good,
            "expected": self.expected,
            "clean_s": self.clean_s,
            "runs": [
                {"seed": r.seed, "delays_s": r.delays_s, **r.bits._asdict(), "clean": r.clean, "faults": r.faults}
                for r in self.runs
            ],
        }


def played(network: NetworkFile, seed: int, until_ns: int) -> tuple[Finds, Truth]:
    """One run in virtual time."""
    finds, truth = Finds(), Truth()
    twin = assemble(network, Parts(lambda kme: MemoryStore(), seed))
    twin.kernel.sinks += [finds, truth]
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(until_ns)
    return finds, truth


def one_seed(play: Play, seed: int) -> Run:
    """The attacked twin and the clean one, of the same seed."""
    file = play.file
    finds, truth = played(play.attacked, seed, file.until_ns)
    delays, faults = [], []
    for one in file.expect:
        at = [
            f.at_ns
            for f in finds.all
            if (f.cause, f.about) == (one.cause, one.on)
            and f.at_ns >= one.after_ns
            and (one.explained is None or (not f.alarm and bool(f.explained) == one.explained))
        ]
        delay = (at[0] - one.after_ns) / S if at else None
        delays.append(delay)
        if delay is None:
            faults.append(f"missed: {one.cause} on {one.on}")
        elif delay > one.within_ns / S:
            faults.append(f"late: {one.cause} on {one.on} after {delay:.3f} s, {one.within_ns / S:g} s allowed")
    faults += _unexpected(play, finds)
    bits, more = _judged(play, finds, truth)
    faults += more
    clean, _ = played(play.clean, seed, file.clean_ns)
    faults += [f"false alarm on the clean twin at {format_duration(f.at_ns)}: {f.cause}" for f in clean.all[:3]]
    return Run(seed, tuple(delays), bits, len(clean.all), tuple(faults))


def _unexpected(play: Play, finds: Finds) -> Iterator[str]:
    """Findings before anything happened, those that must never be, and causes that nothing expected names."""
    begin = min(event.at_ns for event in play.file.events)
    expected = {(one.cause, one.on) for one in play.file.expect}
    for f in finds.all:
        where = f"{f.cause} on {f.about} at {format_duration(f.at_ns)}"
        if f.at_ns < begin:
            yield f"false alarm before the attack: {where}"
        elif f.cause in play.file.never:
            yield f"must not be found: {where}"
        elif not f.alarm and (f.cause, f.about) not in expected:
            yield f"not expected: {where}"


def _judged(play: Play, finds: Finds, truth: Truth) -> tuple[Bits, list[str]]:
    """What became of key, and what of it must not have."""
    file = play.file
    deadline = max((one.after_ns + one.within_ns for one in file.expect), default=0)
    first = min((f.at_ns for f in finds.all), default=file.until_ns)
    blocks = truth.blocks()
    delivered = late = touched = 0
    for block in blocks:
        share = block.insecure / block.secret if block.secret else 0.0
        delivered += round(share * sum(bits for _, bits in block.used))
        late += round(share * sum(bits for at, bits in block.used if at > deadline))
        touched += sum(bits for at, bits in block.used if block.known and at <= first)
    insecure = sum(b.insecure for b in blocks)
    faults = []
    if file.bound == "holds":
        worst = [b for b in blocks if b.insecure][:3]
        faults += [f"block {b.number} of {b.link}: {b.known} bits are known, {b.removed} were taken off" for b in worst]
        if late:
            faults.append(f"{late} insecure bits were handed out after the deadline")
    elif not insecure:
        faults.append("expected a broken bound, found that it holds")
    used = truth.used_in_quarantine(deadline)
    if used:
        faults.append(f"{used} bits of quarantined blocks were handed out after the deadline")
    exposed = truth.exposed(file.untrusted, min(event.at_ns for event in file.events))
    if exposed:
        faults.append(f"{exposed} bits of key were taken in that went through {', '.join(file.untrusted)}")
    secret = sum(b.secret for b in blocks)
    return Bits(truth.learned_bits, secret, insecure, delivered, late, touched), faults


def score(play: Play, seeds: int | None = None) -> Iterator[Run]:
    """Run after run, so that progress can be shown."""
    for i in range(play.file.seeds if seeds is None else seeds):
        yield one_seed(play, play.file.seed + i)


def scored(play: Play, runs: list[Run]) -> Score:
    """The runs of a file, together."""
    expected = tuple(f"{one.cause} on {one.on}" for one in play.file.expect)
    file = play.file
    return Score(file.name, file.title or file.name, expected, tuple(runs), file.clean_ns / S * len(runs))
