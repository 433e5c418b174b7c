"""Keys of entangled pairs over repeaters that nobody trusts: to applications, under attack, in the dark."""

from __future__ import annotations

import asyncio
from math import log, log2, sqrt
from typing import Any

import pytest
from test_networks import Story

from quoit.engine.entangler import Entangler
from quoit.engine.links.pairs import Settings
from quoit.engine.measured import MeasuredPairs
from quoit.engine.physics.bell_pairs import swap_chain_fidelity
from quoit.engine.physics.fibre import delay_s
from quoit.engine.physics.postprocessing import ec_leak_bits
from quoit.engine.world import Intercept
from quoit.fabric.api import METERS, UPKEEP, GetLinks, LinkRow, Links
from quoit.model.problem import Problem
from quoit.planes.management import Alarms, GetAlarms
from quoit.sdk import Refusal, virtual_network

S = 1_000_000_000
F0, READOUT, GATE = 0.995, 0.999, 0.999
NETWORK = f"""
quoit: 1
name: pairs
telemetry_interval: 100ms
nodes:
  alice: {{memories: {{number: 4, gate: {GATE}, readout: {READOUT}}}}}
  one: {{memories: {{number: 4, gate: {GATE}, readout: {READOUT}}}}}
  two: {{memories: {{number: 4, gate: {GATE}, readout: {READOUT}}}}}
  bob: {{memories: {{number: 4, gate: {GATE}, readout: {READOUT}}}}}
spans:
  - {{between: [alice, one], length: 1 km}}
  - {{between: [one, two], length: 1 km}}
  - {{between: [two, bob], length: 1 km}}
pair_links:
  - {{between: [alice, one], success: 0.5, fidelity: {F0}, attempt: 5 us}}
  - {{between: [one, two], success: 0.5, fidelity: {F0}, attempt: 5 us}}
  - {{between: [two, bob], success: 0.5, fidelity: {F0}, attempt: 5 us}}
links:
  - {{name: key, between: [alice, bob], protocol: PROTOCOL-pairs, profile: quick}}
profiles:
  quick: {{base: PROTOCOL-pairs, block_bits: BLOCK, post_time_s: 0.1, auth_bits_per_block: 0}}
kmes: [{{node: alice}}, {{node: bob}}]
applications:
  - {{sae: alice-app, kme: kme-alice, allow: [bob-app]}}
  - {{sae: bob-app, kme: kme-bob, allow: [alice-app]}}
policies:
  {{pool_reopen: 256 bit, stream_low: 512 bit, stream_high: 1024 bit, quarantine_hold: 1s}}
"""


def text(protocol: str = "bbm92", block: int = 8_000, events: str = "") -> str:
    return NETWORK.replace("PROTOCOL", protocol).replace("BLOCK", str(block)) + events


def row(story: Story) -> LinkRow:
    links: Links = story.world.ask(METERS, GetLinks())
    (found,) = links.rows
    return found


def correlator() -> float:
    """Of a pair over two repeaters without waiting, as its ends read it."""
    fidelity = swap_chain_fidelity(F0, 3, 1.0, GATE, READOUT)
    return (4 * fidelity - 1) / 3 * (2 * READOUT - 1) ** 2


@pytest.mark.realises("B4", "C1", "C2", "C8", "D1")
def test_two_applications_share_keys_that_no_node_between_them_has() -> None:
    story = Story(text())
    story.run(3)
    assert story.key("alice-app", "bob-app")
    assert story.key("bob-app", "alice-app")
    assert {tuple(e.fields["nodes"]) for e in story.of("flow.changed")} - {()} == {("alice", "bob"), ("bob", "alice")}
    (opened,) = story.of("circuit.opened")
    assert opened.fields["nodes"] == ("alice", "one", "two", "bob")
    # Whoever holds or forwards key says so in the log; none of them is at a repeater.
    assert {e.by for e in story.events if e.by.startswith(("kma:", "relay:", "kme-"))} <= {
        "kma:alice", "kma:bob", "relay:alice", "relay:bob", "kme-alice", "kme-bob",
    }  # fmt: skip
    assert row(story).over == ("alice--one", "one--two", "two--bob")
    story.check()


