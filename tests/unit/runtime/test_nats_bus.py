"""The NATS bus by itself: what cannot be read is not passed over in silence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats
import pytest

from quoit.adapters.buses.nats import BusGone, NatsBus, NatsServer
from quoit.runtime import wire


async def heard_of(server: NatsServer, data: bytes) -> Exception:
    gone: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def receive(frame: tuple[object, ...]) -> None:
        wire.decode(str(frame[6]), bytes(frame[7]))  # type: ignore[call-overload]

    bus = NatsBus(server.url, server.token_file, "run", 0)
    await bus.connect(receive, lambda source, number: None, gone.set_result)
    other = await nats.connect(server.url, token=server.token_file.read_text())
    try:
        await other.publish("quoit.run.0", data)
        return await asyncio.wait_for(gone, 10)
    finally:
        await other.close()
        await bus.close()


@pytest.mark.realises("B1")
@pytest.mark.parametrize(
    "data",
    [b"\xc1", b"\x93\x01\x01\x98\x00\x00\x00\x00\x00\x00\xb1service.GetStatus\xc4\x01\x05"],
    ids=["no frame", "no message"],
)
def test_a_frame_that_cannot_be_read_ends_the_twin(tmp_path: Path, data: bytes) -> None:
    server = NatsServer.start(tmp_path)
    try:
        fault = asyncio.run(heard_of(server, data))
    finally:
        server.stop()
    assert isinstance(fault, BusGone)
