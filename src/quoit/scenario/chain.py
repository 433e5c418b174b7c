"""The chain file: a path of nodes with published hardware and a demand, to compare compilers on (format version 1).

It is smaller than a network file and a different thing: nothing here is an element. `hardware` names a profile of
`engine.hardware`; what a profile does not say, or a better device would do, is given beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from quoit.engine.hardware import PROFILES
from quoit.engine.program import Hop
from quoit.fabric.programs.demand import Demand, Station
from quoit.model import quantity
from quoit.scenario import yamlfile
from quoit.scenario.chain_hardware import HopGiven, NodeGiven, hop_of, station_of
from quoit.scenario.check import Fault, NetworkFileFaults, did_you_mean, nearest, translate
from quoit.scenario.schema import Duration, Length, Name, Section
from quoit.scenario.yamlfile import Loc

Share = Annotated[float, Field(gt=0, le=1)]
Frequency = Annotated[float, BeforeValidator(quantity.parse_frequency_hz), Field(gt=0, examples=["7 Hz"])]


class ChainNode(Section):
    """A node. `memories`: on each side. `t1` is T2 where nobody says it. `gate`, `readout`: probabilities that they
    are right; `swap_success`: 1 for gates, up to 1/2 for linear optics."""

    name: Name
    hardware: str | None = None
    memories: Annotated[int, Field(ge=1, le=64)] = 1
    t1_ns: Duration | None = Field(default=None, alias="t1")
    t2_ns: Duration | None = Field(default=None, alias="t2")
    gate: Share | None = None
    readout: Share | None = None
    swap_success: Share = 1.0
    swap_time_ns: Duration = Field(default=0, alias="swap_time")


class ChainHop(Section):
    """A link. With `alpha`, the bright-state probability of single-click heralding, it is computed from the profile's
    devices over this fibre; else it is as measured, up to the length that was shown. `fidelity`, `rate` (pairs/s)
    override."""

    fibre_km: Length = Field(alias="fibre")
    hardware: str | None = None
    alpha: Annotated[float, Field(gt=0, lt=1)] | None = None
    fidelity: Annotated[float, Field(gt=0.25, le=1)] | None = None
    rate_hz: Frequency | None = Field(default=None, alias="rate")


class ChainFile(Section):
    """The whole file. `idle`: from a delivery to the next pair that is asked for alone. `limit`: simulated time after
    which a run ends, whatever has come."""

    chain: Literal[1]
    name: Name
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    hardware: str | None = None
    nodes: Annotated[list[ChainNode], Field(min_length=2)]
    hops: Annotated[list[ChainHop], Field(min_length=1)]
    floor: Annotated[float, Field(gt=0.25, le=1)]
    pairs: Annotated[int, Field(ge=1, le=10**6)] = 200
    deadline_ns: Duration | None = Field(default=None, alias="deadline")
    idle_ns: Duration | None = Field(default=None, alias="idle")
    limit_ns: Duration | None = Field(default=None, alias="limit")


def load(path: Path) -> ChainFile:
    """Read and check a file. Raises NetworkFileFaults with all faults, OSError."""
    return loads(path.read_text(encoding="utf-8"), str(path))


def loads(text: str, file: str = "<text>") -> ChainFile:
    """The same for a text."""
    chain, faults = _examine(text, file)
    if faults or chain is None:
        raise NetworkFileFaults(faults)
    return chain


def is_chain(path: Path) -> bool:
    """Does the file mean to be a chain file? Its first words are `chain: 1`, those of a network file `quoit: 1`."""
    try:
        values = yamlfile.read(path.read_text(encoding="utf-8")).values
    except (OSError, UnicodeDecodeError):
        return False
    return isinstance(values, dict) and "chain" in values and "quoit" not in values


def check(path: Path) -> list[Fault]:
    """All faults of a file, in order of their place; empty if it can be used."""
    return _examine(path.read_text(encoding="utf-8"), str(path))[1]


def demand_of(chain: ChainFile) -> Demand:
    """What the file asks for. The chain must have been checked."""
    stations = tuple(_station(chain, i) for i in range(len(chain.nodes)))
    links = tuple(_link(chain, i) for i in range(len(chain.hops)))
    return Demand(stations, links, chain.floor, chain.pairs, chain.deadline_ns)


def uniform(hops: int, floor: float | None = None) -> ChainFile:
    """A chain of alike hops for a first look: Boston's memories, links and gates somewhat better than published."""
    nodes = [{"name": f"n{i}", "memories": 4, "gate": 0.99, "readout": 0.998} for i in range(hops + 1)]
    links = [{"fibre": "25 km", "fidelity": 0.96, "rate": "50 Hz"}] * hops
    return ChainFile.model_validate(
        {
            "chain": 1, "name": f"chain-{hops}", "hardware": "siv-boston-2024", "nodes": nodes, "hops": links,
            "floor": 0.6 if floor is None else floor,
        }
    )  # fmt: skip


def _examine(text: str, file: str) -> tuple[ChainFile | None, list[Fault]]:
    document = yamlfile.read(text)
    faults = [Fault(file, place, loc, what) for place, loc, what in document.faults]
    if faults:
        return None, faults
    chain = None
    try:
        chain = ChainFile.model_validate(document.values)
    except ValidationError as found:
        faults = [translate(file, document, error, ChainFile) for error in found.errors()]
    if chain is not None:
        faults = [Fault(file, nearest(document.places, loc), loc, what) for loc, what in _cross_check(chain)]
    return chain, sorted(faults, key=lambda f: (f.place.line, f.place.column, f.text))


def _cross_check(chain: ChainFile) -> Iterator[tuple[Loc, str]]:
    if len(chain.nodes) != len(chain.hops) + 1:
        yield ("hops",), f"expected one hop less than nodes, found {len(chain.hops)} and {len(chain.nodes)} nodes"
    names = [node.name for node in chain.nodes]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield ("nodes", i), f"the name {name!r} is taken by an entry above; give this one another"
    if chain.hardware is not None and chain.hardware not in PROFILES:
        yield ("hardware",), f"no profile is called {chain.hardware!r}; {did_you_mean(chain.hardware, PROFILES)}"
        return
    for i, node in enumerate(chain.nodes):
        yield from _check_entry(("nodes", i), node.hardware, chain, partial(_station, chain, i))
    for i, hop in enumerate(chain.hops):
        yield from _check_entry(("hops", i), hop.hardware, chain, partial(_link, chain, i))


def _check_entry(loc: Loc, own: str | None, chain: ChainFile, made: Callable[[], object]) -> Iterator[tuple[Loc, str]]:
    if own is not None and own not in PROFILES:
        yield (*loc, "hardware"), f"no profile is called {own!r}; {did_you_mean(own, PROFILES)}"
    elif own is None and chain.hardware is None:
        yield loc, "expected a profile: give `hardware` here, or once for the whole file"
    else:
        try:
            made()
        except ValueError as fault:
            yield loc, str(fault)


def _station(chain: ChainFile, number: int) -> Station:
    node = chain.nodes[number]
    given = NodeGiven(
        node.name, node.hardware or chain.hardware or "", node.memories, node.t1_ns, node.t2_ns, node.gate,
        node.readout, node.swap_success, node.swap_time_ns,
    )  # fmt: skip
    return station_of(given)


def _link(chain: ChainFile, number: int) -> Hop:
    hop = chain.hops[number]
    given = HopGiven(hop.hardware or chain.hardware or "", hop.fibre_km, hop.alpha, hop.fidelity, hop.rate_hz)
    return hop_of(given)
