"""What an attack or a fault can be aimed at. Key of entangled pairs has no light but that of its pair links."""

from __future__ import annotations

from quoit.fabric.links.profile import OVER_PAIRS
from quoit.scenario.fate import STRIKES
from quoit.scenario.schema import NetworkFile


def targets_of(network: NetworkFile, kind: str) -> tuple[str, list[str]]:
    """What kind of thing is hit, and the names of those there are. `kind` as in `fate.STRIKES`."""
    what = STRIKES[kind]
    lit = [link.id for link in network.links if link.protocol not in OVER_PAIRS]
    known = {
        "link": [link.id for link in network.links],
        "lit QKD link": lit,
        "lit link": lit + [link.id for link in network.pair_links],
        "pair link": [link.id for link in network.pair_links],
        "span": [span.id for span in network.spans],
        "fibre": [span.id for span in network.spans if span.air is None],
        "path through air": [span.id for span in network.spans if span.air is not None],
        "channel": [channel.name for channel in network.plant.channels],
    }
    return what.removeprefix("lit ").removeprefix("QKD "), known[what]


def without_light(network: NetworkFile, kind: str, name: str) -> str | None:
    """Why a strike at light cannot hit a link, if that is one that has no light of its own."""
    what = STRIKES[kind]
    if not (what == "pair link" or what.startswith("lit ")):
        return None
    if any(link.id == name and link.protocol in OVER_PAIRS for link in network.links):
        told = f"{name} has no light of its own"
        return told if what == "lit QKD link" else f"{told}: attack a pair link that it goes over"
    return None
