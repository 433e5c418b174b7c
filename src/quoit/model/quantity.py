"""Quantities as people write them in network files: a number and a unit.

All `parse_*` take what the file holds and raise ValueError with the forms that they know. Conversion is exact:
what does not come out as a whole number of ns or bits is refused rather than rounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, localcontext
from types import MappingProxyType

_FORM = re.compile(
    r"\s*([+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-zµμ/]+)\s*\Z"
)

_US = Decimal(1000)
_MINUTE, _HOUR, _DAY = (Decimal(s * 10**9) for s in (60, 3600, 86400))
# µ is written as the micro sign and as the Greek letter
DURATIONS: Mapping[str, Decimal] = MappingProxyType(
    {
        "ns": Decimal(1), "us": _US, "\u00b5s": _US, "\u03bcs": _US, "ms": Decimal(10**6), "s": Decimal(10**9),
        "min": _MINUTE, "m": _MINUTE, "h": _HOUR, "d": _DAY,
    }
)  # fmt: skip
RATES: Mapping[str, Decimal] = MappingProxyType(
    {
        "bit/s": Decimal(1),
        "bps": Decimal(1),
        "kbit/s": Decimal(10**3),
        "Mbit/s": Decimal(10**6),
        "Gbit/s": Decimal(10**9),
    }
)
SIZES: Mapping[str, Decimal] = MappingProxyType(
    {
        "bit": Decimal(1), "bits": Decimal(1), "kbit": Decimal(10**3), "Mbit": Decimal(10**6), "Gbit": Decimal(10**9),
        "B": Decimal(8), "kB": Decimal(8 * 10**3), "MB": Decimal(8 * 10**6),
        "KiB": Decimal(8 * 2**10), "MiB": Decimal(8 * 2**20), "GiB": Decimal(8 * 2**30),
    }
)  # fmt: skip
LENGTHS: Mapping[str, Decimal] = MappingProxyType({"km": Decimal(1), "m": Decimal("0.001")})
LOSSES: Mapping[str, Decimal] = MappingProxyType({"dB": Decimal(1)})
ATTENUATIONS: Mapping[str, Decimal] = MappingProxyType({"dB/km": Decimal(1)})
FREQUENCIES: Mapping[str, Decimal] = MappingProxyType(
    {
        "Hz": Decimal(1),
        "kHz": Decimal(10**3),
        "MHz": Decimal(10**6),
        "GHz": Decimal(10**9),
        "THz": Decimal(10**12),
    }
)
WAVELENGTHS: Mapping[str, Decimal] = MappingProxyType({"nm": Decimal(1), "um": Decimal(1000)})
APERTURES: Mapping[str, Decimal] = MappingProxyType({"m": Decimal(1), "cm": Decimal("0.01"), "mm": Decimal("0.001")})
POWERS: Mapping[str, Decimal] = MappingProxyType({"dBm": Decimal(1)})
ANGLES: Mapping[str, Decimal] = MappingProxyType(
    {"rad": Decimal(1), "mrad": Decimal("1e-3"), "urad": Decimal("1e-6"), "\u00b5rad": Decimal("1e-6")}
)
ELEVATIONS: Mapping[str, Decimal] = MappingProxyType({"deg": Decimal(1)})

# Whole numbers fit 64 bits wherever they go: messages, stores, 292 years of nanoseconds.
MAX_WHOLE = 2**63 - 1
_MAX_REAL = Decimal("1e30")


def parse(text: object, units: Mapping[str, Decimal], example: str) -> Decimal:
    """The number in the units' base, exact. ValueError says which units are known, with an example."""
    found = _FORM.match(text) if isinstance(text, str) else None
    if found is None or found[2] not in units:
        known = ", ".join(units)
        raise ValueError(f"expected a number with a unit ({known}) such as {example!r}, found {text!r}")
    with localcontext() as exact:
        exact.prec = 120  # 80 digits of the number and the unit's own
        value = Decimal(found[1]) * units[found[2]]
    if value < 0:
        raise ValueError(f"expected 0 or more, found {text!r}")
    if value > _MAX_REAL:
        raise ValueError(f"expected a smaller number, found {text!r}")
    return value


def _whole(text: object, units: Mapping[str, Decimal], example: str, base: str) -> int:
    value = parse(text, units, example)
    if value > MAX_WHOLE:
        raise ValueError(f"expected at most {MAX_WHOLE} {base}, found {text!r}")
    if value % 1:
        raise ValueError(f"expected a whole number of {base}, found {text!r}")
    return int(value)


def parse_duration_ns(text: object) -> int:
    """`1h`, `600s`, `200 ms` as nanoseconds."""
    return _whole(text, DURATIONS, "600s", "ns")


def parse_size_bits(text: object) -> int:
    """`256 bit`, `2 MiB` as bits."""
    return _whole(text, SIZES, "256 bit", "bits")


