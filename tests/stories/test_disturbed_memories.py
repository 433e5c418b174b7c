"""Memories that their node's attempts disturb: what one circuit does to another's qubits, and what is promised."""

from __future__ import annotations

import asyncio
from math import exp

import pytest

from quoit.engine.entangler import Entangler
from quoit.sdk import Application, Refusal, Unit, VirtualNetwork, virtual_network

NODE = "{memories: {number: 8, hardware: nv-three-node-2021, t1: 1000 s, t2: 100 s, gate: 0.999, readout: 0.999}}"
TEXT = f"""quoit: 1
name: three-diamonds
nodes:
  alice: {NODE}
  bob: {NODE}
  charlie: {NODE}
spans:
  - {{between: [alice, bob], length: 10 km}}
  - {{between: [bob, charlie], length: 10 km}}
pair_links:
  - {{between: [alice, bob], success: 0.05, fidelity: 0.99, pairs: 2, attempt: 100 us}}
  - {{between: [bob, charlie], success: 0.01, fidelity: 0.99, pairs: 2, attempt: 100 us}}
applications:
  - {{sae: a, kme: kme-alice}}
  - {{sae: b, kme: kme-bob}}
  - {{sae: c, kme: kme-charlie}}
"""


def network(seed: int, text: str = TEXT) -> VirtualNetwork:
    net = virtual_network(text, seed)
    net.run_for(0.5)
    return net


def slot(address: str) -> tuple[str, int]:
    node, _, index = address.rpartition("/")
    return node, int(index)


def fidelity(net: VirtualNetwork, unit: Unit) -> float:
    engine = next(e for e in net.twin.kernel.elements if isinstance(e, Entangler))
    return engine.ledger.observe(slot(unit.addresses[0]), net.now_ns).fidelity()


async def share(one: Application, other: Application, floor: float) -> Unit:
    unit = await one.request([other.sae], fidelity=floor)
    await other.next_unit()
    return unit


@pytest.mark.realises("D1", "F5")
def test_pairs_of_one_link_pay_for_attempts_on_the_other() -> None:
    net = network(1)
    a, b, c = (net.application(sae) for sae in "abc")

    async def story() -> None:
        held = await share(a, b, 0.6)
        fresh, since_ns = fidelity(net, held), net.now_ns
        await share(b, c, 0.7)
        waited_s = (net.now_ns - since_ns) / 1e9
        by_time = fresh - 0.5 * (1 - exp(-2 * waited_s / 100)) - 0.25 * (1 - exp(-2 * waited_s / 1000))
        paid, attempts = by_time - fidelity(net, held), waited_s / 149e-6
        assert attempts > 20
        # Of some 1800 attempts each takes a share of the coherence; the link tries for part of the time.
        assert 0.1 * attempts / 1800 / 2 < paid < 1.1 * attempts / 1800 / 2
        assert fidelity(net, held) >= (held.fidelity or 0)

    asyncio.run(story())


@pytest.mark.realises("B5", "D1")
@pytest.mark.parametrize("pair", ["ab", "ac"])
def test_promises_hold_while_all_links_try(pair: str) -> None:
    """Directly and through the middle, to the end of the promise, with other requests under way all the time."""
    net = network(2)
    apps = {sae: net.application(sae) for sae in "abc"}

    async def others() -> None:
        for _ in range(12):
            try:
                unit = await share(apps["b"], apps["c"], 0.6)
                await apps["b"].close_unit(unit.unit_id)
            except Refusal:
                await apps["b"].sleep(0.02)

    async def story() -> None:
        noise = asyncio.ensure_future(others())
        for _ in range(4):
            unit = await share(apps[pair[0]], apps[pair[1]], 0.8)
            assert fidelity(net, unit) >= (unit.fidelity or 1) >= 0.8
            await apps["a"].sleep(((unit.expires_ns or 0) - net.now_ns) / 1e9 - 0.0005)
            assert fidelity(net, unit) >= 0.8
            await apps["a"].sleep(0.01)
        await noise

    asyncio.run(story())


def test_attempts_make_promises_smaller() -> None:
    """What could be had at best: through the middle with attempts beside it, and with none that disturb."""
    quiet = TEXT.replace("hardware: nv-three-node-2021, ", "")
    best = []
    for text in (TEXT, quiet):
        net = network(3, text)

        with pytest.raises(Refusal, match="fidelity-unreachable") as refused:
            asyncio.run(net.application("a").request(["c"], fidelity=0.9999))
        best.append(refused.value.fields["best"])
    assert best[0] < best[1] - 0.01
