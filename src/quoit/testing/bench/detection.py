"""Detection: delays of the tests of a link under attack, and false alarms over 10^6 clean seconds.

The link: a pulse rate of 2 MHz with decoys over 5 km (profile bb84-gys), of which some 1,300 detections a second are
tested; one that is as slow shows delays. The tests are those of the fabric's meters.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from statistics import median

from quoit.engine.links.sampler import Channel
from quoit.fabric.detection import Battery, Cause
from quoit.testing.drawn import plan, protocol, readings

LOSS_DB = 1.0
QUIET_S, LIMIT_S = 120, 600
Figure = tuple[str, float, str, float | None, bool | None]
ATTACKS: dict[str, tuple[Channel, Cause, float | None]] = {
    "intercept-resend of 1/4": (Channel(LOSS_DB, intercepted=0.25), Cause.EAVESDROPPING, 3.0),
    "intercept-resend of 1/10": (Channel(LOSS_DB, intercepted=0.1), Cause.EAVESDROPPING, 10.0),
    "intercept-resend of 1/20": (Channel(LOSS_DB, intercepted=0.05), Cause.EAVESDROPPING, 120.0),
    "photon-number splitting": (Channel(LOSS_DB, split=1.0), Cause.SPLITTING, 3.0),
    "tap of 0.2 dB": (Channel(LOSS_DB + 0.2), Cause.LOSS, 30.0),
}
"""What is done, what it must be called, and within which median time, s."""


def delay_s(channel: Channel, cause: Cause, seed: int) -> float:
    """Seconds until an attack is found and called by its name; the limit if it is not. RuntimeError for a false alarm
    before it."""
    link = protocol("bb84-gys")
    battery = Battery(plan(link))

    def told() -> Iterator[Channel]:
        yield from repeat(Channel(LOSS_DB), QUIET_S)
        yield from repeat(channel, LIMIT_S)

    for number, reading in enumerate(readings(link, told(), seed), 1):
        found = battery.add(reading)
        if found and number <= QUIET_S:
            raise RuntimeError(f"a false alarm after {number} s: {found}")
        if any(finding.cause is cause for finding in found):
            return number - QUIET_S
    return LIMIT_S


def false_alarms(seconds: int, links: int) -> int:
    """Findings of several clean links that run so many seconds together."""
    link = protocol("bb84-gys")
    found = 0
    for seed in range(links):
        battery = Battery(plan(link))
        for reading in readings(link, repeat(Channel(LOSS_DB), seconds // links), 1_000 + seed):
            findings = battery.add(reading)
            found += len(findings)
            if findings:
                battery.rearm()
    return found


def figures(scale: float) -> Iterator[Figure]:
    """(name, value, unit, bound, holds)."""
    runs = max(5, round(50 * scale))
    for name, (channel, cause, bound) in ATTACKS.items():
        delays = sorted(delay_s(channel, cause, seed) for seed in range(runs))
        middle = median(delays)
        yield f"detection of {name}, median", middle, "s", bound, bound is None or middle <= bound
        yield f"detection of {name}, greatest of {runs}", delays[-1], "s", None, None
    seconds = round(1_000_000 * scale)
    found = false_alarms(seconds, 10)
    yield f"false alarms in {seconds} clean seconds", found, "alarms", 0.0, found == 0
