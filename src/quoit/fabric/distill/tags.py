"""Wegman-Carter message tags: a polynomial hash under a one-time pad of key bits, with the bits accounted
for.

tag = hash_r(message) + pad modulo 2^128. The hash key r of 128 bits stays the same for the life of the
association, each message takes a fresh pad of 128 bits, one supply for each direction. Whoever has seen any
number of messages and tags forges one with probability at most 8 ceil(L/128) 2^-106 a try, L the message's
length in bits, without any assumption on computing power: pads hide r perfectly, and the hash takes a
given difference for at most so many points (`poly1305` has the theorem). For 64 MB of transcript this is 4e-25.

Sources: Wegman and Carter, J. Comput. Syst. Sci. 22, 265 (1981), doi:10.1016/0022-0000(81)90033-7; reuse
of the hash key under fresh pads: Portmann, IEEE Trans. Inf. Theory 60, 4383 (2014), arXiv:1202.1229.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Self

from quoit.fabric.distill.poly1305 import HASH_BITS, PAD_BYTES, POINT_BYTES, difference_bound, padded_hash
from quoit.model.problem import Problem
from quoit.model.secret import Secret

TAG_BITS = HASH_BITS
MAX_SKIPPED = 256
"""Pads a receiver gives up for messages that got lost on the way; a larger jump is refused, or one forged
serial number would burn the whole supply."""


def forgery_bound(message_bits: int, tries: int = 1) -> float:
    """Upper bound of the probability that one of `tries` forgeries of this length passes."""
    return min(1.0, tries * difference_bound(message_bits))


@dataclass(frozen=True, slots=True)
class Tag:
    """A message's tag: the number of the pad it used, and 16 bytes."""

    serial: int
    value: bytes

    def to_bytes(self) -> bytes:
        """24 bytes: the serial number, little-endian, then the value."""
        return self.serial.to_bytes(8, "little") + self.value

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of `to_bytes`; Problem `tag-mismatch` for another length: such bytes are no tag of ours."""
        if len(data) != 8 + PAD_BYTES:
            raise Problem("tag-mismatch", f"a tag takes {8 + PAD_BYTES} bytes, found {len(data)}")
        return cls(int.from_bytes(data[:8], "little"), data[8:])


class TagSupply:
    """Hash key and one-time pads of *one direction*; both ends hold the same and deposit the same key.

    A pad is wiped as it is used. Fill up in one order at both ends: the pad number `i` is the i-th 128 bits
    ever deposited.
    """

    def __init__(self, hash_key: Secret, pads: Secret | None = None) -> None:
        """`hash_key`: 16 bytes, for this direction alone. `pads`: the first deposit."""
        if len(hash_key) != POINT_BYTES:
            raise ValueError(f"a hash key takes {POINT_BYTES} bytes, found {len(hash_key)}")
        self._point = hash_key
        self._pads = bytearray()
        self._next_serial = 0
        self.spent_bits = TAG_BITS
        if pads is not None:
            self.deposit(pads)

    @classmethod
    def from_preshared(cls, key: Secret) -> Self:
        """The first 16 bytes of the key become the hash key, the rest pads."""
        data = key.reveal()
        return cls(Secret(data[:POINT_BYTES]), Secret(data[POINT_BYTES:]))

    def __repr__(self) -> str:
        return f"TagSupply(level_bits={self.level_bits}, spent_bits={self.spent_bits})"

    @property
    def level_bits(self) -> int:
        """Key bits left for pads."""
        return 8 * len(self._pads)

    @property
    def messages_left(self) -> int:
        """Messages that can still be tagged or checked."""
        return len(self._pads) // PAD_BYTES

    @property
    def next_serial(self) -> int:
        """Number of the next pad; both ends must stand at the same one when nothing is under way."""
        return self._next_serial

    def deposit(self, key: Secret) -> None:
        """Add key for pads. Parts of a pad wait for the next deposit."""
        self._pads += key.reveal()

    def tag_value(self, message: bytes | bytearray, serial: int) -> bytes:
        """Hash of the message under pad `serial`, 16 bytes; spends the pad. Problems as `take`."""
        return padded_hash(self._point.reveal(), self.take(serial), message)

    def take(self, serial: int) -> bytes:
        """The pad of this number; earlier ones are burnt with it. `spent_bits` counts them all.

        Problem `tag-mismatch` for a used number (a replay) or a jump of more than `MAX_SKIPPED`, and
        `auth-key-exhausted` when the supply does not reach so far; in these cases nothing is spent.
        """
        skipped = serial - self._next_serial
        if skipped < 0:
            raise Problem("tag-mismatch", f"pad {serial} was used before, the next is {self._next_serial}: a replay")
        if skipped > MAX_SKIPPED:
            raise Problem(
                "tag-mismatch",
                f"pad {serial} is {skipped} ahead of the next one, {self._next_serial}; "
                f"at most {MAX_SKIPPED} may get lost",
            )
        end = (skipped + 1) * PAD_BYTES
        if end > len(self._pads):
            raise Problem(
                "auth-key-exhausted",
                f"pad {serial} needs {8 * end} bits of key, {self.level_bits} are left: "
                "deposit key at both ends, or set up a new pre-shared key",
            )
        pad = bytes(self._pads[end - PAD_BYTES : end])
        self._pads[:end] = bytes(end)
        del self._pads[:end]
        self._next_serial = serial + 1
        self.spent_bits += 8 * end
        return pad


def sign(message: bytes | bytearray, supply: TagSupply) -> Tag:
    """Tag a message with the next pad. Problem `auth-key-exhausted` when there is none."""
    serial = supply.next_serial
    return Tag(serial, supply.tag_value(message, serial))


def verify(message: bytes | bytearray, tag: Tag, supply: TagSupply) -> None:
    """Return if the message is the sender's; Problem `tag-mismatch` if not.

    The pad is burnt either way: a second try under the same pad would double the forger's chance. On a
    mismatch the caller discards the block.
    """
    if not hmac.compare_digest(supply.tag_value(message, tag.serial), tag.value):
        raise Problem(
            "tag-mismatch",
            f"the tag of message {tag.serial} ({len(message)} bytes) does not fit: "
            "it was altered on the way, or the ends' supplies are out of step",
        )
