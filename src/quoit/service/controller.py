"""Control of a KMS, the trust domain of its KMEs: registry of applications, routing on prefixes (B3, C2, C6)."""

from __future__ import annotations

from collections.abc import Iterable

from quoit.model.problem import Problem
from quoit.model.urn import Urn
from quoit.runtime.context import Context
from quoit.runtime.element import Element, Plane, Stratum, handles
from quoit.service.api import AdmitNode, ApplicationRow, Applications, GetApplications
from quoit.service.directory import Announce, Attachment, RecallDirectory, Resolve, Resolved, controller
from quoit.service.instances import Controllers
from quoit.service.routing import PrefixTable

WITHIN = 2_000_000_000


class ServiceController(Element):
    """Knows the applications of its own domain, and which domain to ask for the others. Of several instances any one
    will do: each is told all that the others are, and one that comes back asks them for what it has missed."""

    stratum, plane = Stratum.SERVICE, Plane.CONTROL
    realises = ("A5", "B3", "B4", "C2", "C6")
    separable = True

    def __init__(
        self,
        place: str,
        domain: str,
        prefix: str,
        attachments: tuple[Attachment, ...],
        peers: tuple[str, ...],
        joining: frozenset[str] = frozenset(),
        instance: int = 0,
        instances: int = 1,
    ) -> None:
        """`joining`: nodes whose applications nobody is told of before they have been admitted. `instance`: which this
        is, of so many in each domain."""
        super().__init__(controller(domain, instance), place)
        self._instance = instance
        self._instances = range(instances)
        self._siblings = tuple(controller(domain, n) for n in self._instances if n != instance)
        self._abroad = Controllers(instances, WITHIN)
        self._heard: dict[str, Announce] = {}
        self._admitted: list[str] = []
        self._domain = domain
        self._prefix = prefix
        self._waiting = tuple(a for a in attachments if a.node in joining)
        self._by_sae = {a.sae: a for a in attachments if a.node not in joining}
        self._by_urn = {Urn.parse(a.urn).assigned_name: a for a in self._by_sae.values()}
        self._peers = peers
        self._prefixes = PrefixTable()
        self._saes: dict[str, str] = {}

    async def start(self, ctx: Context) -> None:
        self._announce(ctx)
        for sibling in self._siblings:
            ctx.tell(sibling, RecallDirectory(self._instance))

    @handles(RecallDirectory)
    async def on_recall(self, ctx: Context, msg: RecallDirectory) -> None:
        sibling = controller(self._domain, msg.instance)
        for node in self._admitted:
            ctx.tell(sibling, AdmitNode(node))
        for announced in self._heard.values():
            ctx.tell(sibling, announced)

    def _announce(self, ctx: Context) -> None:
        routable = tuple(a.sae for a in self._by_sae.values() if a.routable)
        for peer in self._peers:
            for instance in self._instances:
                ctx.tell(controller(peer, instance), Announce(self._domain, self._prefix, routable))

    @handles(AdmitNode)
    async def on_admit(self, ctx: Context, msg: AdmitNode) -> Applications:
        new = tuple(a for a in self._waiting if a.node == msg.node)
        self._waiting = tuple(a for a in self._waiting if a.node != msg.node)
        if msg.node not in self._admitted:
            self._admitted.append(msg.node)
            for sibling in self._siblings:
                ctx.tell(sibling, msg)
        self._by_sae.update((a.sae, a) for a in new)
        self._by_urn.update((Urn.parse(a.urn).assigned_name, a) for a in new)
        if new:
            ctx.emit("node.admitted", domain=self._domain, node=msg.node, applications=[a.sae for a in new])
            self._announce(ctx)
        return self._shown(a for a in self._by_sae.values() if a.node == msg.node)

    @handles(GetApplications)
    async def on_get(self, ctx: Context, msg: GetApplications) -> Applications:
        return self._shown(a for a in self._by_sae.values() if a.routable or not msg.abroad)

    def _shown(self, attachments: Iterable[Attachment]) -> Applications:
        rows = tuple(ApplicationRow(a.sae, a.urn, a.kme, a.node, a.domain, a.routable) for a in attachments)
        return Applications(self._domain, self._prefix, rows)

    @handles(Announce)
    async def on_announce(self, ctx: Context, msg: Announce) -> None:
        self._heard[msg.domain] = msg
        self._prefixes.announce(Urn.parse(msg.prefix), msg.domain)
        self._saes = {sae: d for sae, d in self._saes.items() if d != msg.domain}
        self._saes.update(dict.fromkeys(msg.saes, msg.domain))

    @handles(Resolve)
    async def on_resolve(self, ctx: Context, msg: Resolve) -> Resolved:
        found = self._by_sae.get(msg.name)
        domain = self._saes.get(msg.name)
        if found is None and domain is None and msg.name[:4].lower() == "urn:":
            urn = Urn.parse(msg.name)
            found = self._by_urn.get(urn.assigned_name)
            domain = self._prefixes.lookup(urn)
        abroad = msg.asking is not None
        if found is not None and (found.routable or not abroad):
            return Resolved(found)
        # Who is not routable is unknown abroad, and nothing of it crosses the border (B3). A question that was
        # passed on once is not passed on again.
        if found is not None or abroad or domain is None or domain == self._domain:
            raise Problem("unknown-sae", "no application of this name can be reached")
        answer: Resolved = await self._abroad.ask(ctx, domain, Resolve(msg.name, self._domain))
        return answer
