"""A network from a sweep: run in virtual time, and the figures that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from quoit.adapters.exporters.report import Recorder
from quoit.adapters.stores.memory import MemoryStore
from quoit.fabric.api import METERS, GetLinks, Links
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.schema import NetworkFile

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "secret_bps": "secret bits of all blocks made, per simulated second; what is under way at the end counts not",
        "qber": "mean error rate of all blocks",
        "keys_opened": "keys that applications opened",
        "keys_taken": "keys that their peers took",
        "requests_refused": "requests for keys that were refused",
        "blocks_made": "with secret bits",
        "blocks_failed": "without",
    }
)
OF_A_LINK: Mapping[str, str] = MappingProxyType(
    {
        "secret_bps": "as above, of this link",
        "qber": "as above, of this link",
        "pool_bits": "in its pool at the end",
        "blocks": "that were judged",
        "failed_blocks": "of them without secret bits",
    }
)
DEFAULT_FIGURES = ("secret_bps", "qber", "keys_opened", "keys_taken", "requests_refused")


def figure_names(network: NetworkFile) -> list[str]:
    """All figures of a run of this network; those of a link as `links.NAME.figure`."""
    return [*FIGURES, *(f"links.{link.id}.{figure}" for link in network.links for figure in OF_A_LINK)]


def run(network: NetworkFile, until_ns: int, seed: int) -> dict[str, float | int | None]:
    """All figures of one run; None for an error rate that nothing told."""
    twin = assemble(network, Parts(lambda kme: MemoryStore(), seed))
    recorder = Recorder()
    twin.kernel.sinks.append(recorder)
    world = VirtualWorld(twin.kernel)
    world.begin()
    world.run_until(until_ns)
    links: Links = world.ask(METERS, GetLinks())
    summary = recorder.summary(links)
    found: dict[str, float | int | None] = {name: summary[name] for name in FIGURES if name in summary}
    found |= _of_blocks("", recorder.blocks, until_ns)
    for row in links.rows:
        own = [block for block in recorder.blocks if block[1] == row.link]
        found |= _of_blocks(f"links.{row.link}.", own, until_ns)
        for name in ("pool_bits", "blocks", "failed_blocks"):
            found[f"links.{row.link}.{name}"] = getattr(row, name)
    return found


def _of_blocks(prefix: str, blocks: list[Any], until_ns: int) -> dict[str, float | int | None]:
    bits = sum(block[3] for block in blocks)
    qber = sum(block[4] for block in blocks) / len(blocks) if blocks else None
    return {f"{prefix}secret_bps": bits / (until_ns / 1e9), f"{prefix}qber": qber}
