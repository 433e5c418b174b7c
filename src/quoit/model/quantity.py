"""Quantities as people write them in network files: a number and a unit."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FORM = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ/]+)\s*\Z")

DURATIONS: Mapping[str, float] = {
    "ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9, "m": 60e9, "h": 3600e9, "d": 86400e9,
}  # fmt: skip
RATES: Mapping[str, float] = {"bit/s": 1, "bps": 1, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9}
SIZES: Mapping[str, float] = {
    "bit": 1, "bits": 1, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9,
    "B": 8, "kB": 8e3, "MB": 8e6, "KiB": 8 * 1024, "MiB": 8 * 1024**2, "GiB": 8 * 1024**3,
}  # fmt: skip
LENGTHS: Mapping[str, float] = {"km": 1, "m": 1e-3}
LOSSES: Mapping[str, float] = {"dB": 1}
ATTENUATIONS: Mapping[str, float] = {"dB/km": 1}


def parse(text: object, units: Mapping[str, float], example: str) -> float:
    """The number in the units' base. ValueError says which units are known, with an example."""
    found = _FORM.match(text) if isinstance(text, str) else None
    if found is None or found[2] not in units:
        known = ", ".join(units)
        raise ValueError(f"expected a number with a unit ({known}) such as {example!r}, found {text!r}")
    return float(found[1]) * units[found[2]]


def _not_negative(value: float, text: object) -> float:
    if value < 0:
        raise ValueError(f"expected 0 or more, found {text!r}")
    return value


def parse_duration_ns(text: object) -> int:
    """`1h`, `600s`, `200 ms` as nanoseconds."""
    return round(_not_negative(parse(text, DURATIONS, "600s"), text))


def parse_rate_bps(text: object) -> float:
    """`8192 bit/s`, `2 kbit/s` as bit/s."""
    return _not_negative(parse(text, RATES, "2 kbit/s"), text)


def parse_size_bits(text: object) -> int:
    """`256 bit`, `2 MiB` as bits."""
    return round(_not_negative(parse(text, SIZES, "256 bit"), text))


def parse_length_km(text: object) -> float:
    """`24.5 km`, `300 m` as km."""
    return _not_negative(parse(text, LENGTHS, "24.5 km"), text)


def parse_loss_db(text: object) -> float:
    """`8.72 dB` as dB."""
    return _not_negative(parse(text, LOSSES, "8.72 dB"), text)


def parse_attenuation_db_per_km(text: object) -> float:
    """`0.2 dB/km` as dB/km."""
    return _not_negative(parse(text, ATTENUATIONS, "0.2 dB/km"), text)


def format_duration(ns: int) -> str:
    """A short form for people: 1h 02m 03s, 4.20 s, 5.1 ms."""
    s = ns / 1e9
    if s >= 3600:
        return f"{int(s // 3600)}h {int(s % 3600 // 60):02d}m {int(s % 60):02d}s"
    if s >= 60:
        return f"{int(s // 60)}m {int(s % 60):02d}s"
    return f"{s:.2f} s" if s >= 1 else f"{s * 1e3:.1f} ms"


def format_bits(bits: float) -> str:
    """A short form for people: 3.2 Mbit."""
    for unit, size in (("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3)):
        if bits >= size:
            return f"{bits / size:.2f} {unit}"
    return f"{bits:.0f} bit"
