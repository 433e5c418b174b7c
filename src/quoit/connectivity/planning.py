"""The plant as path computation wants it: sites, fibres, and a state of spectrum and noise from the inventory (E3, E4).

Named approximations: noise is that of planned powers and losses of commissioning; a channel's leak is counted on every
fibre that it shares, filtered once, which is more than will be there; spans that carry light at times only are left
out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quoit.connectivity.api import QUANTUM
from quoit.connectivity.inventory import Inventory, slot_of
from quoit.connectivity.pce import Fibre, Site
from quoit.engine.physics.fibre import delay_s
from quoit.engine.physics.path_noise import Fibre as Glass
from quoit.engine.physics.path_noise import Guest, Segment, path_noise
from quoit.model.spectrum import Slot


@dataclass(frozen=True)
class Grid:
    """Channels by number: number 0 is centred at `first_mhz`, the others `step_mhz` apart."""

    first_mhz: int = 191_350_000
    step_mhz: int = 100_000
    size: int = 48

    def centre_mhz(self, channel: int) -> int:
        return self.first_mhz + channel * self.step_mhz


@dataclass(frozen=True)
class PlannedLight:
    """What a demand would light. `kind`: of the channel whose guards are kept; `companion_dbm`: launch power of a
    companion, at both ends of every fibre (worst case)."""

    kind: str = QUANTUM
    width_mhz: int = 25_000
    isolation_db: float = 100.0
    companion_width_mhz: int = 50_000
    companion_dbm: float = 0.0


def sites_of(inventory: Inventory) -> list[Site]:
    """All nodes. A demand's own ends lose their insertion, too: `Inventory.loss_db` has it, a computed path has not."""
    return [Site(row.node, row.insertion_db, row.node in inventory.switches) for row in inventory.node_rows()]


def fibres_of(inventory: Inventory) -> list[Fibre]:
    """All spans that always carry light."""
    return [
        Fibre(
            span.name,
            span.a,
            span.b,
            span.loss_db,
            round(delay_s(span.length_km) * 1e9),
            frozenset(span.risks),
            span.amplified,
        )
        for span in inventory.spans.values()
        if not span.windows
    ]


class PlannedState:
    """The port `PlantState`, by an inventory as it is when this is made: make a new one when a channel changes."""

    def __init__(
        self,
        inventory: Inventory,
        grid: Grid | None = None,
        light: PlannedLight | None = None,
        dark: Iterable[str] = (),
        only: Iterable[int] | None = None,
    ) -> None:
        """`only`: the channels that will be asked for, if not all of the grid."""
        self._inventory = inventory
        self._grid = grid or Grid()
        self._light = light or PlannedLight()
        self._dark = frozenset(dark)
        self._only = tuple(range(self._grid.size) if only is None else only)
        self._free: dict[str, int] = {}
        self._noise: dict[tuple[str, str, int, int | None], float] = {}
        self._guests: dict[tuple[str, str], list[tuple[Slot, float, float]]] = {}
        for channel in inventory.channels.values():
            for span, leaves_at, in_dbm, out_dbm in inventory.planned(channel):
                self._guests.setdefault((span, leaves_at), []).append((slot_of(channel), in_dbm, out_dbm))

    @property
    def dark(self) -> frozenset[str]:
        return self._dark

    def free(self, fibre: str, towards: str) -> int:
        """Both directions of a fibre share its spectrum."""
        if fibre not in self._free:
            taken = [
                (slot_of(channel), self._inventory.guards.between(self._light.kind, channel.kind))
                for _, channel in self._inventory.taken((fibre,))
            ]
            mask = 0
            for channel in self._only:
                slot = Slot(self._grid.centre_mhz(channel), self._light.width_mhz)
                if not any(slot.overlaps(other, guard) for other, guard in taken):
                    mask |= 1 << channel
            self._free[fibre] = mask
        return self._free[fibre]

    def noise_cps(self, fibre: str, towards: str, channel: int, companion: int | None) -> float:
        key = (fibre, towards, channel, companion)
        if key not in self._noise:
            self._noise[key] = self._noise_of(fibre, towards, channel, companion)
        return self._noise[key]

    def _noise_of(self, fibre: str, towards: str, channel: int, companion: int | None) -> float:
        span, light = self._inventory.spans[fibre], self._light
        guests = [
            Guest(slot, in_dbm, out_dbm, end == towards, parts=True)
            for end in (span.a, span.b)
            for slot, in_dbm, out_dbm in self._guests.get((fibre, end), ())
        ]
        if companion is not None:
            slot = Slot(self._grid.centre_mhz(companion), light.companion_width_mhz)
            power = light.companion_dbm
            guests += [Guest(slot, power, power - span.loss_db, along, parts=True) for along in (True, False)]
        segment = Segment(Glass(span.length_km, span.loss_db), guests, 1.0, last=True)
        slot = Slot(self._grid.centre_mhz(channel), light.width_mhz)
        return path_noise(slot, light.isolation_db, (segment,)).total_hz
