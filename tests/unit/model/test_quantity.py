"""Quantities: read exactly or refused, written so that they are read back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quoit.model import quantity as q


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1h", 3600 * 10**9),
        ("600s", 600 * 10**9),
        ("200 ms", 200 * 10**6),
        ("0.1 s", 10**8),
        ("1.000000001 s", 10**9 + 1),
        ("9007199.254740993 s", 9007199254740993),  # a float cannot hold this one
        ("5 µs", 5000),
        ("5 μs", 5000),
        ("5us", 5000),
        ("2min", 120 * 10**9),
        ("1.5 min", 90 * 10**9),
        ("1d", 86400 * 10**9),
        ("1e3 ns", 1000),
        (" 7 ns ", 7),
        ("0 s", 0),
        (".5 s", 5 * 10**8),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert q.parse_duration_ns(text) == ns


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("256 bit", 256),
        ("2 MiB", 2**24),
        ("1 kB", 8000),
        ("1.5 B", 12),
        ("4 kbit", 4000),
        ("32 B", 256),
        ("2 Mbit", 2 * 10**6),
    ],
)
def test_sizes(text: str, bits: int) -> None:
    assert q.parse_size_bits(text) == bits


def test_optics() -> None:
    assert q.parse_frequency_mhz("193.4 THz") == 193_400_000
    assert q.parse_wavelength_nm("1.55 um") == 1550.0
    assert q.parse_aperture_m("30 cm") == 0.3
    assert q.parse_angle_rad("2 urad") == q.parse_angle_rad("2 \u00b5rad") == 2e-6
    assert q.parse_elevation_deg("20 deg") == 20.0
    assert [q.parse_power_dbm(text) for text in ("-3 dBm", "0 dBm", " -20.5dBm")] == [-3.0, 0.0, -20.5]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (q.parse_frequency_mhz, "0.5 MHz"),
        (q.parse_wavelength_nm, "0 nm"),
        (q.parse_power_dbm, "-3 dB"),
        (q.parse_power_dbm, "--3 dBm"),
        (q.parse_power_dbm, -3),
        (q.parse_aperture_m, "-1 m"),
    ],
)
def test_optics_that_are_none(parse: Callable[[object], float], text: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(text)


def test_reals() -> None:
    assert q.parse_rate_bps("8192 bit/s") == 8192.0
    assert q.parse_rate_bps("2 kbit/s") == 2000.0
    assert q.parse_length_km("24.5 km") == 24.5
    assert q.parse_length_km("300 m") == 0.3
    assert q.parse_loss_db("8.72 dB") == 8.72
    assert q.parse_attenuation_db_per_km("0.2 dB/km") == 0.2
    assert q.parse_frequency_hz("1 GHz") == 1e9
    assert q.parse_frequency_hz("193.4 THz") == 193.4e12
    assert q.parse_frequency_hz("50Hz") == 50.0


PARSERS = (
    q.parse_duration_ns,
    q.parse_size_bits,
    q.parse_rate_bps,
    q.parse_length_km,
    q.parse_loss_db,
    q.parse_attenuation_db_per_km,
    q.parse_frequency_hz,
)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text",
    ["", "5", 5, 5.0, None, True, "s", "5 parsec", "five s", "5 s s", "1_000 s", "٥ s", "inf s", "nan dB", "5 s\n5"],
)
def test_what_is_no_quantity(parse: Callable[[object], float], text: object) -> None:
    with pytest.raises(ValueError, match="expected a number with a unit") as caught:
        parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("parse", "text", "words"),
    [
        (q.parse_duration_ns, "-1 s", "0 or more"),
        (q.parse_duration_ns, "0.5 ns", "whole number of ns"),
        (q.parse_duration_ns, "300 d 5", "such as '600s'"),
        (q.parse_duration_ns, "1e9 d", "at most 9223372036854775807"),
        (q.parse_duration_ns, "1e999 d", "smaller"),
        (q.parse_size_bits, "1.5 bit", "whole number of bits"),
        (q.parse_size_bits, "1 mib", "MiB"),
        (q.parse_size_bits, "1 Kbit", "kbit"),
        (q.parse_rate_bps, "1e999 bit/s", "smaller"),
        (q.parse_rate_bps, "2 kbit", "kbit/s"),
        (q.parse_length_km, "-3 km", "0 or more"),
        (q.parse_loss_db, "3 db", "dB"),
        (q.parse_attenuation_db_per_km, "0.2 dB", "dB/km"),
        (q.parse_frequency_hz, "1 ghz", "GHz"),
        (q.parse_frequency_hz, "-1 Hz", "0 or more"),
    ],
)
def test_errors_name_what_was_expected(parse: Callable[[object], float], text: str, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse(text)
    assert words in str(caught.value)


@given(st.integers(0, q.MAX_WHOLE))
def test_durations_are_read_back(ns: int) -> None:
    assert q.parse_duration_ns(q.write_duration(ns)) == ns


@given(st.integers(0, q.MAX_WHOLE))
def test_sizes_are_read_back(bits: int) -> None:
    assert q.parse_size_bits(q.write_size(bits)) == bits


@given(st.floats(0, 1e29))
def test_reals_are_read_back(value: float) -> None:
    assert q.parse_rate_bps(q.write_rate(value)) == value
    assert q.parse_length_km(q.write_length(value)) == value
    assert q.parse_loss_db(q.write_loss(value)) == value


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 ns"), (90 * 10**9, "90 s"), (7200 * 10**9, "2 h"), (1_500_000, "1500 us"), (86400 * 10**9, "1 d")],
)
def test_durations_are_written_in_the_largest_unit_that_is_whole(ns: int, text: str) -> None:
    assert q.write_duration(ns) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (700, "700 ns"),
        (5_100, "5.1 us"),
        (5_100_000, "5.1 ms"),
        (4_200_000_000, "4.20 s"),
        (59_990_000_000, "59.99 s"),
        (59_999_999_999, "1m 00s"),
        (3_599_999_999_999, "1h 00m 00s"),
        (3_723_000_000_000, "1h 02m 03s"),
    ],
)
def test_durations_for_people(ns: int, text: str) -> None:
    assert q.format_duration(ns) == text


@pytest.mark.parametrize(("bits", "text"), [(0, "0 bit"), (999, "999 bit"), (1000, "1.00 kbit"), (3.2e6, "3.20 Mbit")])
def test_bits_for_people(bits: float, text: str) -> None:
    assert q.format_bits(bits) == text
