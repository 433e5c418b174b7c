"""A pool of link key, held alike at both ends of a link. Pure: no messages, no clock.

One end allocates: the node that the link names first. Every stretch it hands out is named by (block,
offset, bits), so the other end finds the same bits, and no bit is ever handed out twice (K6). Each end
erases what it has read.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from quoit.fabric.api import Piece
from quoit.model.problem import Problem
from quoit.model.secret import Secret


@dataclass
class _Block:
    """`head`: first bit not yet handed out; `left`: bits not yet read at this end."""

    data: bytearray
    head: int
    left: int


class LinkPool:
    """Link key at one end of `link`. Sizes are whole bytes, counted in bits."""

    def __init__(self, link: str, *, capacity_bits: int, floor_bits: int = 0) -> None:
        self.link = link
        self.capacity_bits = capacity_bits
        self.floor_bits = floor_bits
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self.unallocated_bits = 0

    @property
    def usable_bits(self) -> int:
        """What may be handed out now: the level above the floor."""
        return max(0, self.unallocated_bits - self.floor_bits)

    def add(self, block: int, value: Secret) -> int:
        """Take in a new block; returns the bits that did not fit (they are wiped, and lost)."""
        room = max(0, self.capacity_bits - self.unallocated_bits) // 8
        lost = 8 * max(0, len(value) - room)
        data = value.take()
        if lost:
            data[room:] = bytes(len(data) - room)
            del data[room:]
        if data:
            self._blocks[block] = _Block(data, 0, 8 * len(data))
            self.unallocated_bits += 8 * len(data)
        return lost

    def allocate(self, bits: int, use: str) -> tuple[Piece, ...]:
        """Hand out the next `bits`. Problem `no-key-material`, and nothing changed, if there are fewer."""
        if bits > self.usable_bits:
            raise Problem(
                "no-key-material",
                f"link {self.link} has {self.usable_bits} bits above its floor, {bits} were asked",
                link=self.link,
            )
        pieces = []
        for number, block in self._blocks.items():
            if not bits:
                break
            size = 8 * len(block.data)
            n = min(bits, size - block.head)
            if n:
                pieces.append(Piece(self.link, number, block.head, n, use))
                block.head += n
                self.unallocated_bits -= n
                bits -= n
        return tuple(pieces)

    def read(self, pieces: tuple[Piece, ...], *, allocator: bool) -> Secret:
        """The bits of these pieces, erased here afterwards. Problem `no-key-material` if one is gone."""
        for piece in pieces:
            block = self._blocks.get(piece.block)
            if block is None or piece.offset + piece.bits > 8 * len(block.data):
                raise Problem("no-key-material", f"{self.link} block {piece.block} is not here", link=self.link)
        out = bytearray()
        for piece in pieces:
            block = self._blocks[piece.block]
            start, end = piece.offset // 8, (piece.offset + piece.bits) // 8
            out += block.data[start:end]
            block.data[start:end] = bytes(end - start)
            block.left -= piece.bits
            if not allocator:
                moved = max(0, piece.offset + piece.bits - block.head)
                block.head += moved
                self.unallocated_bits -= moved
            if block.left == 0:
                del self._blocks[piece.block]
        return Secret(out)

    def discard(self, first_block: int, last_block: int) -> tuple[Piece, ...]:
        """Drop all that is left of these blocks; says what was not yet handed out."""
        dropped = []
        for number in [n for n in self._blocks if first_block <= n <= last_block]:
            block = self._blocks.pop(number)
            size = 8 * len(block.data)
            if size > block.head:
                dropped.append(Piece(self.link, number, block.head, size - block.head, "discarded"))
                self.unallocated_bits -= size - block.head
            block.data[:] = bytes(len(block.data))
        return tuple(dropped)
