"""The key by which a link authenticates its own classical messages: a reserve, spent by every block.

Each block costs two Wegman-Carter tags of 128 bits, one for what each end said (`distill.tags`). A block that leaves
key gives as much back from it; one that fails gives nothing. Whoever can make blocks fail could so bring a link to the
point where it has to speak without tags. It does not: it raises an alarm, and parks while there is still key.
"""

from __future__ import annotations

from quoit.fabric.distill.tags import TAG_BITS

BLOCK_BITS = 2 * TAG_BITS
COMMISSIONED_BLOCKS = 64
"""Failing blocks that the key lasts for with which a link is commissioned."""
ALARM_BLOCKS = 16
PARK_BLOCKS = 4
"""What must be left: a link that is taken up again first has to say so, with tags."""


class AuthReserve:
    """How much is left, in bits."""

    def __init__(self) -> None:
        self.bits = COMMISSIONED_BLOCKS * BLOCK_BITS

    @property
    def blocks_left(self) -> int:
        """Blocks that may still fail."""
        return self.bits // BLOCK_BITS

    @property
    def low(self) -> bool:
        return self.blocks_left <= ALARM_BLOCKS

    @property
    def ends(self) -> bool:
        return self.blocks_left <= PARK_BLOCKS

    def spend(self) -> None:
        """Two tags for a block."""
        self.bits -= BLOCK_BITS

    def refill(self) -> None:
        """A block gave back what it had cost."""
        self.bits += BLOCK_BITS

    def commission(self) -> None:
        """Fresh key from outside, at both ends."""
        self.bits = max(self.bits, COMMISSIONED_BLOCKS * BLOCK_BITS)
