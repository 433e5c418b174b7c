"""How a text may hold bytes: as they are, or written in some way. Each way gives the windows of what it would mean.

Readings: raw (and as Latin-1 within UTF-8), hex in either case, also in groups; Base64 in both alphabets, in any line
length and at any of its three alignments; escapes of Python and JSON; numbers in a list. Not read: compressed and
encrypted data, UTF-16, Base32, bytes as one big decimal number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quoit.testing.leaks.prints import WINDOW_BYTES, Words, windows_of, windows_of_pieces

Places = NDArray[np.int64]


class Reading(NamedTuple):
    """Windows, and for each where in the text it begins and ends."""

    form: str
    windows: Words
    starts: Places
    stops: Places


def readings_of(text: bytes) -> Iterator[Reading]:
    """All that this text may mean."""
    yield _plain("raw", text)
    yield from _latin(text)
    yield from _encoded(text)
    yield from _escaped(text)
    yield from _listed(text)


def _plain(form: str, data: bytes) -> Reading:
    windows = windows_of(data)
    starts = np.arange(len(windows))
    return Reading(form, windows, starts, starts + WINDOW_BYTES)


def _latin(text: bytes) -> Iterator[Reading]:
    """Bytes that somebody decoded as Latin-1: each above 127 became two of UTF-8."""
    if b"\xc2" not in text and b"\xc3" not in text:
        return
    data = np.frombuffer(text, np.uint8)
    lead = (data[:-1] & 0xFE) == 0xC2
    lead &= (data[1:] & 0xC0) == 0x80
    value = data.copy()
    value[:-1][lead] = (data[:-1][lead] << 6) | (data[1:][lead] & 0x3F)
    kept = np.ones(len(data), np.bool_)
    kept[1:][lead] = False
    yield _collapsed("latin-1", value, kept, len(text))


def _collapsed(form: str, value: NDArray[np.uint8], kept: NDArray[np.bool_], size: int) -> Reading:
    """A reading of the kept bytes alone."""
    places = np.append(np.flatnonzero(kept), size)
    windows = windows_of(value[kept].tobytes())
    return Reading(form, windows, places[: len(windows)], places[WINDOW_BYTES : WINDOW_BYTES + len(windows)])


_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NONE = 255


def _table(*alphabets: bytes) -> NDArray[np.uint8]:
    table = np.full(256, _NONE, np.uint8)
    for alphabet in alphabets:
        table[list(alphabet)] = np.arange(len(alphabet))
    return table


_BASE64 = _table(_ALPHABET, _ALPHABET.replace(b"+/", b"-_"))
_HEX = _table(b"0123456789abcdef", b"0123456789ABCDEF")
_BASE64_RUN, _HEX_RUN = 11, 16
"""Characters that the shortest encoding of a window takes."""


def _encoded(text: bytes) -> Iterator[Reading]:
    data = np.frombuffer(text, np.uint8)
    places = _in_runs(_BASE64[data] != _NONE, _BASE64_RUN)
    if not len(places):
        return
    chars = data[places]
    yield from _base64(_BASE64[chars].astype(np.uint64), places)
    # every run of hex digits is in a run of Base64's alphabet
    inner = _in_runs(_HEX[chars] != _NONE, _HEX_RUN)
    if len(inner):
        yield from _hex(_HEX[chars[inner]].astype(np.uint64), places[inner])


def _in_runs(member: NDArray[np.bool_], at_least: int) -> Places:
    """The places of those members that stand in a run of so many or more."""
    edges = np.flatnonzero(np.diff(member, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    long = stops - starts >= at_least
    starts, sizes = starts[long], (stops - starts)[long]
    if not len(starts):
        return np.empty(0, np.int64)
    offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    found: Places = np.repeat(starts, sizes) + offsets
    return found


def _joined(values: Words, bits: int, number: int) -> Words:
    """At each place the number that this value and the next ones make, `number` of `bits` each (64 bits at most)."""
    found, have = values, 1
    while 2 * have <= number:
        found = (found[:-have] << np.uint64(bits * have)) | found[have:]
        have *= 2
    if have < number:
        rest = number - have
        tail = _joined(values, bits, rest)
        size = len(values) - number + 1
        found = (found[: max(0, size)] << np.uint64(bits * rest)) | tail[have : have + max(0, size)]
    return found


def _unbroken(form: str, windows: Words, places: Places, width: int) -> Reading:
    """Windows of `width` characters that stand next to each other in the text. Numbers were read first byte first."""
    starts, lasts = places[: len(windows)], places[width - 1 : width - 1 + len(windows)]
    whole = lasts - starts == width - 1
    return Reading(form, windows[whole].byteswap(), starts[whole], lasts[whole] + 1)


def _base64(values: Words, places: Places) -> Iterator[Reading]:
    ten = _joined(values, 6, 10)  # 60 bits
    if len(ten) < 2:
        return
    two, four = np.uint64(2), np.uint64(4)
    first = (ten[:-1] << four) | (values[10:] >> two)
    yield _unbroken("base64", first, places, 11)
    second = (values[: len(ten) - 1] << np.uint64(60)) | ten[1:]
    yield _unbroken("base64", second, places, 11)
    third = (values[: len(ten) - 2] << np.uint64(62)) | (ten[1:-1] << two) | (values[11:] >> four)
    yield _unbroken("base64", third, places, 12)


def _hex(values: Words, places: Places) -> Iterator[Reading]:
    yield _unbroken("hex", _joined(values, 4, 16), places, 16)


_ESCAPE = re.compile(rb"""\\(?:x([0-9a-fA-F]{2})|u00([0-9a-fA-F]{2})|([abfnrtv0'"\\/]))""")
_SHORT = dict(zip(b"abfnrtv0'\"\\/", b"\a\b\f\n\r\t\v\0'\"\\/", strict=True))


def _escaped(text: bytes) -> Iterator[Reading]:
    if b"\\x" not in text and b"\\u00" not in text:
        return
    value = np.frombuffer(text, np.uint8).copy()
    kept = np.ones(len(text), np.bool_)
    for match in _ESCAPE.finditer(text):
        digits = match[1] or match[2]
        value[match.start()] = int(digits, 16) if digits else _SHORT[match[3][0]]
        kept[match.start() + 1 : match.end()] = False
    yield _collapsed("escapes", value, kept, len(text))


_NUMBERS = re.compile(rb"(?<![\w.])(?:\d{1,3}[,\s]\s{0,4}){7,}\d{1,3}(?![\w.])")
_GROUPS = re.compile(
    rb"(?<![0-9a-fA-F])(?:(?:[0-9a-fA-F]{2}){1,7}[ :\n-]\s?){2,}(?:[0-9a-fA-F]{2}){1,7}(?![0-9a-fA-F])"
)


_LISTED = _table(b"0123456789abcdef", b"0123456789ABCDEF", b" ,:\n\r\t-")


def _listed(text: bytes) -> Iterator[Reading]:
    places = _in_runs(_LISTED[np.frombuffer(text, np.uint8)] != _NONE, 2 * WINDOW_BYTES)
    if not len(places):
        return
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.append(0, breaks + 1)]
    listed: list[tuple[bytes, int, int]] = []
    for start, stop in zip(starts.tolist(), places[np.append(breaks, -1)].tolist(), strict=True):
        run = text[start : stop + 1]
        for match in _NUMBERS.finditer(run):
            octets = [int(n) for n in re.findall(rb"\d+", match[0])]
            listed.append((bytes(n if n < 256 else 0 for n in octets), start + match.start(), start + match.end()))
        for match in _GROUPS.finditer(run):
            octets_hex = match[0].translate(None, b" :\n\r\t-").decode()
            listed.append((bytes.fromhex(octets_hex), start + match.start(), start + match.end()))
    listed = [one for one in listed if len(one[0]) >= WINDOW_BYTES]
    if listed:
        pieces, begin, end = zip(*listed, strict=True)
        numbers = [len(piece) - WINDOW_BYTES + 1 for piece in pieces]
        yield Reading("list", windows_of_pieces(pieces), np.repeat(begin, numbers), np.repeat(end, numbers))
