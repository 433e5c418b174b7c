"""Checking a network file: all its faults at once, each with its place and how to mend it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from quoit.engine.hardware import PROFILES
from quoit.fabric.links.bb84 import NO_DECOYS
from quoit.fabric.links.profile import BUILT_IN, OVER_PAIRS, PROTOCOL_OF, with_overrides
from quoit.fabric.programs.demand import GROUP
from quoit.model.problem import Problem
from quoit.model.urn import Urn
from quoit.scenario import yamlfile
from quoit.scenario.coordination import check_coordination
from quoit.scenario.energy import check_powers
from quoit.scenario.entanglement import EntanglementSide, herald_protocols, hop_of, memory_plan, span_finder
from quoit.scenario.light_check import check_light
from quoit.scenario.loop_check import check_loops
from quoit.scenario.pair_keys import PairKeys, structure_faults
from quoit.scenario.schema import MANNERS, Attack, Intrusion, Memories, NetworkFile
from quoit.scenario.targets import targets_of, without_light
from quoit.scenario.thresholds import check_thresholds
from quoit.scenario.yamlfile import Loc, Place
from quoit.service.states import STAGES


@dataclass(frozen=True)
class Fault:
    """One fault: where, and what to do about it."""

    file: str
    place: Place
    loc: Loc
    text: str

    def __str__(self) -> str:
        path = ".".join(str(part) for part in self.loc) or "(whole file)"
        return f"{self.file}:{self.place.line}:{self.place.column}: {path}: {self.text}"


class NetworkFileFaults(ValueError):
    """A network file that cannot be used; `faults` lists everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest known word, or the list of them if it is short."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(names[:12])}" + (", ..." if len(names) > 12 else "") if names else "none is defined"


def load(path: Path) -> NetworkFile:
    """Read and check a file. Raises `NetworkFileFaults`."""
    return loads(path.read_text(encoding="utf-8"), str(path))


def loads(text: str, file: str = "<text>") -> NetworkFile:
    """The same for a text."""
    network, faults = _examine(text, file)
    if faults or network is None:
        raise NetworkFileFaults(faults)
    return network


