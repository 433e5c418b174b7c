"""A classical channel is lit on the fibre of a quantum link: its error rate rises as the formula says, and falls back.

Expectations are put together here from the closed forms, not from the engine. Statistics: each comparison of an error
rate has a false-alarm probability of 6e-7 (5 sigma, two-sided).
"""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from quoit.adapters.stores.memory import MemoryStore
from quoit.connectivity import api
from quoit.engine.physics import coexistence as cx
from quoit.engine.physics import silica
from quoit.engine.physics.bb84 import wcp_two_detector
from quoit.engine.physics.detectors import dark_probability, jitter_window
from quoit.fabric.api import METERS, GetLinks
from quoit.fabric.links.profile import BUILT_IN, BB84Profile, with_overrides
from quoit.model.spectrum import Slot
from quoit.runtime.trace import Digest
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import load, loads

S = 10**9
EXAMPLES = Path(__file__).parents[2] / "examples"
KM, LOSS_DB = 25.0, 5.0
QUANTUM, CHANNEL = Slot(193_400_000, 25_000), Slot(193_100_000, 50_000)
LAUNCH_DBM = -3.0
NETWORK = """
quoit: 1
name: beside
nodes: {alice: {}, bob: {}}
spans:
  - {name: fibre, between: [alice, bob], length: 25 km, attenuation: 0.2 dB/km}
profiles:
  # Without dead time, afterpulses and caps: what is left is the light.
  plain: {base: bb84-gigahertz, source_rate_hz: RATE, dead_time_ns: 0, afterpulse: 0, sifting_cap_hz: 0,
          ec_cap_bps: 0, pa_cap_bps: 0}
links:
  - {name: link, between: [alice, bob], profile: plain, mode: MODE,
     spectrum: {frequency: 193.4 THz, filter: 25 GHz, isolation: 95 dB}}
"""


def plain() -> BB84Profile:
    changes = dict.fromkeys(("dead_time_ns", "afterpulse", "sifting_cap_hz", "ec_cap_bps", "pa_cap_bps"), 0.0)
    profile = with_overrides(BUILT_IN["bb84-gigahertz"], changes)
    assert isinstance(profile, BB84Profile)
    return profile


def noise_per_gate(way: str) -> float:
    """Raman light of the channel, and what of it leaks through the filter when it comes the same way."""
    p = plain()
    wl_m = QUANTUM.wavelength_nm * 1e-9
    launch = 1e-3 * 10 ** (LAUNCH_DBM / 10)
    beta = silica.raman_beta(CHANNEL.centre_hz, QUANTUM.centre_hz)
    raman = cx.raman_power_w(launch, KM, beta, QUANTUM.width_nm, direction=way)
    receiver = p.detector_efficiency * 10 ** (-p.receiver_loss_db / 10)
    clicks = cx.raman_gate(raman, wl_m, p.gate_s, receiver).p_gate
    if way == "co":
        clicks += cx.crosstalk_photons(launch, LOSS_DB, 95.0, wl_m) * p.gate_s * receiver
    return clicks


def expected_qber(noise: float) -> float:
    """Error rate of all sifted detections with so many noise clicks a gate, half of them at each detector."""
    p = plain()
    inside = jitter_window(p.jitter_fwhm_s, p.gate_s).capture
    eta = p.detector_efficiency * inside * 10 ** (-(p.receiver_loss_db + LOSS_DB) / 10)
    p_d = 1 - (1 - dark_probability(p.dark_count_hz, p.gate_s)) * (1 - noise / 2)
    clicks = [wcp_two_detector(mu, eta, p_d, p.misalignment) for mu in p.mu]
    gain = sum(share * c.gain for share, c in zip(p.p_intensity, clicks, strict=True))
    return sum(share * c.gain * c.error for share, c in zip(p.p_intensity, clicks, strict=True)) / gain