@pytest.mark.realises("B4", "C1", "D1")
@pytest.mark.parametrize("protocol", ["bbm92", "e91"])
def test_error_rate_is_that_of_the_state_and_every_block_pays_for_its_tags(protocol: str) -> None:
    """At most 3e-7 of runs fail: five standard deviations, on the one side or the other."""
    story = Story(text(protocol, 8_000 if protocol == "bbm92" else 12_000))
    story.run(3.2 if protocol == "bbm92" else 5.2)
    blocks = story.of("block.made")
    assert len(blocks) >= 2
    assert not story.of("block.failed")
    w = correlator()
    sifted = sum(b.fields["sifted"] for b in blocks)
    mean = sum(b.fields["qber"] * b.fields["sifted"] for b in blocks) / sifted
    error = (1 - w) / 2
    assert abs(mean - error) < 5 * sqrt(error * (1 - error) / sifted)
    spent = story.of("auth.spent")
    assert len(spent) == len(blocks)
    assert {(e.fields["bits"], e.fields["refilled"]) for e in spent} == {(256, 256)}
    if protocol == "e91":
        for block in blocks:  # a setting has some 2,000 results in a block: S scatters by 0.03 or less
            assert block.fields["chsh"] == pytest.approx(2 * sqrt(2) * w, abs=0.15)
        assert "NOT device-independent" in row(story).rests_on
        assert row(story).chsh == pytest.approx(blocks[-1].fields["chsh"], abs=1e-3)
    assert story.key("alice-app", "bob-app")
    story.check()


@pytest.mark.realises("C1")
def test_the_key_rate_is_that_of_the_formulas() -> None:
    """One link: pairs by the renewal's mean, bits of each block by the finite-key formula, written out again. Five
    standard deviations of the counts on either side: at most 6e-6 of runs fail."""
    direct = text().replace("[alice, bob], protocol", "[alice, one], protocol").replace("node: bob}", "node: one}")
    story = Story(direct.replace("kme: kme-bob", "kme: kme-one"))
    story.run(4)
    blocks = story.of("block.made")
    assert len(blocks) >= 3
    # Light goes 1 km in 5 us: attempts of 5 us and light's way, half of them succeed, then light's way once more.
    way_s = delay_s(1.0)
    sifted_hz = 0.25 / (way_s + 2 * (5e-6 + way_s))
    e = (1 - (4 * F0 - 1) / 3 * (2 * READOUT - 1) ** 2) / 2
    for block in blocks:
        n = block.fields["sifted"]
        seconds = (block.t - block.fields["began"]) / S - 0.1
        assert abs(n - seconds * sifted_hz) < 5 * sqrt(n)
        most, least = (_bits(n, n + s * 5 * sqrt(n), e - s * 5 * sqrt(e / n)) for s in (1, -1))
        assert least - 256 - 8 <= block.fields["bits"] <= most - 256


def _bits(n: float, k: float, e: float) -> float:
    def h(p: float) -> float:
        return -p * log2(p) - (1 - p) * log2(1 - p)

    mu = sqrt((n + k) / (n * k) * (k + 1) / k * log(4 / 1e-10))
    return n * (1 - h(e + mu)) - ec_leak_bits(n, e, 1.16) - log2(2 / (1e-20 * 1e-15))


@pytest.mark.realises("C6", "G1", "G2", "I2")
def test_an_attack_on_one_pair_link_is_seen_at_the_ends_and_nothing_suspect_is_used() -> None:
    """A reading has some 600 test results: five standard deviations are 0.06."""
    attack = "events:\n  - {at: 4s, until: 5s, attack: {kind: intercept-resend, link: one--two, fraction: 0.3}}\n"
    impatient = text(events=attack).replace("quarantine_hold: 1s", "quarantine_hold: 1s, patience: 50ms")
    story = Story(impatient)
    story.run(4.9)
    (suspect,) = story.of("link.suspect")
    assert 4 * S < suspect.t < 4.5 * S
    assert row(story).qber == pytest.approx((1 - correlator() * (1 - 0.3 / 2)) / 2, abs=0.06)
    assert row(story).state == "quarantined"
    alarms: Alarms = story.world.ask(UPKEEP, GetAlarms())
    assert [(a.about, a.cause) for a in alarms.alarms] == [("key", "suspected eavesdropping")]
    (quarantined,) = story.of("link.quarantined")
    first = quarantined.fields["first_block"]
    began = {e.fields["block"]: e.fields["began"] for e in story.of("block.made")}
    assert all(at <= 4 * S for number, at in began.items() if number < first)
    late = [e for e in story.of("pool.spent") if e.t >= quarantined.t + 10_000_000 and e.fields["use"] != "discarded"]
    assert not [e for e in late if e.fields["block"] >= first]
    story.drain("alice-app", "bob-app")
    with pytest.raises(Problem, match="has key now") as refused:
        story.key("alice-app", "bob-app")
    assert refused.value.code == "link-quarantined"
    story.run(8)
    assert story.of("link.released")
    assert story.key("alice-app", "bob-app")
    story.check()


