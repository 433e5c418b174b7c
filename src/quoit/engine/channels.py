"""What the world does to an entangled-pair link: loss takes pairs, an eavesdropper or a fault changes their state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from quoit.engine.program import Hop, State
from quoit.engine.world import World


@dataclass(frozen=True)
class PairLink:
    """What loss does to a link's attempts: genuine heralds fall by `photons` / 2 times the loss, in dB, that has come
    on top of `base_db`. Two photons of a coincidence cross the whole path together, one of two only half of it.
    `between`: its nodes, needed where attempts disturb what a node stores. `false`: share of the heralds at `base_db`
    that nothing lies behind; they stay as many, so the darker the path, the whiter the pairs. `at_loss`: success and
    eigenvalues by closed forms of the devices, which know of such heralds; then `photons` and `false` are not asked."""

    link: str
    base_db: float
    photons: int
    between: tuple[str, str] = ("", "")
    false: float = 0.0
    at_loss: Callable[[float], tuple[float, State]] | None = None


def nodes_along(left: str, links: Iterable[PairLink]) -> tuple[str, ...]:
    """Nodes of a path from `left` over these links in order."""
    nodes = [left]
    for link in links:
        a, b = link.between
        nodes.append(b if nodes[-1] == a else a)
    return tuple(nodes)


def heralded_at(link: PairLink, hop: Hop, loss_db: float) -> tuple[float, State]:
    """Success of an attempt and eigenvalues of its pair, if the whole path loses so much."""
    if link.at_loss is not None:
        return link.at_loss(loss_db)
    through = 10 ** (-(loss_db - link.base_db) * link.photons / 20)
    genuine = (1 - link.false) * through
    success = min(1.0, hop.success * (genuine + link.false))
    if not link.false:
        return success, hop.state
    x, y, z = hop.state
    share = through / (genuine + link.false)  # of genuine heralds, over what it was
    return success, (x * share, y * share, z * share)


def success_now(world: World, link: PairLink, hop: Hop) -> float:
    """Probability of an attempt, with the light that gets through now; 0 in the dark and during a calibration."""
    loss_db = world.loss_db(link.link)
    if loss_db is None or world.links[link.link].calibrating:
        return 0.0
    return heralded_at(link, hop, loss_db)[0]


def state_now(world: World, link: PairLink, hop: Hop, swapped_at: str = "") -> State:
    """Eigenvalues (x, y, z) of a pair that is heralded now.

    A photon that is measured in Z leaves only the correlator ZZ, one measured in X only XX: of the intercepted share
    half of either is left, and nothing of YY. White noise takes its share of all three, and so do drifted devices.

    `swapped_at`: the node that joins it to the next pair of its circuit. One whose results are made up leaves the ends
    with a correction chosen at random, which is white noise, of whichever of the two pairs it is counted.
    """
    true = world.links[link.link]
    clean = (1 - true.depolarised) * (1 - true.drift) * (1 - world.hijacked.get(swapped_at, 0.0))
    loss_db = world.loss_db(link.link)
    x, y, z = hop.state if loss_db is None else heralded_at(link, hop, loss_db)[1]
    met = 0.0 if true.spares_tests else true.intercepted
    half = clean * (1 - met / 2)
    return x * half, y * clean * (1 - met), z * half


def known_share(world: World, links: Iterable[str]) -> float:
    """Share of the key bits of pairs over these links that an eavesdropper knows who measures in a basis chosen at
    random, once bases are told; where she knows them beforehand, all that she measures."""
    missed = 1.0
    for name in links:
        true = world.links[name]
        missed *= 1 - (true.intercepted if true.spares_tests else true.intercepted / 2)
    return 1 - missed
