"""Whatever happens to fibres and whoever comes and goes, the optical network's services keep their promises."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.connectivity.inventory import slot_of
from quoit.model.problem import Problem
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike

S = 10**9
SPANS = {"ab": "ab", "bc": "bc", "cd": "cd", "da": "da", "ac": "ac", "bd": "bd"}
NETWORK = """
quoit: 1
name: k4
nodes: {a: {}, b: {}, c: {}, d: {}}
spans:
""" + "".join(
    f"  - {{name: {n}, between: [{n[0]}, {n[1]}], length: 10 km, loss: {2 + 0.6 * i} dB, duct: duct{i % 4}}}\n"
    for i, n in enumerate(SPANS)
)
REST = """
plant:
  switches: [{node: b, insertion: 1 dB, switching: 30 ms}, {node: d, insertion: 1 dB, switching: 50 ms}]
links:
  - {name: link, between: [a, c], spans: [ac], protocol: rated, rate: 1 kbit/s, qber: 0.02}
"""
MOST_DB = 9.0
steps = st.one_of(
    st.tuples(st.just("cut"), st.sampled_from(sorted(SPANS))),
    st.tuples(st.just("splice"), st.sampled_from(sorted(SPANS))),
    st.tuples(st.just("open"), st.sampled_from(["one", "two", "apart", "quantum"])),
    st.tuples(st.just("close"), st.sampled_from(["one", "two", "apart", "quantum"])),
    st.tuples(st.just("move"), st.sampled_from(["one", "two", "apart", "quantum"])),
)


def wish(name: str) -> api.OpenService:
    limits = api.Limits(max_loss_db=MOST_DB)
    if name == "quantum":
        return api.OpenService(name, api.QUANTUM, "a", "c", "link", limits=limits)
    ends = ("b", "d") if name == "two" else ("a", "c")
    return api.OpenService(name, api.CLASSICAL, *ends, limits=limits, apart_from="one" if name == "apart" else "")


def message(what: str, name: str) -> Any:
    return {"open": wish(name), "close": api.CloseService(name), "move": api.MoveService(name, retune=True)}[what]


@given(st.lists(steps, min_size=4, max_size=14))
@settings(max_examples=60, deadline=None)
def test_services_keep_their_limits_their_light_and_their_spectrum(history: list[tuple[str, str]]) -> None:
    twin = assemble(loads(NETWORK + REST), Parts(lambda kme: MemoryStore()))
    world = VirtualWorld(twin.kernel)
    world.begin()
    dark: set[str] = set()
    for number, (what, name) in enumerate(history):
        world.run_until((number + 1) * S)
        if what in ("cut", "splice"):
            (dark.add if what == "cut" else dark.discard)(name)
            world.ask(FATE, Strike(what, name))
        else:
            try:
                world.ask(api.OTN, message(what, name))
            except Problem as problem:
                if problem.code not in ("no-route", "no-such-element", "switching"):
                    raise
    world.run_until((len(history) + 2) * S)
    rows = {row.service: row for row in world.ask(api.OTN, api.GetServices()).rows}
    inventory = world.ask(api.CONTROLLER, api.GetInventory())
    channels = {row.channel: row for row in inventory.channels}
    risks = {span.span: {span.span, *span.risks} for span in inventory.spans}
    for row in rows.values():
        if row.lifecycle != api.INSTALLED:
            continue
        assert row.enabled == (not dark & set(row.spans))
        assert row.loss_db <= MOST_DB
        channel = channels[row.channel]
        assert (channel.spans, channel.centre_mhz, channel.state) == (row.spans, row.centre_mhz, "lit")
        if not row.enabled:  # it would have been restored
            assert row.note
    assert set(channels) == {"link", *(n for n, r in rows.items() if r.lifecycle == api.INSTALLED and n != "quantum")}
    if {"one", "apart"} <= rows.keys() and {rows[n].lifecycle for n in ("one", "apart")} == {api.INSTALLED}:
        one, apart = (set().union(*(risks[span] for span in rows[n].spans)) for n in ("one", "apart"))
        assert not one & apart
    lit = [c for c in channels.values() if c.state == "lit"]
    for i, first in enumerate(lit):
        for other in lit[i + 1 :]:
            if set(first.spans) & set(other.spans):
                assert not slot_of(first).overlaps(slot_of(other))
