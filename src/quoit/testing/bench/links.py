"""A BB84 link in simulated against processor seconds, with SeQUeNCe on the same link in the same run.

The link: 50 km at 0.2 dB/km, mean photon number 0.1, 1 MHz, detectors of 80 % with 10 dark counts a second,
1 % misalignment. SeQUeNCe 0.8 plays its own BB84 (sifting by messages; a key is made of sifted bits as they
are), pulse by pulse. quoit's `counts` draws what a chunk of a second brings and sums it up to blocks with
finite-key lengths; `exact` draws each detection and distils between two modules: sifting, Cascade,
verification, privacy amplification, authentication. So quoit's two do more per key, and a decoy intensity
is among their pulses (a fifth, mean photon number 0.02), without which there would be no key to make.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Iterator

from quoit.adapters.stores.memory import MemoryStore
from quoit.engine.links.sampler import Channel, ChunkStream
from quoit.fabric.links.bb84 import DecoyBB84
from quoit.fabric.links.profile import BUILT_IN, BB84Profile, with_overrides
from quoit.fabric.links.receiver import EMPTY
from quoit.runtime import seeds
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads

NETWORK = """
quoit: 1
name: bench-link
mode: exact
nodes: {alice: {}, bob: {}}
spans: [{between: [alice, bob], length: 50 km, attenuation: 0.2 dB/km}]
profiles: {bench: {base: sequence-benchmark, mu: [0.1, 0.02], p_intensity: [0.8, 0.2]}}
links: [{between: [alice, bob], profile: bench}]
applications:
  - {sae: alice-app, kme: kme-alice, allow: [bob-app]}
  - {sae: bob-app, kme: kme-bob, allow: [alice-app]}
"""
BOUNDS = {"counts": 1_000.0, "exact": 50.0}
Figure = tuple[str, float, str, float | None, bool | None]


def counts_speed(seconds: int) -> float:
    """Simulated seconds per processor second in mode `counts`; RuntimeError if no block gave key."""
    profile = with_overrides(BUILT_IN["sequence-benchmark"], {"mu": (0.1, 0.02), "p_intensity": (0.8, 0.2)})
    assert isinstance(profile, BB84Profile)
    protocol = DecoyBB84(profile)
    stream = ChunkStream(protocol.sampler(), 1.0, lambda epoch: seeds.generator(1, "bench", str(epoch)))
    channel, block, secret = Channel(10.0), EMPTY, 0
    began = time.process_time()
    for _ in range(seconds):
        block = block.plus(stream.next(channel), 10**9)
        if protocol.full(block):
            secret += protocol.judge(block).secret_bits
            block = EMPTY
    took = time.process_time() - began
    if not secret:
        raise RuntimeError("the benchmark's link made no key")
    return seconds / took


def exact_speed(seconds: int) -> float:
    """The same in mode `exact`, with all elements of a twin around it."""
    kernel = assemble(loads(NETWORK), Parts(lambda kme: MemoryStore())).kernel
    made: list[Event] = []
    kernel.sinks.append(lambda event: made.append(event) if event.event == "block.made" else None)
    world = VirtualWorld(kernel)
    world.begin()
    began = time.process_time()
    world.run_until(seconds * 10**9)
    took = time.process_time() - began
    if not made:
        raise RuntimeError("the benchmark's link made no key")
    return seconds / took


def sequence_speed(seconds: float) -> float:
    """The same of SeQUeNCe; RuntimeError if it sifted nothing."""
    from sequence.components.optical_channel import ClassicalChannel, QuantumChannel
    from sequence.kernel.timeline import Timeline
    from sequence.qkd.BB84 import pair_bb84_protocols
    from sequence.topology.node import QKDNode

    timeline = Timeline(seconds * 1e12)
    alice, bob = (QKDNode(name, timeline, stack_size=1, seed=seed) for seed, name in enumerate(("alice", "bob")))
    pair_bb84_protocols(alice.protocol_stack[0], bob.protocol_stack[0])
    for here, there in ((alice, bob), (bob, alice)):
        quantum = QuantumChannel(f"q.{here.name}", timeline, 0.0002, 50e3, polarization_fidelity=0.99)
        quantum.set_ends(here, there.name)
        classical = ClassicalChannel(f"c.{here.name}", timeline, 50e3)
        classical.set_ends(here, there.name)
        here.update_lightsource_params("frequency", 1e6)
        here.update_lightsource_params("mean_photon_num", 0.1)
        for detector in range(2):
            here.update_detector_params(detector, "efficiency", 0.8)
            here.update_detector_params(detector, "dark_count", 10)
            here.update_detector_params(detector, "time_resolution", 1000)
            here.update_detector_params(detector, "count_rate", 50e6)
    timeline.init()
    alice.protocol_stack[0].push(128, math.inf, seconds * 1e12)
    began = time.process_time()
    timeline.run()
    took = time.process_time() - began
    if not alice.protocol_stack[0].throughputs:
        raise RuntimeError("SeQUeNCe made no key on the benchmark's link")
    return seconds / took


def figures(scale: float) -> Iterator[Figure]:
    """(name, value, unit, bound, holds); the best of three interleaved rounds each."""
    beside = importlib.util.find_spec("sequence") is not None
    rounds = [
        (
            counts_speed(round(50_000 * scale)),
            exact_speed(max(120, round(300 * scale))),
            sequence_speed(max(0.25, scale)) if beside else None,
        )
        for _ in range(3)
    ]
    ours = {"counts": max(r[0] for r in rounds), "exact": max(r[1] for r in rounds)}
    for mode, speed in ours.items():
        yield f"BB84 link, {mode}", round(speed, 1), "simulated s per CPU s", None, None
    theirs = [r[2] for r in rounds if r[2] is not None]
    if not theirs:
        print("without SeQUeNCe beside it there are no ratios: `make bench` installs it (bench.lock)")
        return
    yield "BB84 link, SeQUeNCe", round(max(theirs), 3), "simulated s per CPU s", None, None
    for mode, speed in ours.items():
        ratio = speed / max(theirs)
        yield f"BB84 link, {mode} against SeQUeNCe", round(ratio), "x", BOUNDS[mode], ratio >= BOUNDS[mode]