@pytest.mark.realises("C6", "I2")
def test_e91_makes_no_key_of_pairs_whose_s_is_not_above_the_bound() -> None:
    """A strong eavesdropper from the start: S = 2 sqrt2 w (1 - 0.8/2) = 1.65. Blocks so short that the first ends
    before the test of S over readings has its say."""
    attack = "events:\n  - {at: 0s, attack: {kind: intercept-resend, link: alice--one, fraction: 0.8}}\n"
    story = Story(text("e91", 1_000, attack))
    story.run(1.2)
    assert not story.of("block.made")
    failed = story.of("block.failed")
    assert failed
    assert "not above 2" in failed[0].fields["why"]
    assert failed[0].fields["chsh"] == pytest.approx(2 * sqrt(2) * correlator() * 0.6, abs=0.25)
    assert story.of("link.quarantined")
    with pytest.raises(Problem):
        story.key("alice-app", "bob-app")


@pytest.mark.realises("E1", "C5", "I2")
def test_a_cut_fibre_under_a_pair_link_is_a_fault_and_an_altered_message_costs_its_block() -> None:
    events = """events:
  - {at: 2s, until: 3s, cut: one--two}
  - {at: 4s, until: 5s, attack: {kind: tamper-messages, link: key, fraction: 1.0}}
"""
    story = Story(text(events=events))
    story.run(2.8)
    (dark,) = story.of("link.dark")
    assert dark.t < 2.01 * S
    assert row(story).state == "dark"
    assert row(story).sifted_bps == 0
    story.run(8)
    assert not story.of("link.quarantined")
    (altered, *more) = story.of("block.failed")
    assert all("its tag does not fit" in e.fields["why"] for e in (altered, *more))
    assert any(e.t > 5.5 * S for e in story.of("block.made"))
    story.check()


@pytest.mark.realises("C3", "B4")
def test_the_key_interface_and_key_units_serve_them_with_no_change() -> None:
    net = virtual_network(text())
    net.run_for(2.5)
    alice, bob = net.application("alice-app"), net.application("bob-app")

    async def story() -> None:
        opened = await alice._client.post("/api/v1/keys/bob-app/enc_keys", json={"number": 2, "size": 256})
        assert opened.status_code == 200, opened.text
        keys = opened.json()["keys"]
        wanted = {"key_IDs": [{"key_ID": key["key_ID"]} for key in keys]}
        taken = await bob._client.post("/api/v1/keys/alice-app/dec_keys", json=wanted)
        assert taken.json()["keys"] == keys
        status = (await alice._client.get("/api/v1/keys/bob-app/status")).json()
        assert (status["source_KME_ID"], status["target_KME_ID"]) == ("kme-alice", "kme-bob")

    asyncio.run(story())


def test_same_seed_same_trace_and_a_reader_cannot_tell_the_world() -> None:
    digests = []
    for seed in (7, 7, 8):
        story = Story(text(block=2_000), seed)
        story.run(0.8)
        digests.append(story.digest.hexdigest())
    assert digests[0] == digests[1] != digests[2]
    found: list[Any] = [e for e in story.twin.kernel.elements if isinstance(e, MeasuredPairs)]
    (measuring,) = found
    assert measuring.only_resource_plane
    settings: Settings = next(iter(measuring._plans.values())).settings
    assert settings.counts == 8


@pytest.mark.realises("D1", "D2")
def test_shared_states_and_key_have_the_pair_links_between_them() -> None:
    """A link of one pair that is used for key is not there for states; an eavesdropper on it spoils both."""
    one_pair = text().replace("fidelity: 0.995, attempt: 5 us", "fidelity: 0.995, attempt: 5 us, pairs: 1")
    net = virtual_network(one_pair)
    net.run_for(0.05)

    async def refused() -> None:
        with pytest.raises(Refusal, match="no-route"):
            await net.application("alice-app").request(["bob-app"])

    asyncio.run(refused())
    net = virtual_network(text())
    net.run_for(0.05)
    net.twin.kernel.ask_from_outside(net.now_ns, "engine", Intercept("one--two", 1.0), lambda _: None)
    net.run_for(0.05)
    (engine,) = (e for e in net.twin.kernel.elements if isinstance(e, Entangler))

    async def shared() -> float:
        unit = await net.application("alice-app").request(["bob-app"], fidelity=0.9)
        node, _, slot = unit.addresses[0].rpartition("/")
        seen = engine.ledger.observe((node, int(slot)), net.now_ns)
        assert seen.matrix is not None
        return float((seen.matrix[0, 0] + seen.matrix[0, 3] + seen.matrix[3, 0] + seen.matrix[3, 3]).real / 2)

    # Promised is what control knows of its devices; she takes all YY and half of XX and ZZ.
    w = correlator() / (2 * READOUT - 1) ** 2
    assert asyncio.run(shared()) == pytest.approx((1 + w) / 4, abs=0.01)
