"""What the world does to an entangled-pair link: loss takes pairs, an eavesdropper or a fault changes their state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quoit.engine.program import Hop, State
from quoit.engine.world import World


@dataclass(frozen=True)
class PairLink:
    """What loss does to a link's attempts: success falls by `photons` / 2 times the loss, in dB, that has come on
    top of `base_db`. Two photons of a coincidence cross the whole path together, one of two only half of it.
    `between`: its nodes, needed where attempts disturb what a node stores."""

    link: str
    base_db: float
    photons: int
    between: tuple[str, str] = ("", "")


def nodes_along(left: str, links: Iterable[PairLink]) -> tuple[str, ...]:
    """Nodes of a path from `left` over these links in order."""
    nodes = [left]
    for link in links:
        a, b = link.between
        nodes.append(b if nodes[-1] == a else a)
    return tuple(nodes)


def success_now(world: World, link: PairLink, hop: Hop) -> float:
    """Probability of an attempt, with the light that gets through now; 0 in the dark."""
    loss_db = world.loss_db(link.link)
    if loss_db is None:
        return 0.0
    return min(1.0, hop.success * 10 ** (-(loss_db - link.base_db) * link.photons / 20))


def state_now(world: World, link: PairLink, hop: Hop) -> State:
    """Eigenvalues (x, y, z) of a pair that is heralded now.

    A photon that is measured in Z leaves only the correlator ZZ, one measured in X only XX: of the intercepted share
    half of either is left, and nothing of YY. White noise takes its share of all three.
    """
    true = world.links[link.link]
    clean = 1 - true.depolarised
    x, y, z = hop.state
    half = clean * (1 - true.intercepted / 2)
    return x * half, y * clean * (1 - true.intercepted), z * half
