"""An OTN customer's light on a quantum link's fibre, felt and mended: the error rate rises as the formula says, the
optical network finds the quantum channel another path, a cut is restored, planned works drain first.

Each comparison of an error rate has a false-alarm probability of 6e-7 (5 sigma, two-sided).
"""

from __future__ import annotations

from typing import Any

import pytest
import test_coexistence as beside

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.scenario.fate import FATE, Strike

S = 10**9
DETOURS = """
nodes: {alice: {}, bob: {}, north: {}, south: {}}
spans:
  - {name: fibre, between: [alice, bob], length: 25 km, attenuation: 0.2 dB/km}
  - {name: n1, between: [alice, north], length: 15 km, attenuation: 0.2 dB/km}
  - {name: n2, between: [north, bob], length: 15 km, attenuation: 0.2 dB/km}
  - {name: s1, between: [alice, south], length: 20 km, attenuation: 0.2 dB/km}
  - {name: s2, between: [south, bob], length: 20 km, attenuation: 0.2 dB/km}
plant:
  services:
    - {name: quantum, link: link, max_loss: 9 dB}
"""
PLAIN = beside.NETWORK.replace("MODE", "counts").replace("RATE", "1.0e+9")
HEAD, REST = PLAIN.split("nodes:")[0], "profiles:" + PLAIN.split("profiles:")[1]
LINK = REST.replace("{name: link,", "{name: link, spans: [fibre],")


class Coupled(beside.Beside):
    """The link with detours, in virtual time."""

    def __init__(self) -> None:
        twin = assemble(loads(HEAD + DETOURS.lstrip() + LINK), Parts(lambda kme: MemoryStore()))
        self.world = VirtualWorld(twin.kernel)
        self.told: list[tuple[int, Any]] = []
        twin.kernel.watchers.append(self._hear)
        self.world.begin()
        self.at_s = 0

    def _hear(self, subject: str, msg: Any) -> None:
        if isinstance(msg, api.ServiceRow | api.WorksRow):
            self.told.append((self.world.kernel.now, msg))

    def otn(self, msg: Any) -> Any:
        return self.world.ask(api.OTN, msg)

    def outages_ms(self, service: str, after_s: float) -> list[float]:
        """How long a service was without light, each time."""
        rows = [(at, r) for at, r in self.told if getattr(r, "service", "") == service and at > after_s * S]
        found, since = [], None
        for at, row in rows:
            if not row.enabled and since is None:
                since = at
            elif row.enabled and since is not None:
                found.append((at - since) / 1e6)
                since = None
        return found


@pytest.mark.realises("A3", "E1", "E3", "E4")
def test_a_customers_light_is_felt_mended_and_what_breaks_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Coupled()
    quiet, noisy = beside.expected_qber(0.0), beside.expected_qber(beside.noise_per_gate("co"))
    found = [story.measured(4)]
    centre = beside.CHANNEL.centre_mhz
    customer = api.OpenService(
        "customer", api.CLASSICAL, "alice", "bob", width_mhz=beside.CHANNEL.width_mhz, launch_dbm=beside.LAUNCH_DBM,
        limits=api.Limits(centres_mhz=(centre,)), spans=("fibre",),
    )  # fmt: skip
    story.otn(customer)
    found.append(story.measured(6))
    for (qber, sigma), expected in zip(found, (quiet, noisy), strict=True):
        assert abs(qber - expected) < 5 * sigma, (qber, expected, sigma)

    # The quantum network asks for a quieter path. It has 6 dB, and no neighbour.
    row = story.otn(api.MoveService("quantum", max_noise_hz=1_000.0))
    assert (row.spans, row.noise_hz) == (("n1", "n2"), 0.0)
    monkeypatch.setattr(beside, "LOSS_DB", 6.0)
    qber, sigma = story.measured(4)
    assert abs(qber - beside.expected_qber(0.0)) < 5 * sigma

    # A cut: the straight fibre is too noisy now, so the long way is taken.
    before_s = story.at_s + 0.1
    story.world.ask(FATE, Strike("cut", "n2"))
    story.measured(1)
    (outage,) = story.outages_ms("quantum", before_s)
    assert outage < 1000
    (row,) = (r for r in story.otn(api.GetServices()).rows if r.service == "quantum")
    assert (row.enabled, row.spans) == (True, ("s1", "s2"))
    monkeypatch.setattr(beside, "LOSS_DB", 8.0)
    qber, sigma = story.measured(4)
    assert abs(qber - beside.expected_qber(0.0)) < 5 * sigma

    # Works where it is now: it has gone before they begin, and their cut touches nobody.
    story.world.ask(FATE, Strike("splice", "n2"))
    story.measured(1)
    begin_s = story.at_s + 20
    works = api.AnnounceWorks("dig", ("s1", "s2"), begin_s * S, (begin_s + 20) * S, 5 * S)
    story.world.ask(api.WORKS, works)
    story.world.run_until((begin_s - 1) * S)
    (row,) = (r for r in story.otn(api.GetServices()).rows if r.service == "quantum")
    assert (row.enabled, row.spans) == (True, ("n1", "n2"))
    story.world.run_until((begin_s + 1) * S)
    story.world.ask(FATE, Strike("cut", "s1"))
    story.world.run_until((begin_s + 5) * S)
    assert story.outages_ms("quantum", begin_s - 0.5) == []
    (works_row,) = story.world.ask(api.WORKS, api.GetWorks()).rows
    assert (works_row.state, works_row.moved) == (api.DOWN, ("quantum",))
