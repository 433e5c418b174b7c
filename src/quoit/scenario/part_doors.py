"""Which part of a twin that runs apart opens which door beside those of KMEs.

Any part answers for elements of all, so most doors could stand anywhere. Some may not: the optical network's keeps a
copy that no news may be missed for, agents are served where they are, and a node that joins has its KMEs' doors opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from quoit.runtime.element import Plane, Stratum
from quoit.scenario.parts import KMES, OPTICAL, Cell, Part, PartFault

MOST = 65535
MANAGEMENT_PORT, TAPI_PORT, AGENTS_PORT = "--management-port", "--tapi-port", "--agents"
ORCHESTRATION_PORT, JOIN_PORT = "--orchestration-port", "--join-port"
NEEDS: Mapping[str, frozenset[Cell]] = {
    TAPI_PORT: OPTICAL,
    AGENTS_PORT: frozenset({Cell(Stratum.FABRIC, Plane.CONTROL)}),
    JOIN_PORT: frozenset({KMES}),
}
"""What the part must hold that opens a door."""
ORCHESTRATOR = Cell(Stratum.SERVICE, Plane.MANAGEMENT)
"""Beside this one stands orchestration's door, if nobody says otherwise."""


@dataclass(frozen=True)
class Ports:
    """Of one process's doors, by their options. 0: any free one; None: no such door."""

    management: int | None = None
    tapi: int | None = None
    agents: int | None = None
    orchestration: int | None = None
    join: int | None = None

    @property
    def given(self) -> dict[str, int]:
        """The ports that there are, by their options."""
        named = ((OPTIONS[field.name], getattr(self, field.name)) for field in fields(self))
        return {option: port for option, port in named if port is not None}

    @property
    def arguments(self) -> list[str]:
        """As on the command line."""
        return [word for option, port in self.given.items() for word in (option, str(port))]


OPTIONS = {
    "management": MANAGEMENT_PORT,
    "tapi": TAPI_PORT,
    "agents": AGENTS_PORT,
    "orchestration": ORCHESTRATION_PORT,
    "join": JOIN_PORT,
}


def demand(part: Part, ports: Ports) -> None:
    """PartFault if a part is to open a door that cannot stand there."""
    for option in ports.given:
        lacking = sorted(map(str, NEEDS.get(option, frozenset()) - part.cells))
        if lacking:
            raise PartFault(
                f"{option}: this door opens in the part that holds {_listed(NEEDS[option])}, and part {part} lacks "
                f"{' and '.join(lacking)}; give the option to that part"
            )


def share_out(parts: Sequence[Part], ports: Ports) -> dict[Part, Ports]:
    """Each part's ports, where one command starts all: a door that needs cells in the part that holds them,
    orchestration's beside the orchestrator, and management's in every part, one port after the other in the order of
    parts, since each has meters of its own. PartFault if a door has no place."""
    shares = {part: Ports() for part in parts}
    if ports.management is not None:
        last = ports.management + len(parts) - 1
        if last > MOST:
            raise PartFault(
                f"{MANAGEMENT_PORT}: each of {len(parts)} parts has such a door, one port after the other; expected 0 "
                f"(any free ones) to {MOST - len(parts) + 1}, found {ports.management}"
            )
        for number, part in enumerate(parts):
            shares[part] = replace(shares[part], management=ports.management + number if ports.management else 0)
    for name, option in OPTIONS.items():
        port = getattr(ports, name)
        if port is None or option == MANAGEMENT_PORT:
            continue
        needed = NEEDS.get(option, frozenset({ORCHESTRATOR}))
        holder = next((part for part in parts if part.cells >= needed), None)
        if holder is None:
            raise PartFault(f"{option}: this door needs {_listed(needed)} in one part; with --by stratum there is one")
        shares[holder] = replace(shares[holder], **{name: port})
    return shares


def _listed(cells: frozenset[Cell]) -> str:
    return " and ".join(sorted(map(str, cells)))
