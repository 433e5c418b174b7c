"""Shared states over real sockets: a twin in a process of its own, applications over mutual TLS."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from quoit.sdk import Application, Refusal

pytestmark = pytest.mark.live
BOSTON = Path(__file__).parents[2] / "examples" / "boston.yaml"
PARTIES = ("alice", "bob", "charlie")


@pytest.mark.realises("B1", "B5", "B6")
def test_three_applications_share_ghz_states_and_teleport(tmp_path: Path, live_twin: Any) -> None:
    directory = tmp_path / "run"

    async def story() -> None:
        async with (
            Application.of(directory, "alice") as alice,
            Application.of(directory, "bob") as bob,
            Application.of(directory, "charlie") as charlie,
        ):
            own = await alice.request(["bob", "charlie"], number=2, fidelity=0.75)
            units = [own, await bob.next_unit(), await charlie.next_unit()]
            assert {unit.unit_id for unit in units} == {own.unit_id}
            assert len(own.endpoints) == 3
            assert [unit.state for unit in units] == ["established"] * 3
            assert own.fidelity is not None
            assert own.fidelity >= 0.75
            first = [unit.addresses[0] for unit in units]
            results = await asyncio.gather(
                *(app.measure(a) for app, a in zip((alice, bob, charlie), first, strict=True))
            )
            assert set(results) <= {0, 1}

            with pytest.raises(Refusal, match="bad-operation"):
                await bob.measure(own.addresses[1])  # alice's qubit
            with pytest.raises(Refusal, match="fidelity-unreachable") as refused:
                await alice.request(["bob"], fidelity=0.9999)
            assert 0.9 < refused.value.fields["best"] < 0.9999

            async def send() -> None:
                pair = await alice.request(["bob"], fidelity=0.6)
                (qubit,) = await alice.allocate()
                await alice.init(qubit)
                await alice.gate("x", qubit)
                await alice.teleport(qubit, pair.addresses[0], "bob")

            async def receive() -> int:
                pair = await bob.next_unit()
                return await bob.measure(await bob.receive_teleported(pair.addresses[0], "alice"))

            bits = [(await asyncio.gather(send(), receive()))[1] for _ in range(3)]
            assert sum(bits) >= 1  # each is 1 with probability above 0.9

    with live_twin(BOSTON, directory):
        asyncio.run(story())