class Beside:
    """The link in virtual time, and its telemetry summed up."""

    def __init__(self, mode: str = "counts", rate: str = "1.0e+9") -> None:
        network = NETWORK.replace("MODE", mode).replace("RATE", rate)
        twin = assemble(loads(network), Parts(lambda kme: MemoryStore()))
        self.world = VirtualWorld(twin.kernel)
        self.world.begin()
        self.at_s = 0

    def ask(self, msg: Any) -> Any:
        return self.world.ask(api.CONTROLLER, msg)

    def light(self, source: str) -> None:
        self.ask(api.LightChannel("x", source, ("fibre",), CHANNEL.centre_mhz, CHANNEL.width_mhz, LAUNCH_DBM))

    def measured(self, seconds: int) -> tuple[float, float]:
        """Error rate of the next whole intervals, and its standard deviation. The one under way is left out."""
        self.at_s += 1
        tested = errors = 0.0
        p = plain()
        both = (p.p_z_sender * p.p_z_receiver, (1 - p.p_z_sender) * (1 - p.p_z_receiver))
        for _ in range(seconds):
            self.at_s += 1
            self.world.run_until(round((self.at_s + 0.1) * S))
            (row,) = self.world.ask(METERS, GetLinks()).rows
            n = row.sifted_bps * both[1] / sum(both)  # the interval's test detections, to its statistics
            tested, errors = tested + n, errors + n * row.qber
        q = errors / tested
        return q, sqrt(q * (1 - q) / tested)


@pytest.mark.realises("E1", "E3")
@pytest.mark.parametrize(("source", "way"), [("alice", "co"), ("bob", "ctr")])
def test_the_error_rate_rises_as_the_formula_says_and_falls_back(source: str, way: str) -> None:
    story = Beside()
    quiet, noisy = expected_qber(0.0), expected_qber(noise_per_gate(way))
    assert noisy > quiet + 0.01
    found = [story.measured(6)]
    story.light(source)
    found.append(story.measured(6))
    story.ask(api.ExtinguishChannel("x"))
    found.append(story.measured(6))
    for (qber, sigma), expected in zip(found, (quiet, noisy, quiet), strict=True):
        assert abs(qber - expected) < 5 * sigma, (qber, expected, sigma)
        assert sigma < 2e-4  # a tenth of the rise would be seen


def test_single_detections_show_the_same_noise() -> None:
    story = Beside("exact", "2.0e+7")
    story.light("alice")
    qber, sigma = story.measured(5)
    assert abs(qber - expected_qber(noise_per_gate("co"))) < 5 * sigma
    assert qber > expected_qber(0.0) + 5 * sigma


def test_moving_the_link_to_the_o_band_gets_away_from_the_noise() -> None:
    story = Beside()
    story.light("bob")
    story.measured(1)
    story.ask(api.RetuneChannel("link", (), 228_849_000))
    qber, _ = story.measured(4)
    # 3.25 dB more of loss, so dark counts weigh more; the noise is a thousandth.
    assert qber < expected_qber(0.0) + 0.002


@pytest.mark.realises("E3", "I2")
def test_the_example_repeats_itself_and_names_the_cause() -> None:
    def run() -> tuple[str, list[tuple[str, str]]]:
        twin = assemble(load(EXAMPLES / "coexistence.yaml"), Parts(lambda kme: MemoryStore()))
        digest = Digest()
        alarms: list[tuple[str, str]] = []
        twin.kernel.sinks += [
            digest,
            lambda e: alarms.append((e.fields["about"], e.fields["cause"])) if e.event == "alarm.raised" else None,
        ]
        world = VirtualWorld(twin.kernel)
        world.begin()
        world.run_until(130 * S)
        return digest.hexdigest(), alarms

    first, second = run(), run()
    assert first == second
    causes = [alarm for alarm in first[1] if "refilled" not in alarm[1]]
    # Each time the plant's own alarm stands before that of the link it explains.
    assert causes == [
        ("fibre", "unexpected light"),
        ("alice--bob", "noise light"),
        ("east", "too much power"),
        ("alice--bob", "noise light"),
    ]