def check(path: Path) -> list[Fault]:
    """All faults of a file, in order of their place; empty if it can be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        return [Fault(str(path), Place(1, 1), (), f"cannot be read: {fault}")]
    return _examine(text, str(path))[1]


def json_schema() -> dict[str, Any]:
    """JSON Schema of the network file, for editors."""
    schema = NetworkFile.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"


def _examine(text: str, file: str) -> tuple[NetworkFile | None, list[Fault]]:
    return examine(yamlfile.read(text), file)


def examine(document: yamlfile.Document, file: str) -> tuple[NetworkFile | None, list[Fault]]:
    """The network that a document describes, if it has no faults, and its faults in order of their place."""
    faults = [Fault(file, place, loc, what) for place, loc, what in document.faults]
    if faults:
        return None, faults
    try:
        network = NetworkFile.model_validate(document.values)
    except ValidationError as found:
        faults = [translate(file, document, error) for error in found.errors()]
        faults += _further_faults(file, document, [tuple(e["loc"]) for e in found.errors()])
        return None, in_order(faults)
    where = document.places
    for loc, what in cross_check(network):
        faults.append(Fault(file, nearest(where, loc), loc, what))
    return network, in_order(faults)


SECTION_OF = {
    "span": "spans",
    "fibre": "spans",
    "path through air": "spans",
    "channel": "plant",
    "link": "links",
    "pair link": "pair_links",
    "node": "nodes",
    "KME": "kmes",
    "application": "applications",
    "profile": "profiles",
    "domain": "domains",
}


def _further_faults(file: str, document: yamlfile.Document, broken: list[Loc]) -> list[Fault]:
    """Faults of the entries that are whole, as if the broken ones were not there. What may only follow from
    their absence is left out."""
    if not isinstance(document.values, dict):
        return []
    values: dict[str, Any] = dict(document.values)
    kept: dict[str, list[int]] = {}
    for section in {str(loc[0]) for loc in broken if loc}:
        bad = {loc[1] for loc in broken if len(loc) > 1 and loc[0] == section}
        entries = values.get(section)
        if isinstance(entries, list):
            kept[section] = [i for i in range(len(entries)) if i not in bad]
            values[section] = [entries[i] for i in kept[section]]
        elif isinstance(entries, dict):
            kept[section] = []
            values[section] = {name: entry for name, entry in entries.items() if name not in bad}
        else:
            values.pop(section, None)
    values.setdefault("name", "unnamed")
    try:
        network = NetworkFile.model_validate(values)
    except ValidationError:
        return []
    found = []
    for loc, what in _structure(network):
        if _may_follow(what, kept):
            continue
        if len(loc) > 1 and kept.get(str(loc[0])) and isinstance(loc[1], int):
            loc = (loc[0], kept[str(loc[0])][loc[1]], *loc[2:])
        found.append(Fault(file, nearest(document.places, loc), loc, what))
    return found


def _may_follow(text: str, kept: dict[str, list[int]]) -> bool:
    """Whether a fault may be due to an entry that was left out."""
    if text.startswith("no span joins"):
        return "spans" in kept
    return any(text.startswith(f"no {what} is called") and section in kept for what, section in SECTION_OF.items())


def in_order(faults: list[Fault]) -> list[Fault]:
    """By line, column and text."""
    return sorted(faults, key=lambda f: (f.place.line, f.place.column, f.text))


def nearest(places: dict[Loc, Place], loc: Loc) -> Place:
    """Where a value stands, or what it would be part of."""
    while loc and loc not in places:
        loc = loc[:-1]
    return places.get(loc, Place(1, 1))


def translate(file: str, document: yamlfile.Document, error: Any, model: type[BaseModel] = NetworkFile) -> Fault:
    """A fault that pydantic found in a document of this model, in our words."""
    loc: Loc = tuple(error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    kind = error["type"]
    if kind == "extra_forbidden":
        place = document.places.get((*loc, "<key>"), nearest(document.places, loc))
        return Fault(file, place, loc, f"unknown key {loc[-1]!r}; {did_you_mean(str(loc[-1]), _siblings(loc, model))}")
    if kind == "missing":
        return Fault(file, nearest(document.places, loc), loc, f"the key {loc[-1]!r} is missing; add it")
    found = error.get("input")
    shown = "" if "found" in message else f", found {str(found)[:60]!r}"
    text = message[0].lower() + message[1:]
    return Fault(file, nearest(document.places, loc), loc, text + shown)


def _siblings(loc: Loc, model: Any) -> list[str]:
    """Keys that may stand where an unknown one was found."""
    for part in loc[:-1]:
        if isinstance(part, int) or model is None:
            continue
        model = _child(model, part)
    if model is None or not hasattr(model, "model_fields"):
        return []
    return [f.alias or name for name, f in model.model_fields.items()]


def _child(model: Any, part: str) -> Any:
    fields = getattr(model, "model_fields", {})
    for name, spec in fields.items():
        if part in (name, spec.alias):
            return _inner_model(spec.annotation)
    return model  # a key of a mapping: the model is the mapping's value


def _inner_model(annotation: Any) -> Any:
    if hasattr(annotation, "model_fields"):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None


# -- what a schema cannot see ----------------------------------------------------------------------------


def cross_check(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    """Faults that only two parts of a network together have."""
    found = [*_structure(n)]
    yield from found
    if not found:  # a path over pair links can be judged when all of it is there
        side = EntanglementSide(n, span_finder(n), n.seed)
        yield from PairKeys(n, side).faults()


def _structure(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    yield from _check_names(n)
    yield from _check_places(n)
    yield from _check_links(n)
    yield from structure_faults(n)
    yield from _check_memories(n)
    yield from _check_pair_links(n)
    yield from _check_service(n)
    yield from _check_events(n)
    yield from check_light(n, _unknown)
    yield from check_loops(n, _unknown)
    yield from check_coordination(n)
    yield from check_thresholds(n, _unknown)
    yield from check_powers(n, _unknown)
    yield from _check_joining(n)


def _check_joining(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    """Nodes that come with a token begin with nothing, and where control is, somebody must be from the start."""
    if next(iter(n.nodes), None) in n.joining:
        yield (
            ("nodes", next(iter(n.nodes)), "joins"),
            "the first node holds control: let another one join",
        )
    for name in sorted(n.joining):
        if n.policies.control == "external":
            yield (
                ("nodes", name, "joins"),
                "controllers from outside know their nodes from their start; leave out joins, or 'control: external'",
            )
        if n.nodes[name].memories is not None:
            yield ("nodes", name, "joins"), "nodes with memories are there from the start; leave out joins, or memories"
    for i, link in enumerate(n.links):
        if link.initial_pool_bits and not n.joining.isdisjoint(link.between):
            yield ("links", i, "initial_pool"), "a link to a node that joins later has no key yet; leave it out"
    domains = {d.name for d in n.all_domains()} - {n.domain_of(node) for node in n.nodes if node not in n.joining}
    for name in sorted(node for node in n.joining if n.domain_of(node) in domains):
        yield ("nodes", name, "joins"), "its domain has no node that is there from the start to hold its control"


def _unknown(loc: Loc, what: str, name: str, known: Iterable[str]) -> Iterator[tuple[Loc, str]]:
    names = list(known)
    if name not in names:
        yield loc, f"no {what} is called {name!r}; {did_you_mean(name, names)}"


def _twice(section: str, names: list[str]) -> Iterator[tuple[Loc, str]]:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            yield (section, i), f"the name {name!r} is taken by an entry above; give this one another"
        seen.add(name)


def _check_names(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    yield from _twice("spans", [s.id for s in n.spans])
    yield from _twice("links", [link.id for link in n.links])
    yield from _twice("pair_links", [link.id for link in n.pair_links])
    taken = {link.id for link in n.links}
    for i, pair_link in enumerate(n.pair_links):
        if pair_link.id in taken:
            yield ("pair_links", i), f"the name {pair_link.id!r} is taken by one of links; give one of them another"
    yield from _twice("kmes", [k.id for k in n.all_kmes()])
    yield from _twice("applications", [a.sae for a in n.applications])
    yield from _twice("domains", [d.name for d in n.domains])


def _check_places(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    domains = [d.name for d in n.all_domains()]
    for i, domain in enumerate(n.domains):
        yield from _check_urn(("domains", i, "prefix"), domain.prefix)
    for name, node in n.nodes.items():
        if node.domain is not None:
            yield from _unknown(("nodes", name, "domain"), "domain", node.domain, domains)
    pairs = (
        ("spans", [s.between for s in n.spans]),
        ("links", [link.between for link in n.links]),
        ("pair_links", [link.between for link in n.pair_links]),
    )
    for section, entries in pairs:
        for i, between in enumerate(entries):
            for end in (0, 1):
                yield from _unknown((section, i, "between", end), "node", between[end], n.nodes)
            if between[0] == between[1]:
                yield (section, i, "between"), "both ends are the same node"


def _check_urn(loc: Loc, text: str) -> Iterator[tuple[Loc, str]]:
    try:
        Urn.parse(text)
    except Problem as problem:
        yield loc, problem.detail


def _check_links(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    spans = {s.id for s in n.spans}
    ends = {frozenset(s.between) for s in n.spans}
    detectors = [e.name for e in entry_points(group="quoit.detectors")]
    for i, name in enumerate(n.policies.detectors):
        yield from _unknown(("policies", "detectors", i), "detector", name, detectors)
    for name, body in n.profiles.items():
        yield from _check_profile(n, name, body)
    protocols = set(PROTOCOL_OF.values())
    for i, link in enumerate(n.links):
        yield from _unknown(("links", i, "protocol"), "protocol", link.protocol, protocols)
        if link.profile is not None:
            yield from _unknown(("links", i, "profile"), "profile", link.profile, [*BUILT_IN, *n.profiles])
        for k, span in enumerate(link.spans or []):
            yield from _unknown(("links", i, "spans", k), "span", span, spans)
        for k, name in enumerate(link.over or []):
            yield from _unknown(("links", i, "over", k), "pair link", name, [p.id for p in n.pair_links])
        own_fibre = link.protocol not in OVER_PAIRS
        if own_fibre and link.spans is None and frozenset(link.between) not in ends:
            yield ("links", i, "between"), "no span joins these nodes; add one, or list the link's spans"
        if (link.mode or n.mode) == "exact" and link.protocol != "bb84-decoy":
            where = ("links", i, "mode" if link.mode else "protocol")
            yield where, f"mode exact is for protocol bb84-decoy, found {link.protocol!r}; give this link mode: counts"
        if (link.mode or n.mode) == "exact" and _proof_of(n, link.profile) == NO_DECOYS:
            where = ("links", i, "mode" if link.mode else "profile")
            yield where, f"finite_key_proof {NO_DECOYS} is for mode counts; give this link mode: counts"
        if link.rate_bps is not None and link.protocol != "rated":
            yield ("links", i, "rate"), f"a rate is given only to a rated link, found protocol {link.protocol!r}"


def _proof_of(n: NetworkFile, profile: str | None) -> object:
    return n.profiles.get(profile or "", {}).get("finite_key_proof")


def _check_memories(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    for name, node in n.nodes.items():
        if node.memories is None:
            continue
        at = ("nodes", name, "memories")
        if node.memories.hardware is not None:
            yield from _unknown((*at, "hardware"), "hardware", node.memories.hardware, PROFILES)
        if node.memories.hardware is None or node.memories.hardware in PROFILES:
            try:
                memory_plan(node.memories)
            except ValueError as fault:
                yield at, str(fault)
        if (node.memories.t2_ns or 0) > 2 * (node.memories.t1_ns or 2**62):
            yield (*at, "t2"), "expected at most twice t1"
        yield from _check_programs(n, name, node.memories, at)


def _check_programs(n: NetworkFile, name: str, memories: Memories, at: Loc) -> Iterator[tuple[Loc, str]]:
    if memories.programs >= memories.number:
        most = memories.number - 1
        yield (*at, "programs"), f"expected at most {most}: one memory is left for halves that are measured at once"
    stage = next((d.stage for d in n.all_domains() if d.name == n.domain_of(name)), STAGES["keep"])
    if memories.programs and stage < STAGES["keep"]:
        yield (*at, "programs"), f"programs keep qubits: expected a domain of stage {STAGES['keep']}, found {stage}"


def _check_pair_links(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    spans = {s.id: s for s in n.spans}
    ends = {frozenset(s.between): s for s in n.spans}
    compilers = [e.name for e in entry_points(group=GROUP)]
    yield from _unknown(("policies", "pair_compiler"), "compiler", n.policies.pair_compiler, compilers)
    protocols = herald_protocols()
    for i, link in enumerate(n.pair_links):
        for k, span in enumerate(link.spans or []):
            yield from _unknown(("pair_links", i, "spans", k), "span", span, spans)
        if link.spans is None and frozenset(link.between) not in ends:
            yield ("pair_links", i, "between"), "no span joins these nodes; add one, or list the link's spans"
        for end, name in enumerate(link.between):
            if name in n.nodes and n.nodes[name].memories is None:
                yield ("pair_links", i, "between", end), f"node {name!r} has no memories to hold a pair; add some to it"
        if link.scheme not in protocols:
            yield from _unknown(("pair_links", i, "scheme"), "link protocol", link.scheme, protocols)
        elif link.hardware is not None and link.hardware not in PROFILES:
            yield from _unknown(("pair_links", i, "hardware"), "hardware", link.hardware, PROFILES)
        else:
            path = [spans.get(name) for name in link.spans] if link.spans else [ends.get(frozenset(link.between))]
            known = [span for span in path if span is not None]
            try:
                hop_of(link, sum(span.length_km for span in known), sum(span.loss_db for span in known))
            except ValueError as fault:
                yield ("pair_links", i), str(fault)


def _check_profile(n: NetworkFile, name: str, body: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    base = body.get("base")
    if not isinstance(base, str) or base not in BUILT_IN:
        yield ("profiles", name, "base"), f"no built-in profile {base!r}; {did_you_mean(str(base), BUILT_IN)}"
        return
    try:
        with_overrides(BUILT_IN[base], {k: v for k, v in body.items() if k != "base"})
    except ValueError as fault:
        yield ("profiles", name), str(fault)


def _check_service(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    kmes = {k.id: k.node for k in n.all_kmes()}
    saes = [a.sae for a in n.applications]
    for i, kme in enumerate(n.kmes or []):
        yield from _unknown(("kmes", i, "node"), "node", kme.node, n.nodes)
    for i, app in enumerate(n.applications):
        yield from _unknown(("applications", i, "kme"), "KME", app.kme, kmes)
        if app.urn is not None:
            yield from _check_urn(("applications", i, "urn"), app.urn)
        for k, peer in enumerate(app.allow if isinstance(app.allow, list) else []):
            yield from _unknown(("applications", i, "allow", k), "application", peer, saes)


def _check_events(n: NetworkFile) -> Iterator[tuple[Loc, str]]:
    spans = [s.id for s in n.spans]
    links = [link.id for link in n.links]
    saes = [a.sae for a in n.applications]
    for i, event in enumerate(n.events):
        if event.cut is not None:
            yield from _unknown(("events", i, "cut"), "span", event.cut, spans)
        if event.bend is not None:
            yield from _unknown(("events", i, "bend", "span"), "span", event.bend.span, spans)
        if event.tap is not None:
            yield from _unknown(("events", i, "tap", "span"), "span", event.tap.span, spans)
        if event.attack is not None:
            yield from _check_target(n, i, event.attack)
        if event.hijack is not None:
            swapping = [name for name, node in n.nodes.items() if node.memories is not None]
            yield from _unknown(("events", i, "hijack", "node"), "node with memories", event.hijack.node, swapping)
        if event.control is not None:
            yield from _check_intrusion(n, i, event.control)
        if event.rate is not None:
            yield from _unknown(("events", i, "rate", "link"), "link", event.rate.link, links)
        if event.load is not None:
            for key, sae in (("from", event.load.source), ("to", event.load.to)):
                yield from _unknown(("events", i, "load", key), "application", sae, saes)


STRIKE_OF = {
    "intercept-resend": "intercept",
    "photon-number-splitting": "split",
    "blinding": "blind",
    "depolarise": "depolarise",
    "tamper-messages": "tamper",
    **dict.fromkeys(MANNERS, "falsify-sender"),
}
"""Attacks of a file, and what `fate.STRIKES` calls what has the same targets."""


def _check_intrusion(n: NetworkFile, i: int, control: Intrusion) -> Iterator[tuple[Loc, str]]:
    at: Loc = ("events", i, "control")
    if control.link is not None:
        yield from _unknown((*at, "link"), "link", control.link, [link.id for link in n.links])
    if control.node is not None:
        yield from _unknown((*at, "node"), "node", control.node, n.nodes)
    way = control.via or []
    if way and n.policies.control != "direct":
        yield at, "reroute-keys is played against relays that control reaches itself: expected 'control: direct'"
    joined = {frozenset(link.between) for link in n.links}
    for k, node in enumerate(way):
        yield from _unknown((*at, "via", k), "node", node, n.nodes)
        if k and {node, way[k - 1]} <= n.nodes.keys() and frozenset((node, way[k - 1])) not in joined:
            yield (*at, "via", k), f"no link joins {way[k - 1]} and {node}"


def _check_target(n: NetworkFile, i: int, attack: Attack) -> Iterator[tuple[Loc, str]]:
    at = ("events", i, "attack", "link")
    kind = STRIKE_OF[attack.kind]
    why = without_light(n, kind, attack.link)
    if why is not None:
        yield at, why
    else:
        what, known = targets_of(n, kind)
        yield from _unknown(at, what, attack.link, known)
    if attack.tests == "known" and all(link.id != attack.link for link in n.pair_links):
        yield ("events", i, "attack", "tests"), "known beforehand are tests of pairs: expected the name of a pair link"
