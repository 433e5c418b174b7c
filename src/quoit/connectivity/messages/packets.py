"""Quantum packets."""

from __future__ import annotations

from quoit.runtime.wire import Message, message

CIRCUIT, PACKET = "circuit", "packet"


@message("connectivity.SetForwardingMode")
class SetForwardingMode(Message):
    """Forward payloads of a link over a circuit, which has its channel to itself, or as packets from switch to switch.
    Answered with the message. Problems: `no-such-element`, `malformed`."""

    link: str
    mode: str


@message("connectivity.SendPacket")
class SendPacket(Message):
    """Send a payload of `slots` slots along a link's path: header, `offset_ns`, guard, payload, guard, trailer.

    `budget_db`: more loss than this is no use; `ttl_ns`: nor is it later than that after now. Answered with
    `PacketFate` when the payload is through or lost. Problems: `no-such-element`, `malformed`, `overloaded`.
    """

    link: str
    slots: int
    slot_ns: int = 1
    header_ns: int = 200
    guard_ns: int = 50
    offset_ns: int = 20_000
    trailer_ns: int = 100
    budget_db: float = 40.0
    ttl_ns: int = 1_000_000_000


@message("connectivity.PacketFate")
class PacketFate(Message):
    """What became of a payload. `lost`: why, or empty: contention, offset (it came before its switch was set), dark,
    budget, ttl. `at_ns`: its first slot at the receiver, or where it was lost. `survivors`: slots whose photon arrives.
    `coherence`: what waiting in memories left, 1 if it did not wait."""

    link: str
    mode: str
    lost: str
    at_ns: int
    loss_db: float
    wait_ns: int
    coherence: float
    survivors: int