def parse_rate_bps(text: object) -> float:
    """`8192 bit/s`, `2 kbit/s` as bit/s."""
    return float(parse(text, RATES, "2 kbit/s"))


def parse_length_km(text: object) -> float:
    """`24.5 km`, `300 m` as km."""
    return float(parse(text, LENGTHS, "24.5 km"))


def parse_loss_db(text: object) -> float:
    """`8.72 dB` as dB."""
    return float(parse(text, LOSSES, "8.72 dB"))


def parse_attenuation_db_per_km(text: object) -> float:
    """`0.2 dB/km` as dB/km."""
    return float(parse(text, ATTENUATIONS, "0.2 dB/km"))


def parse_frequency_hz(text: object) -> float:
    """`1 GHz`, `50 Hz` as Hz."""
    return float(parse(text, FREQUENCIES, "1 GHz"))


def parse_frequency_mhz(text: object) -> int:
    """`193.4 THz`, `50 GHz` as whole MHz."""
    hertz = parse(text, FREQUENCIES, "193.4 THz")
    if hertz % 10**6:
        raise ValueError(f"expected a whole number of MHz, found {text!r}")
    return int(hertz // 10**6)


def parse_wavelength_nm(text: object) -> float:
    """`1550.12 nm` as nm; not 0."""
    found = float(parse(text, WAVELENGTHS, "1550.12 nm"))
    if not found:
        raise ValueError(f"expected a wavelength above 0, found {text!r}")
    return found


def parse_aperture_m(text: object) -> float:
    """`30 cm`, `1 m` as m."""
    return float(parse(text, APERTURES, "30 cm"))


def parse_angle_rad(text: object) -> float:
    """`2 urad` as radians."""
    return float(parse(text, ANGLES, "2 urad"))


def parse_elevation_deg(text: object) -> float:
    """`20 deg` as degrees."""
    return float(parse(text, ELEVATIONS, "20 deg"))


def parse_power_dbm(text: object) -> float:
    """`-3 dBm`, `0 dBm` as dBm; the one quantity that may be below 0."""
    if isinstance(text, str) and text.lstrip().startswith("-"):
        return -float(parse(text.lstrip()[1:], POWERS, "-3 dBm"))
    return float(parse(text, POWERS, "-3 dBm"))


def write_duration(ns: int) -> str:
    """The shortest form that `parse_duration_ns` reads back to the same: 90 s, 2 h, 1500 us."""
    return _write_whole(ns, (("d", _DAY), ("h", _HOUR), ("min", _MINUTE), *_plain(DURATIONS, "s", "ms", "us")), "ns")


def write_size(bits: int) -> str:
    """The shortest form that `parse_size_bits` reads back to the same: 256 bit, 2 MiB."""
    units = _plain(SIZES, "GiB", "MiB", "KiB", "Gbit", "Mbit", "kbit")
    return _write_whole(bits, units, "bit")


def _plain(units: Mapping[str, Decimal], *names: str) -> tuple[tuple[str, Decimal], ...]:
    return tuple((name, units[name]) for name in names)


def _write_whole(value: int, units: tuple[tuple[str, Decimal], ...], base: str) -> str:
    for name, size in units:
        if value and value % int(size) == 0:
            return f"{value // int(size)} {name}"
    return f"{value} {base}"


def write_rate(bps: float) -> str:
    """A form that `parse_rate_bps` reads back to the same."""
    return f"{bps!r} bit/s"


def write_length(km: float) -> str:
    """A form that `parse_length_km` reads back to the same."""
    return f"{km!r} km"


def write_loss(db: float) -> str:
    """A form that `parse_loss_db` reads back to the same."""
    return f"{db!r} dB"


def format_duration(ns: int) -> str:
    """For people, rounded, not for files: 1h 02m 03s, 4.20 s, 5.1 ms, 700 ns."""
    if ns >= 60 * 10**9 - 5 * 10**6:  # what would round to 60.00 s
        s = (ns + 5 * 10**8) // 10**9
        if s >= 3600:
            return f"{s // 3600}h {s % 3600 // 60:02d}m {s % 60:02d}s"
        return f"{s // 60}m {s % 60:02d}s"
    if ns >= 10**9:
        return f"{ns / 1e9:.2f} s"
    if ns >= 10**6:
        return f"{ns / 1e6:.1f} ms"
    return f"{ns / 1e3:.1f} us" if ns >= 1000 else f"{ns} ns"


def format_bits(bits: float) -> str:
    """For people, rounded: 3.20 Mbit."""
    for unit, size in (("Gbit", 1e9), ("Mbit", 1e6), ("kbit", 1e3)):
        if bits >= size:
            return f"{bits / size:.2f} {unit}"
    return f"{bits:.0f} bit"
