"""What a schema cannot see of a network file's optical plant: paths that do not hang together, spectrum taken twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import entry_points
from itertools import combinations

from quoit.connectivity.api import CLASSICAL, QUANTUM
from quoit.connectivity.inventory import Guards
from quoit.fabric.links.profile import OVER_PAIRS
from quoit.model.spectrum import Slot
from quoit.scenario import schema
from quoit.scenario.yamlfile import Loc

Found = Iterator[tuple[Loc, str]]
Unknown = Callable[[Loc, str, str, Iterable[str]], Found]
"""A fault with a hint, if a name is none of those known."""


def check_light(n: schema.NetworkFile, unknown: Unknown) -> Found:
    """All faults of spans, switches, channels and their spectrum."""
    yield from _check_air(n)
    yield from _check_paths(n)
    yield from _check_amplifiers(n)
    yield from _check_switches(n, unknown)
    yield from _check_channels(n, unknown)
    yield from _check_links(n)
    yield from _check_slots(n)
    yield from _check_events(n, unknown)
    yield from _check_services(n, unknown)
    yield from _check_works(n, unknown)
    yield from _check_on_demand(n)


def _spans(n: schema.NetworkFile) -> dict[str, schema.Span]:
    return {span.id: span for span in n.spans}


def _check_air(n: schema.NetworkFile) -> Found:
    for i, span in enumerate(n.spans):
        if span.air is None or span.air.sky.day is None:
            continue
        ends = [n.nodes[name] for name in span.between if name in n.nodes]
        if not any(node.lat is not None and node.lon is not None for node in ends):
            yield ("spans", i, "air", "sky", "day"), "day and night need a place: give an end of the span lat and lon"


def _broken(spans: dict[str, schema.Span], source: str, path: Iterable[str], to: str | None) -> str | None:
    """What is wrong with a path of known spans; None if it leads from node to node."""
    at, seen = source, set()
    for name in path:
        if name not in spans:
            return None  # told elsewhere
        if name in seen:
            return f"expected each span once, found {name!r} again"
        seen.add(name)
        a, b = spans[name].between
        if at not in (a, b):
            return f"expected a span from {at!r} next, found {name!r}, which joins {a!r} and {b!r}"
        at = b if at == a else a
    return None if to is None or at == to else f"expected spans that lead to {to!r}, found them to end at {at!r}"


def _check_paths(n: schema.NetworkFile) -> Found:
    spans = _spans(n)
    pinned = [("links", i, link.between, link.spans) for i, link in enumerate(n.links)]
    pinned += [("pair_links", i, link.between, link.spans) for i, link in enumerate(n.pair_links)]
    for section, i, between, path in pinned:
        if path is not None and set(between) <= set(n.nodes):
            what = _broken(spans, between[0], path, between[1])
            if what is not None:
                yield (section, i, "spans"), what


def _check_amplifiers(n: schema.NetworkFile) -> Found:
    """Quantum light survives no amplifier."""
    amplified = {span.id for span in n.spans if span.amplified}
    for i, span in enumerate(n.spans):
        if span.amplified and span.air is not None:
            yield ("spans", i, "amplified"), "a path through air has no amplifier; leave it out"
    for i, link in enumerate(n.links):
        if link.protocol not in OVER_PAIRS and set(link.between) <= set(n.nodes):
            for span_id in amplified.intersection(_path_of(n, link)):
                yield ("links", i), f"its path has an amplifier on span {span_id!r}; give it spans without"
    for i, pair_link in enumerate(n.pair_links):
        for span_id in amplified.intersection(_path_of(n, pair_link)):
            yield ("pair_links", i), f"its path has an amplifier on span {span_id!r}; give it spans without"


def _check_switches(n: schema.NetworkFile, unknown: Unknown) -> Found:
    seen: set[str] = set()
    for i, switch in enumerate(n.plant.switches):
        yield from unknown(("plant", "switches", i, "node"), "node", switch.node, n.nodes)
        if switch.node in seen:
            yield ("plant", "switches", i, "node"), f"node {switch.node!r} has a switch already; give it one entry"
        seen.add(switch.node)


def _check_channels(n: schema.NetworkFile, unknown: Unknown) -> Found:
    spans = _spans(n)
    taken = {link.id for link in n.links} | {link.id for link in n.pair_links}
    for i, channel in enumerate(n.plant.channels):
        at = ("plant", "channels", i)
        if channel.name in taken:
            yield (*at, "name"), f"the name {channel.name!r} is taken by a link or a channel; give this one another"
        taken.add(channel.name)
        yield from unknown((*at, "from"), "node", channel.source, n.nodes)
        for k, span in enumerate(channel.spans):
            yield from unknown((*at, "spans", k), "span", span, spans)
            if span in spans and spans[span].air is not None:
                yield (*at, "spans", k), f"classical channels are modelled in fibre only, and {span!r} is air"
        if channel.source in n.nodes:
            what = _broken(spans, channel.source, channel.spans, None)
            if what is not None:
                yield (*at, "spans"), what


def _path_of(n: schema.NetworkFile, link: schema.Link | schema.PairLink) -> list[str]:
    """As the assembly will have it: the spans given, or the least lossy one between the ends."""
    if link.spans is not None:
        return link.spans
    direct = [span for span in n.spans if set(span.between) == set(link.between)]
    return [min(direct, key=lambda s: (s.amplified, s.loss_db, s.id)).id] if direct else []


def _check_links(n: schema.NetworkFile) -> Found:
    spans = _spans(n)
    for i, link in enumerate(n.links):
        if link.protocol in OVER_PAIRS:
            continue
        airy = [name for name in _path_of(n, link) if name in spans and spans[name].air is not None]
        if link.spectrum is not None and link.protocol == "rated":
            yield ("links", i, "spectrum"), "a rated link has no optics that other light could disturb; leave it out"
        if link.spectrum is not None and airy:
            yield ("links", i, "spectrum"), f"its wavelength and filter are those of the telescopes of {airy[0]!r}"
        for name in airy:
            sender = spans[name].between[0]
            if len(_path_of(n, link)) == 1 and sender != link.between[0]:
                yield ("links", i, "between"), f"span {name!r} sends from {sender!r}; name that node first"
    for i, pair_link in enumerate(n.pair_links):
        for name in _path_of(n, pair_link):
            air = spans[name].air if name in spans else None
            if air is not None and air.satellite is not None:
                yield ("pair_links", i, "between"), "entangled pairs by satellite are not modelled; use a QKD link"
        beside = [c.name for c in n.plant.channels if set(c.spans) & set(_path_of(n, pair_link))]
        if beside and pair_link.scheme != "given":
            # Dark counts would rise, and what control promises would no longer hold.
            what = f"noise of {beside[0]!r} in heralded pairs is not modelled; move one of them to another fibre"
            yield ("pair_links", i, "between"), what


def _check_slots(n: schema.NetworkFile) -> Found:
    """Spectrum that is taken twice on a fibre. Quantum channels that do not say where they are cannot collide with
    each other."""
    guards = Guards(n.plant.guard_mhz, n.plant.quantum_guard_mhz)
    rows: list[tuple[Loc, str, str, Slot, set[str], bool]] = []
    for i, link in enumerate(n.links):
        if link.protocol in OVER_PAIRS or link.on_demand is not None:
            continue
        said = link.spectrum
        centre, width = (said.centre_mhz, said.filter_mhz) if said else (schema.QUANTUM_MHZ, schema.QUANTUM_WIDTH_MHZ)
        at: Loc = ("links", i, "spectrum") if said else ("links", i)
        rows.append((at, link.id, QUANTUM, Slot(centre, width), set(_path_of(n, link)), said is not None))
    for i, channel in enumerate(n.plant.channels):
        slot = Slot(channel.centre_mhz, channel.width_mhz)
        rows.append((("plant", "channels", i), channel.name, CLASSICAL, slot, set(channel.spans), True))
    for (_, one, kind, slot, path, said_it), (at, other, kind_2, slot_2, path_2, said_it_2) in combinations(rows, 2):
        guard = guards.between(kind, kind_2)
        if (said_it or said_it_2) and path & path_2 and slot.overlaps(slot_2, guard):
            shared = sorted(path & path_2)[0]
            yield (
                at,
                f"on span {shared!r}, {other} at {slot_2} comes too near {one} at {slot} "
                f"(guard {guard / 1e3:g} GHz); move one of them",
            )


def _check_events(n: schema.NetworkFile, unknown: Unknown) -> Found:
    fibres = [span.id for span in n.spans if span.air is None]
    air = [span.id for span in n.spans if span.air is not None]
    for i, event in enumerate(n.events):
        if event.bend is not None and event.bend.span in air:
            yield ("events", i, "bend", "span"), f"{event.bend.span!r} is not a fibre; say weather instead of bend"
        if event.tap is not None and event.tap.span in air:
            yield ("events", i, "tap", "span"), f"{event.tap.span!r} is not a fibre: no coupler leads its light away"
        if event.light is not None:
            yield from unknown(("events", i, "light", "span"), "fibre", event.light.span, fibres)
        if event.power is not None:
            names = [channel.name for channel in n.plant.channels]
            yield from unknown(("events", i, "power", "channel"), "channel", event.power.channel, names)
        if event.order is not None:
            names = [channel.name for channel in n.plant.channels]
            yield from unknown(("events", i, "order", "channel"), "channel", event.order.channel, names)
        if event.weather is not None:
            yield from unknown(("events", i, "weather", "span"), "path through air", event.weather.span, air)


def _check_services(n: schema.NetworkFile, unknown: Unknown) -> Found:
    links = [link.id for link in n.links]
    known = [entry.name for entry in entry_points(group="quoit.path_computation")]
    yield from unknown(("plant", "path_computation"), "path computation", n.plant.path_computation, known)
    for i, name in enumerate(n.plant.packets.links):
        yield from unknown(("plant", "packets", "links", i), "link", name, links)
    taken = {*links, *(link.id for link in n.pair_links), *(channel.name for channel in n.plant.channels)}
    carried: set[str] = set()
    earlier: list[str] = []
    for i, service in enumerate(n.plant.services):
        at: Loc = ("plant", "services", i)
        if service.name in earlier or (service.link is None and service.name in taken):
            yield (*at, "name"), f"the name {service.name!r} is taken; give this service another"
        if service.link is not None:
            yield from unknown((*at, "link"), "link", service.link, links)
            if service.link in carried:
                yield (*at, "link"), f"a service carries link {service.link!r} already; leave one of them out"
            carried.add(service.link)
        for key, node in (("from", service.source), ("to", service.to)):
            if node is not None:
                yield from unknown((*at, key), "node", node, n.nodes)
        for key, other in (("coroute", service.coroute), ("apart_from", service.apart_from)):
            if other is not None:
                yield from unknown((*at, key), "earlier service", other, earlier)
        earlier.append(service.name)


def _check_on_demand(n: schema.NetworkFile) -> Found:
    """Links whose light is asked for: somebody must be there to be asked, and it must be theirs alone to move."""
    served = {service.link for service in n.plant.services}
    loop = n.loops.buffer
    lent = {link for one in (loop.shared if loop else ()) for link in one.links}
    for i, link in enumerate(n.links):
        if link.on_demand is None:
            continue
        at: Loc = ("links", i, "on_demand")
        if not n.has_plant:
            yield at, "light is asked of the optical network's controller; add a section plant"
        if link.protocol in OVER_PAIRS:
            yield at, f"a link of protocol {link.protocol} has no light of its own; leave it out"
        if n.policies.control != "direct":
            yield at, "controllers that know SDN agents alone do not enable links; leave it out, or control: direct"
        if link.id in served:
            yield at, f"a service of the plant lights {link.id} from the start; leave out either"
        if link.id in lent:
            yield at, f"a device of {link.id} is shared by a loop; leave out either"
        if link.initial_pool_bits:
            yield at, "a link that has never had light has no key; leave out initial_pool"


def _check_works(n: schema.NetworkFile, unknown: Unknown) -> Found:
    seen: set[str] = set()
    for i, works in enumerate(n.plant.works):
        if works.name in seen:
            yield ("plant", "works", i, "name"), f"the name {works.name!r} is taken; give these works another"
        seen.add(works.name)
        for k, span in enumerate(works.spans):
            yield from unknown(("plant", "works", i, "spans", k), "span", span, [s.id for s in n.spans])
