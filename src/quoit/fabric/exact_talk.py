"""What the two modules of a link in mode `exact` say to each other. Both ends hold their own raw bits, and real
distillation makes them equal.

Sifting, parameter estimation, Cascade, verification and privacy amplification are messages between the
two modules, each as long on its way as light is. Everything said about a block is authenticated at its
end, by one Wegman-Carter tag in each direction over the whole transcript (delayed authentication); no key
is deposited before both tags fit. The tags' pads come from the block before, the first from the key that
the link was commissioned with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quoit.engine.api import ENGINE, DrawKey, DrawnKey
from quoit.fabric.distill.amplification import amplify
from quoit.fabric.distill.estimation import Security
from quoit.fabric.distill.tags import TAG_BITS, Tag, TagSupply, sign, verify
from quoit.fabric.guard import GuardPlan
from quoit.fabric.module import LinkEnds
from quoit.fabric.reserve import COMMISSIONED_BLOCKS
from quoit.model.secret import Secret
from quoit.runtime.context import Context
from quoit.runtime.wire import Message, encode, message

WITHIN = 10_000_000_000
Bits = NDArray[np.uint8]
AUTH_BITS = 2 * TAG_BITS


@message("fabric.Announce")
class Announce(Message):
    """Receiver: these `clicks` pulses clicked (`pack_indices`), measured in these bases (one bit each).
    Answered by `Kept`."""

    link: str
    serial: int
    clicks: int
    indices: bytes
    bases: bytes


@message("fabric.Kept")
class Kept(Message):
    """Sender: which of them had the same basis (one bit each), the intensities of those (one byte each),
    and the test basis' bits in clear (one byte each)."""

    keep: bytes
    intensities: bytes
    test_bits: bytes


@message("fabric.BeginBlock")
class BeginBlock(Message):
    """Receiver: the chunks from `first` to `last` are block `block`; correct it with these Cascade plans."""

    link: str
    block: int
    first: int
    last: int
    plans: tuple[tuple[int, int, tuple[int, ...]], ...]


@message("fabric.AskParities")
class AskParities(Message):
    """Receiver: parities of these intervals, one list of questions a frame. Answered by `Parities`."""

    link: str
    queries: tuple[bytes, ...]


@message("fabric.Parities")
class Parities(Message):
    answers: tuple[bytes, ...]


@message("fabric.Corrected")
class Corrected(Message):
    """Receiver: correction is over; these were the key basis' counts and errors. Answered by `Check`."""

    link: str
    counts: tuple[int, ...]
    errors: tuple[int, ...]


@message("fabric.Check")
class Check(Message):
    """Sender: hash of its key under a fresh seed, the seed of privacy amplification, and its tag."""

    hash_seed: bytes
    hash_value: bytes
    amplification_seed: bytes
    tag: bytes


@message("fabric.Conclude")
class Conclude(Message):
    """Receiver: the keys agree, your tag fits, and privacy amplification makes `ell_bits` (0: the block is
    discarded); my tag. Answered by `Concluded`."""

    link: str
    ell_bits: int
    tag: bytes


@message("fabric.Concluded")
class Concluded(Message):
    secret_bits: int


@dataclass(frozen=True)
class ExactPlan:
    """What both ends know of an exact link."""

    ends: LinkEnds
    mu: tuple[float, ...]
    p_intensity: tuple[float, ...]
    block_bits: int
    security: Security
    guard: GuardPlan
    watches_current: bool = True


def bytes_of(values: NDArray[Any]) -> bytes:
    return values.astype(np.uint8).tobytes()


def bits_of(data: bytes) -> Bits:
    return np.frombuffer(data, dtype=np.uint8)


def pack_indices(indices: NDArray[np.int64]) -> bytes:
    """Ascending pulse numbers as the first one and the gaps, in the fewest whole bytes a gap."""
    if not len(indices):
        return b""
    gaps = np.diff(indices)
    width = next(w for w in (1, 2, 4, 8) if not len(gaps) or gaps.max() < 1 << (8 * w - 1))
    return bytes([width]) + int(indices[0]).to_bytes(8, "little") + gaps.astype(f"<u{width}").tobytes()


