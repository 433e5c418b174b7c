"""The assurance graph of a network: sessions and streams of key on flows, on pools, on links, on paths and modules.

    session, stream -> flow or route -> pool ~> link -> path -> span
                                                link -> modules
    (~> behind a buffer: a pool serves on while its link is dark)

What control says of flows and paths is what the graph holds; a flow that was lost keeps what it stood on, so that its
end can be explained.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quoit.connectivity.api import CLASSICAL, LIT, ChannelRow
from quoit.fabric.api import Flow, Flows
from quoit.planes.assurance import Assurance, Impact
from quoit.planes.management import Alarm
from quoit.runtime.element import Stratum

FABRIC_CONTROL, CONNECTIVITY_CONTROL = "control:fabric", "control:connectivity"


@dataclass(frozen=True)
class AssuredLink:
    """A QKD link: its ends, transmitter first, and the spans of its path at the start."""

    link: str
    a: str
    b: str
    spans: tuple[str, ...]


@dataclass(frozen=True)
class AssurancePlan:
    """What there is to look after: links, spans, and each KME's node."""

    links: tuple[AssuredLink, ...]
    spans: tuple[str, ...]
    kmes: tuple[tuple[str, str], ...]
    audit_ns: int = 30_000_000_000
    """How often control is asked what it knows, in case news of it was lost."""


def stream_base(stream: str) -> str:
    """A stream's name without the instant at which it was begun anew."""
    return stream.partition("#")[0]


class ServiceGraph(Assurance):
    """An assurance graph that knows what this network's subservices are called."""

    def __init__(self, plan: AssurancePlan) -> None:
        super().__init__()
        self._kme_nodes = dict(plan.kmes)
        self._kmes_at: dict[str, list[str]] = {}
        for kme, node in plan.kmes:
            self._kmes_at.setdefault(node, []).append(kme)
        self._flows: dict[str, Flow] = {}
        self._sessions: set[str] = set()
        self._crossing: dict[str, frozenset[str]] = {}
        for name in (FABRIC_CONTROL, CONNECTIVITY_CONTROL):
            self.add(name, "control")
        for span in plan.spans:
            self.add(f"span:{span}", "span")
        for kme in self._kme_nodes:
            self.add(f"kme:{kme}", "kme")
        for link in plan.links:
            self._add_link(link)

    def _add_link(self, link: AssuredLink) -> None:
        name = link.link
        for kind in ("path", "link", "pool"):
            self.add(f"{kind}:{name}", kind)
        modules = [f"module:{name}:{end}" for end in (link.a, link.b)]
        for module in modules:
            self.add(module, "module")
        self.set_path(name, link.spans)
        self.depends(f"path:{name}", [CONNECTIVITY_CONTROL], Impact.INFORMATIONAL)
        self.depends(f"link:{name}", [f"path:{name}", *modules])
        self.depends(f"pool:{name}", [f"link:{name}"], Impact.BUFFERED)

    def set_path(self, link: str, spans: Iterable[str]) -> None:
        """The quantum channel of a link runs along these spans."""
        if f"path:{link}" in self:
            self.depends(f"path:{link}", [f"span:{span}" for span in spans if f"span:{span}" in self])

    def set_channel(self, channel: ChannelRow) -> None:
        """A classical channel is lit, or not: its spans know of it as long as it is."""
        name = f"channel:{channel.channel}"
        if channel.kind != CLASSICAL:
            self.set_path(channel.channel, channel.spans)
            return
        if name not in self:
            self.add(name, "channel")
        self._crossing[name] = frozenset(channel.spans if channel.state == LIT else ())
        for span in [f"span:{s}" for s in channel.spans if f"span:{s}" in self]:
            here = [c for c, spans in self._crossing.items() if span.partition(":")[2] in spans]
            self.depends(span, here, Impact.INFORMATIONAL)

    # -- routes --------------------------------------------------------------------------------------

    def set_flows(self, told: Flows, now_ns: int) -> None:
        """What control says of routes."""
        for flow in told.flows:
            name = f"flow:{flow.src}>{flow.dst}"
            if self._flows.get(name) == flow:
                continue
            self._flows[name] = flow
            self._set_flow(name, "flow", flow)
            if flow.nodes:
                self.heal(name, "no route")
            else:
                self.ail(name, "no route", f"control knows no way from {flow.src} to {flow.dst}", 100, now_ns)
            self._set_streams(name, flow)
        for held in told.sessions:
            self.add_session(held.session)
            routes = [f"route:{flow.name}" for flow in held.flows]
            for route, flow in zip(routes, held.flows, strict=True):
                self._set_flow(route, "route", flow)
            old = {name for name, _ in self.needs(f"session:{held.session}")}
            self.depends(f"session:{held.session}", routes)
            for route in old.difference(routes):
                self.remove(route)

    def _set_flow(self, name: str, kind: str, flow: Flow) -> None:
        self.add(name, kind)
        self.depends(name, [FABRIC_CONTROL], Impact.INFORMATIONAL)
        if flow.links:
            self.depends(name, [f"pool:{link}" for link in flow.links if f"pool:{link}" in self])

    def _set_streams(self, name: str, flow: Flow) -> None:
        for kme in self._kmes_at.get(flow.src, ()):
            for peer in self._kmes_at.get(flow.dst, ()):
                self.add_stream(f"{kme}>{peer}", name)

    def add_stream(self, stream: str, flow: str | None = None) -> str:
        """End-to-end key of two KMEs; returns the subservice's name. A session's stream is the session's."""
        base, _, session = stream_base(stream).partition("!")
        if session:
            return self.add_session(session)
        name = f"stream:{base}"
        ends = base.split(">")
        if flow is None:
            src, dst = (self._kme_nodes.get(kme, "?") for kme in (ends[0], ends[-1]))
            flow = f"flow:{src}>{dst}"
            if flow not in self:
                self.add(flow, "flow")
        self.add(name, "stream")
        self.depends(name, [flow, *(f"kme:{kme}" for kme in ends if f"kme:{kme}" in self)])
        return name

    def add_session(self, session: str) -> str:
        """A session; returns the subservice's name."""
        name = f"session:{session}"
        if name not in self:
            self.add(name, "session")
        self._sessions.add(session)
        return name

    def end_session(self, session: str) -> None:
        """A session that is over, with its routes."""
        name = f"session:{session}"
        if session in self._sessions:
            self._sessions.discard(session)
            for route, _ in self.needs(name):
                self.remove(route)
            self.remove(name)

    # -- alarms --------------------------------------------------------------------------------------

    def object_of(self, alarm: Alarm) -> str:
        """Name of the subservice that an alarm is about; it is added if nothing is known of it."""
        about = alarm.about
        if alarm.stratum == Stratum.CONNECTIVITY:
            names = [f"span:{about}", f"channel:{about}"]
        elif alarm.stratum == Stratum.FABRIC:
            names = [f"pool:{about}" if alarm.cause == "quoit_pool_bits" else f"link:{about}"]
        else:
            names = [f"kme:{about}", f"stream:{about}", f"session:{about}"]
            if ">" in about:
                return self.add_stream(about)
        found = next((name for name in names if name in self), f"{alarm.stratum}:{about}")
        if found not in self:
            self.add(found, "other")
        return found
