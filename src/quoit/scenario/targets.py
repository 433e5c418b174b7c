"""What an attack or a fault can be aimed at. Key of entangled pairs has no light but that of its pair links."""

from __future__ import annotations

from quoit.fabric.links.profile import OVER_PAIRS
from quoit.scenario.fate import STRIKES
from quoit.scenario.schema import NetworkFile


def targets_of(network: NetworkFile, kind: str) -> tuple[str, list[str]]:
    """What kind of thing is hit, and the names of those there are. `kind` as in `fate.STRIKES`."""
    what = STRIKES[kind]
    known = {
        "link": [link.id for link in network.links],
        "lit link": [link.id for link in network.links if link.protocol not in OVER_PAIRS]
        + [link.id for link in network.pair_links],
        "pair link": [link.id for link in network.pair_links],
        "span": [span.id for span in network.spans],
        "fibre": [span.id for span in network.spans if span.air is None],
        "path through air": [span.id for span in network.spans if span.air is not None],
        "channel": [channel.name for channel in network.plant.channels],
    }
    return what.removeprefix("lit "), known[what]


def without_light(network: NetworkFile, name: str) -> str | None:
    """Why a link cannot be intercepted, if it is one that has no light of its own."""
    if any(link.id == name and link.protocol in OVER_PAIRS for link in network.links):
        return f"{name} has no light of its own: attack a pair link that it goes over"
    return None
