"""SDN agents of a network file's nodes: what is installed where (ETSI GS QKD 015)."""

from __future__ import annotations

from collections.abc import Mapping

from quoit.connectivity.inventory import Inventory
from quoit.fabric.agent import SdnAgent
from quoit.fabric.sdqkd.hardware import Hardware, Module
from quoit.scenario.schema import Link, NetworkFile

TECHNOLOGY: Mapping[str, str] = {"cv-gg02": "CV-QKD"}
"""By protocol; all others are DV-QKD, since the model has no word for entanglement-based or unknown systems."""
FIRST_CHANNEL_MHZ, CHANNEL_MHZ = 190_000_000, 100_000
"""Channel n of the 100 GHz grid of ITU-T G.694.1 is at 190 THz + n times 100 GHz: 193.4 THz is channel 34."""


def channel_of(centre_mhz: int) -> int | None:
    """The number of a WDM channel; None off the grid, or outside of the model's 1 to 9999."""
    number, off = divmod(centre_mhz - FIRST_CHANNEL_MHZ, CHANNEL_MHZ)
    return number if not off and 1 <= number <= 9999 else None


def sdqkd_agents(network: NetworkFile, inventory: Inventory) -> list[SdnAgent]:
    """One agent a node. Modules are numbered from 1 in the order of the file's links."""
    at: dict[str, list[Link]] = {node: [] for node in network.nodes}
    for link in network.links:
        for node in link.between:
            at[node].append(link)
    number = {(link.id, node): n for node, links in at.items() for n, link in enumerate(links, 1)}
    control = network.policies.control
    agents = []
    for node, links in at.items():
        modules = []
        for link in links:
            a, b = link.between
            far = b if node == a else a
            channel = inventory.channels.get(link.id)  # none if its key comes of entangled pairs
            modules.append(
                Module(
                    link.id,
                    number[link.id, node],
                    far,
                    number[link.id, far],
                    node == a,
                    f"quoit/{link.profile or link.protocol}",
                    TECHNOLOGY.get(link.protocol, "DV-QKD"),
                    link.id,
                    None if channel is None else inventory.loss_db(a, channel.spans),
                    None if channel is None else channel_of(channel.centre_mhz),
                )
            )
        hardware = Hardware(
            network.name,
            node,
            tuple(modules),
            tuple(network.nodes),
            network.epoch_unix_s,
            default_routes=control != "direct",
            unclaimed_routes=control == "external",
        )
        agents.append(SdnAgent(hardware, with_links=control == "direct"))
    return agents
