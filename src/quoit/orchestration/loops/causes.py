"""What made an error rate rise: light, loss, or somebody who measures. Pure reckoning on readings (G2).

How many noise clicks `x` there are for each click of the signal follows from the error rate (`planes.noise_clicks`).
What a receiver should see of light that control knows of is x = noise_hz * gate_s / (photons * transmittance): the
efficiency of its detectors and the loss of its optics weigh on both alike. An eavesdropper makes errors without light,
and loss makes them only by raising the share of dark counts, which bounds it. What neither explains is taken for an
eavesdropper. Nothing secret hangs on this: a suspect link stays in quarantine until its error rate is normal again.

Approximations: dead time and afterpulses are left out, and all light is that of planning (`GetNoise`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log2, log10

from quoit.connectivity.api import ChannelReading, ChannelRow, SpanRow
from quoit.planes.noise_clicks import noise_share

EXPLAINED = 0.5
"""Light or loss explains a rise if it makes at least this share of it: planning is good to 3 dB."""
POWER_STEP_DB = 1.0
"""So much above plan is light that nobody ordered."""
LOSS_STEP_DB = 0.1
"""What power meters resolve."""
CORRECTION = 1.16
"""Efficiency of error correction, for what a link is worth. Source: Cascade's, as in Elkouss et al. (2009)."""


class Cause(StrEnum):
    """What made an error rate rise."""

    LIGHT = "noise of classical light"
    LOSS = "more loss"
    UNEXPLAINED = "suspected eavesdropping"


@dataclass(frozen=True)
class Optics:
    """What control knows of a link's devices. `gate_s`: how long a detector listens for each pulse; `photons`: mean of
    a pulse at the sender."""

    gate_s: float
    photons: float


@dataclass(frozen=True)
class Suspect:
    """Light that has changed. `noise_hz`: what it puts into the link's slot at the receiver's input."""

    name: str
    text: str
    noise_hz: float
    channel: str | None


@dataclass(frozen=True)
class Verdict:
    """`explained`: share of the rise that the cause makes by the formulas; None: it could not be compared."""

    cause: Cause
    text: str
    suspects: tuple[Suspect, ...]
    noise_share: float
    explained: float | None
    more_db: float = 0.0


def share_of(noise_hz: float, loss_db: float, optics: Optics) -> float:
    """Noise clicks for each click of the signal, by the formula above."""
    return noise_hz * optics.gate_s / (optics.photons * 10 ** (-loss_db / 10))


def worth(qber: float, loss_db: float) -> float:
    """What a link would make beside others, up to a factor: the asymptotic rate of BB84 for each pulse.

    Source: Shor and Preskill, Phys. Rev. Lett. 85, 441 (2000).
    """
    q = min(max(qber, 1e-9), 0.5)
    entropy = -q * log2(q) - (1 - q) * log2(1 - q)
    return float(10 ** (-loss_db / 10) * max(0.0, 1 - (1 + CORRECTION) * entropy))


def strangers(rows: tuple[ChannelReading, ...], spans: tuple[str, ...]) -> tuple[ChannelReading, ...]:
    """Light on these spans that nobody ordered; of a channel that is too strong, what it has above plan."""
    found = []
    for row in rows:
        if row.span not in spans or row.dbm is None:
            continue
        if row.channel is None or row.planned_dbm is None:
            found.append(row)
        elif row.dbm - row.planned_dbm >= POWER_STEP_DB:
            above = 10 ** (row.dbm / 10) - 10 ** (row.planned_dbm / 10)
            found.append(_with_power(row, above))
    return tuple(found)


def _with_power(row: ChannelReading, milliwatt: float) -> ChannelReading:
    return ChannelReading(row.channel, row.span, row.node, row.centre_mhz, 10 * log10(milliwatt), None, row.osnr_db)


def told(line: ChannelReading) -> tuple[str, str]:
    """Name and description of light that nobody ordered."""
    at = f"{line.centre_mhz / 1e6:.4f} THz on {line.span}"
    if line.channel is not None:
        return f"too much power of {line.channel}", f"{line.channel} at {at} is stronger than it was told to be"
    return f"unannounced light at {line.centre_mhz / 1e6:.4f} THz", f"no channel of the inventory is at {at}"


def raised_by(before: ChannelRow | None, now: ChannelRow, spans: tuple[str, ...]) -> float:
    """Which share of a channel's light on some spans is new: 1 if it was dark there, 0 if nothing has changed."""
    if now.launch_dbm is None or not set(now.spans) & set(spans):
        return 0.0
    same = before is not None and (before.spans, before.centre_mhz) == (now.spans, now.centre_mhz)
    if before is None or before.launch_dbm is None or not same:
        return 1.0
    return max(0.0, 1 - 10 ** ((before.launch_dbm - now.launch_dbm) / 10))


def more_loss_db(rows: tuple[SpanRow, ...], spans: tuple[str, ...]) -> tuple[float, tuple[str, ...]]:
    """What some spans lose above commissioning, and which do."""
    worse = {r.span: r.loss_db - r.commissioned_db for r in rows if r.span in spans and r.loss_db is not None}
    worse = {span: db for span, db in worse.items() if db >= LOSS_STEP_DB}
    return sum(worse.values()), tuple(sorted(worse))


def judge(
    qber: float, expected: float, suspects: tuple[Suspect, ...], loss_db: float, optics: Optics | None,
    more_db: float, worse: tuple[str, ...],
) -> Verdict:  # fmt: skip
    """The cause of a rise. `loss_db`: of the link's path; `more_db`: what it loses above commissioning, on the spans
    `worse`."""
    needed = noise_share(qber, expected)
    noise_hz = sum(suspect.noise_hz for suspect in suspects)
    explained = None
    if noise_hz > 0 and needed > 0:
        ranked = tuple(sorted(suspects, key=lambda s: (-s.noise_hz, s.name)))
        explained = share_of(noise_hz, loss_db, optics) / needed if optics is not None else None
        if explained is None or explained >= EXPLAINED:
            return Verdict(Cause.LIGHT, "; ".join(s.text for s in ranked), ranked, needed, explained)
    # Were all errors those of dark counts, their share would grow as the signal falls, and no more than that.
    most = expected * 10 ** (more_db / 10)
    if more_db > 0 and qber <= most:
        return Verdict(
            Cause.LOSS, f"{more_db:.2f} dB above commissioning on {', '.join(worse)}", (), needed, None, more_db
        )
    hint = "" if explained is None else f", light explains {100 * explained:.0f} % of it"
    return Verdict(Cause.UNEXPLAINED, f"neither light nor loss explains it{hint}", (), needed, explained)
