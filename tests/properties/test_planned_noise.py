"""On random lines of fibres, switches and channels: the plan's powers and noise are those of the world as built."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.engine.light import lit_spans, noise_of
from quoit.engine.world import TrueChannel, World
from quoit.model.spectrum import Slot
from quoit.scenario.light import LightSide
from quoit.scenario.schema import NetworkFile

QUANTUM_GHZ = 193_400


@st.composite
def lines(draw: st.DrawFn) -> NetworkFile:
    """Nodes n0 - n1 - ... and a link over a part of them; channels over parts of them in both directions.

    They are 200 GHz apart, so that they mix into the link's slot.
    """
    size = draw(st.integers(1, 4))

    def part() -> list[int]:
        return sorted(draw(st.lists(st.integers(0, size), min_size=2, max_size=2, unique=True)))

    start, end = part()
    spans = [
        {"name": f"s{i}", "between": [f"n{i}", f"n{i + 1}"], "length": f"{draw(st.integers(1, 60))} km"}
        for i in range(size)
    ]
    channels = []
    for k in range(draw(st.integers(0, 4))):
        low, high = part()
        names = [f"s{i}" for i in range(low, high)]
        back = draw(st.booleans())
        channels.append(
            {
                "name": f"c{k}",
                "from": f"n{high}" if back else f"n{low}",
                "spans": names[::-1] if back else names,
                "frequency": f"{QUANTUM_GHZ - 200 * (k + 1)} GHz",
                "launch": f"{draw(st.integers(-30, 10))} dBm",
            }
        )
    values: dict[str, Any] = {
        "quoit": 1,
        "name": "line",
        "nodes": {f"n{i}": {} for i in range(size + 1)},
        "spans": spans,
        "links": [
            {
                "name": "link",
                "between": [f"n{start}", f"n{end}"],
                "spans": [f"s{i}" for i in range(start, end)],
                "spectrum": {"frequency": f"{QUANTUM_GHZ} GHz", "isolation": f"{draw(st.integers(20, 120))} dB"},
            }
        ],
        "plant": {
            "switches": [{"node": f"n{i}"} for i in range(size + 1) if draw(st.booleans())],
            "channels": channels,
        },
    }
    return NetworkFile.model_validate(values)


@pytest.mark.realises("E3")
@settings(deadline=None)
@given(lines())
def test_the_plan_is_the_world_as_built(network: NetworkFile) -> None:
    side = LightSide(network, lambda link: tuple(link.spans or ()))
    link = side.true_link(network.links[0])
    channels = {
        c.name: TrueChannel(c.name, c.source, tuple(c.spans), Slot(c.centre_mhz, c.width_mhz), c.launch_dbm)
        for c in network.plant.channels
    }
    world = World(side.true_spans(), {"link": link}, channels=channels, switches=side.true_switches())
    inventory = side.inventory()
    assert link.slot is not None
    truth = noise_of(world, link, lit_spans(world))
    plan = inventory.noise(link.source, link.spans, link.slot, link.isolation_db)
    assert (plan.raman_hz, plan.leaked_hz, plan.mixed_hz) == pytest.approx(
        (truth.raman_hz, truth.leaked_hz, truth.mixed_hz), rel=1e-9
    )
    assert plan.loss_db == pytest.approx(world.loss_db("link"))
    for span, along in lit_spans(world).items():
        for channel, stretch in along:
            planned = inventory.planned_dbm(inventory.channel(channel.name), span)
            assert stretch.out_dbm == pytest.approx(planned)
    on_path = any(set(c.spans) & set(link.spans) for c in network.plant.channels)
    assert (truth.raman_hz > 0) == on_path
