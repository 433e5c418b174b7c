"""Checking an attack file: all faults at once, those of its network among them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from pydantic import ValidationError

from quoit.connectivity.upkeep import TOO_STRONG, UNEXPECTED
from quoit.fabric.detection import Cause
from quoit.fabric.upkeep import AUTH_CAUSE, FORGED_ORDER, STRAYED
from quoit.scenario import yamlfile
from quoit.scenario.attacks.schema import AttackFile
from quoit.scenario.attacks.truth import HELD
from quoit.scenario.check import Fault, cross_check, did_you_mean, examine, in_order, nearest, translate
from quoit.scenario.schema import NetworkFile
from quoit.scenario.yamlfile import Document, Loc, Place

ALARMS = ("dark", AUTH_CAUSE, FORGED_ORDER, STRAYED, HELD)
CAUSES = (*map(str, Cause), *ALARMS, "loss of signal", "degraded", UNEXPECTED, TOO_STRONG)
"""What can be found: the fabric's causes and alarms, and alarms of the strata that bear on light."""
MANY_NODES = 50


class AttackFileFaults(ValueError):
    """An attack file that cannot be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


@dataclass(frozen=True)
class Play:
    """An attack file and the network that it is about: as it is when nobody attacks."""

    file: AttackFile
    clean: NetworkFile

    @property
    def attacked(self) -> NetworkFile:
        """The network with the attack's events."""
        return self.clean.model_copy(update={"events": [*self.clean.events, *self.file.events]})


def is_attack(path: Path) -> bool:
    """Whether a file calls itself an attack; False for one that cannot be read."""
    try:
        values = yamlfile.read(path.read_text(encoding="utf-8")).values
    except (OSError, UnicodeDecodeError):
        return False
    return isinstance(values, dict) and "attack" in values


def load(path: Path) -> Play:
    """Read and check a file. Raises `AttackFileFaults`, and OSError if it cannot be read."""
    play, faults = _examined(path, path.read_text(encoding="utf-8"))
    if faults or play is None:
        raise AttackFileFaults(faults)
    return play


def check(path: Path) -> list[Fault]:
    """All faults of a file, in order of their place; empty if it can be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        return [Fault(str(path), Place(1, 1), (), f"cannot be read: {fault}")]
    return _examined(path, text)[1]


def schema_text() -> str:
    """JSON Schema of the attack file, as it is committed."""
    schema = AttackFile.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def _examined(path: Path, text: str) -> tuple[Play | None, list[Fault]]:
    document = yamlfile.read(text)
    name = str(path)
    faults = [Fault(name, place, loc, what) for place, loc, what in document.faults]
    if faults:
        return None, in_order(faults)
    file: AttackFile | None = None
    try:
        file = AttackFile.model_validate(document.values)
    except ValidationError as found:
        faults = [translate(name, document, error, AttackFile) for error in found.errors()]
    network, more = _network(path, document)
    if file is not None and network is not None:
        play = Play(file, network)
        faults += [Fault(name, nearest(document.places, loc), loc, what) for loc, what in _cross(play)]
        if not faults and not more:
            return play, []
    return None, [*in_order(faults), *more]


def _network(path: Path, document: Document) -> tuple[NetworkFile | None, list[Fault]]:
    """The network, and its faults at their place: in its own file, or inside this one."""
    given = document.values.get("network") if isinstance(document.values, dict) else None
    if isinstance(given, dict):
        places = {loc[1:]: place for loc, place in document.places.items() if loc and loc[0] == "network"}
        network, faults = examine(Document(given, places, []), str(path))
        return network, [Fault(f.file, f.place, ("network", *f.loc), f.text) for f in faults]
    if not isinstance(given, str):
        return None, []  # told with the file's own faults
    where = path.parent / given
    try:
        text = where.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        place = nearest(document.places, ("network",))
        return None, [Fault(str(path), place, ("network",), f"{where} cannot be read: {fault}")]
    return examine(yamlfile.read(text), str(where))


def _cross(play: Play) -> Iterator[tuple[Loc, str]]:
    n, own = play.clean, len(play.clean.events)
    for loc, what in cross_check(play.attacked):
        if loc[0] == "events" and isinstance(loc[1], int) and loc[1] >= own:
            yield (loc[0], loc[1] - own, *loc[2:]), what
    known = [*(link.id for link in n.links), *(s.id for s in n.spans), *(c.name for c in n.plant.channels)]
    known += [f"{one}>{other}" for one, other in permutations(n.nodes, 2)] if len(n.nodes) <= MANY_NODES else []
    for i, node in enumerate(play.file.untrusted):
        if node not in n.nodes:
            yield ("untrusted", i), f"no node is called {node!r}; {did_you_mean(node, n.nodes)}"
    for i, one in enumerate(play.file.expect):
        if one.cause not in CAUSES:
            yield ("expect", i, "cause"), f"no cause is called {one.cause!r}; {did_you_mean(one.cause, CAUSES)}"
        if one.on not in known:
            yield ("expect", i, "object"), f"nothing is called {one.on!r}; {did_you_mean(one.on, known)}"
    for i, cause in enumerate(play.file.never):
        if cause not in CAUSES:
            yield ("never", i), f"no cause is called {cause!r}; {did_you_mean(cause, CAUSES)}"
