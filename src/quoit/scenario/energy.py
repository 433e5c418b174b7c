"""What of a network takes power: devices of each link by its protocol, of each node by what it has.

How many of which devices a link has is an assumption where the table's source does not list the set-up: of BB84 and of
GG02 it does. Detectors are told apart by their dark counts, of which the same source has 400 Hz for InGaAs and 100 Hz
for nanowires.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from quoit.fabric.links.profile import BB84Profile, BBM92Profile, CVProfile
from quoit.model.power import POWERS, Basis
from quoit.orchestration.footprint import FootprintPlan, Load
from quoit.scenario.schema import NetworkFile
from quoit.scenario.yamlfile import Loc

Unknown = Callable[[Loc, str, str, Iterable[str]], Iterator[tuple[Loc, str]]]
NANOWIRE_DARK_HZ = 200.0
"""Detectors with fewer dark counts than this are taken to be superconducting nanowires."""


def _detectors(dark_hz: float, number: int) -> dict[str, int]:
    """One cryostat holds all nanowires of a receiver."""
    return {"detector-snspd": 1} if dark_hz <= NANOWIRE_DARK_HZ else {"detector-ingaas": number}


def devices_of(profile: object) -> Mapping[str, int]:
    """Devices at both ends of a QKD link. Of what is not known more closely: two units."""
    found: Counter[str] = Counter()
    if isinstance(profile, BB84Profile):
        found.update({"laser": 1, "intensity-modulator": 1, "motorised-waveplate": 2, "time-tagger": 1, "computer": 2})
        found.update(_detectors(profile.dark_count_hz, 2))
    elif isinstance(profile, BBM92Profile):
        found.update({"pump-laser": 1, "crystal-oven": 1, "time-tagger": 2, "computer": 2})
        found.update(_detectors(profile.dark_sender_hz, 2))
        found.update(_detectors(profile.dark_receiver_hz, 2))
    elif isinstance(profile, CVProfile):
        found.update({"cv-laser": 2, "bias-controller": 1, "converter-da": 1, "converter-ad": 1, "power-meter": 1})
        found.update({"computer": 2, "calibration-switch": 1, "polarisation-controller": 1, "balanced-detector": 1})
    else:
        found.update({"qkd-unit": 2})
    return found


def footprint_plan(n: NetworkFile, profile_of: Callable[[str], object], pair_spans: frozenset[str]) -> FootprintPlan:
    """What the footprint is reckoned from. `profile_of`: of a QKD link by its name."""
    links = tuple(Load(link.id, tuple(sorted(devices_of(profile_of(link.id)).items()))) for link in n.links)
    pair_links = tuple(Load(link.id, (("pair-station", 1),)) for link in n.pair_links)
    nodes = []
    keeps = {kme.node for kme in n.all_kmes()} | {node for link in n.links for node in link.between}
    for name, node in n.nodes.items():
        if name in keeps and n.links:
            nodes.append(Load(name, (("key-server", 1),)))
        if node.memories is not None:
            nodes.append(Load(name, (("memory-control", 1), ("memory-cryostat", 1)), pairs=True))
    nodes.append(Load("control", (("control-server", 1),), pairs=not n.links))
    watts = {name: row.watts for name, row in POWERS.items()} | n.telemetry.power
    given = frozenset(n.telemetry.power)
    assumed = frozenset(name for name, row in POWERS.items() if row.basis is Basis.ASSUMPTION) - given
    lengths = tuple((span.id, span.length_km) for span in n.spans if span.air is None)
    return FootprintPlan(links, pair_links, tuple(nodes), tuple(sorted(watts.items())), assumed, lengths, pair_spans)


def check_powers(n: NetworkFile, unknown: Unknown) -> Iterator[tuple[Loc, str]]:
    """Devices that are in the table, and powers of zero or more."""
    for device, watts in n.telemetry.power.items():
        at: Loc = ("telemetry", "power", device)
        yield from unknown(at, "device", device, POWERS)
        if not 0 <= watts < 1e9:
            yield at, f"expected a power in watts, 0 or more, found {watts}"
