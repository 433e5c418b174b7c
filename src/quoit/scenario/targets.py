"""What an attack or a fault can be aimed at. Key of entangled pairs has no light but that of its pair links."""

from __future__ import annotations

from quoit.scenario.pair_keys import OVER_PAIRS
from quoit.scenario.schema import NetworkFile


def targets_of(network: NetworkFile, kind: str) -> tuple[str, list[str]]:
    """What kind of thing is hit, and the names of those there are. `kind` as in `fate.Strike`."""
    links = [link.id for link in network.links]
    pair_links = [link.id for link in network.pair_links]
    if kind == "depolarise":
        return "pair link", pair_links
    if kind == "intercept":
        return "link", [link.id for link in network.links if link.protocol not in OVER_PAIRS] + pair_links
    if kind in ("tamper", "commission"):
        return "link", links
    return "span", [span.id for span in network.spans]


def without_light(network: NetworkFile, name: str) -> str | None:
    """Why a link cannot be intercepted, if it is one that has no light of its own."""
    if any(link.id == name and link.protocol in OVER_PAIRS for link in network.links):
        return f"{name} has no light of its own: attack a pair link that it goes over"
    return None