def unpack_indices(data: bytes, clicks: int) -> NDArray[np.int64]:
    """Inverse of `pack_indices`. ValueError if the bytes do not hold so many."""
    if not clicks:
        return np.empty(0, dtype=np.int64)
    if len(data) < 9 or data[0] not in (1, 2, 4, 8):
        raise ValueError("expected packed pulse numbers")
    gaps = np.frombuffer(data, dtype=f"<u{data[0]}", offset=9)
    if len(gaps) != clicks - 1:
        raise ValueError(f"expected {clicks} pulse numbers, found {len(gaps) + 1}")
    first = int.from_bytes(data[1:9], "little")
    return np.concatenate([[first], first + np.cumsum(gaps, dtype=np.int64)]).astype(np.int64)


def packed(values: NDArray[Any]) -> bytes:
    return np.packbits(values.astype(np.uint8)).tobytes()


def unpacked(data: bytes, count: int) -> Bits:
    return np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count)


class Association:
    """Tags of one end: a supply for what it says, one for what it hears, and the block's transcript.

    What was said in sifting is kept by chunk, and put in front when a block of these chunks begins: chunks go on to
    arrive while a block is distilled, and each end hears of them at another place of the block's conversation.
    """

    def __init__(self, outgoing: Secret, incoming: Secret) -> None:
        self.out = TagSupply.from_preshared(outgoing)
        self.into = TagSupply.from_preshared(incoming)
        self.transcript = bytearray()
        self.sifting: dict[int, bytes] = {}

    def note_sifting(self, serial: int, *messages: Message) -> None:
        self.sifting[serial] = b"".join(map(encode, messages))

    def begin(self, first: int, last: int) -> None:
        """A block of these chunks: its transcript begins with theirs. Older ones are nobody's any more."""
        self.transcript = bytearray(b"".join(self.sifting[s] for s in sorted(self.sifting) if first <= s <= last))
        self.sifting = {serial: said for serial, said in self.sifting.items() if serial > last}

    def note(self, *messages: Message) -> None:
        for one in messages:
            self.transcript += encode(one)

    def tag(self) -> bytes:
        return sign(self.transcript, self.out).to_bytes()

    def check(self, tag: bytes) -> None:
        verify(self.transcript, Tag.from_bytes(tag), self.into)

    @property
    def blocks_left(self) -> int:
        """Blocks that the pads last for if none gives any back."""
        return min(self.out.messages_left, self.into.messages_left)

    def commission(self, key: Secret, sender: bool) -> None:
        """Fresh pads from outside; the same key comes to both ends."""
        data = key.reveal()
        half = len(data) // 2
        mine, theirs = (data[:half], data[half:]) if sender else (data[half:], data[:half])
        self.out.deposit(Secret(mine))
        self.into.deposit(Secret(theirs))
        self.transcript.clear()

    def refill(self, key: Secret, sender: bool) -> None:
        """The block's first `AUTH_BITS` become pads: the first half for what the sender says."""
        self.commission(key, sender)


def finish(raw: Bits, seed: bytes, ell_bits: int) -> tuple[Secret, Secret]:
    """(pads for the next block's tags, key for the pool): privacy amplification, in whole bytes."""
    final = amplify(raw, seed, ell_bits).reveal()
    return Secret(final[: AUTH_BITS // 8]), Secret(final[AUTH_BITS // 8 :])


@message("fabric.BringPads")
class BringPads(Message):
    """An operator has brought both ends of a link fresh key for their messages, for the `visit`-th time."""

    link: str
    visit: int


@message("fabric.PadsHere")
class PadsHere(Message):
    """The sender has taken them."""


async def brought(ctx: Context, msg: BringPads) -> Secret:
    """The key that was brought: what the engine gives both ends alike under a number that no block has."""
    bits = 2 * COMMISSIONED_BLOCKS * TAG_BITS
    drawn: DrawnKey = await ctx.ask(ENGINE, DrawKey(msg.link, -msg.visit, bits), within=WITHIN)
    return drawn.value
