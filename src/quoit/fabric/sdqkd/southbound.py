"""The fabric's control by ETSI GS QKD 015: orders to devices are edits of their agents' configuration.

An edit is read, changed and written back: the agent refuses it if the configuration has changed meanwhile, and then it
is made anew. Each carries the controller's epoch; a refusal for that reason ends the controller's leadership.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from msgspec.structs import replace

from quoit.fabric import api
from quoit.fabric.api import Flow
from quoit.fabric.sdqkd import tree
from quoit.fabric.sdqkd.fencing import next_turn
from quoit.fabric.sdqkd.routes import Identifiers, hop_at, reconciled, with_hop, with_turn, without_link
from quoit.fabric.sdqkd.tree import End, Interface, Link, Node
from quoit.fabric.southbound import LinkEntry
from quoit.model.problem import Problem
from quoit.planes.configuration import ApplyConfiguration, ReadConfiguration, ReadState
from quoit.runtime.context import Context

WITHIN = 2_000_000_000
EDIT_POLL_NS = 1_000_000
TRIES = 4
"""How often an edit is made anew because somebody else was faster."""


class SdqkdSouthbound:
    """By agents, as `caller`. `nodes`: those whose agents are asked. `epoch` is the leader's; 0: none, and then nothing
    is written."""

    def __init__(self, caller: str, network: str, nodes: tuple[str, ...]) -> None:
        self.caller = caller
        self.ids = Identifiers(network)
        self.nodes = nodes
        self.epoch = 0
        self._editing: set[str] = set()
        self._numbers: dict[tuple[str, str], int] = {}

    # -- reading -----------------------------------------------------------------------------------------

    async def configuration(self, ctx: Context, node: str) -> Node:
        """A node's configuration. Problem `deadline` if its agent does not answer, `bad-answer` if it has no node."""
        answer = await ctx.ask(api.agent(node), ReadConfiguration(), within=WITHIN)
        return _node(node, answer.tree)

    async def state(self, ctx: Context, node: str) -> Node:
        """A node's state."""
        answer = await ctx.ask(api.agent(node), ReadState((tree.ROOT,)), within=WITHIN)
        return _node(node, answer.tree)

    def discover(self, configurations: dict[str, Node]) -> list[LinkEntry]:
        """Learn identifiers, and return links that can be made: where modules of two nodes are attached to the same
        optical path, and one of them sends what the other receives. Named by the path."""
        at: dict[str, list[tuple[str, Interface]]] = {}
        for name, node in configurations.items():
            self.ids.nodes[name] = node.qkdn_id
            for interface in node.interfaces.values():
                point = interface.qkdi_att_point
                if point is not None and point.device is not None:
                    at.setdefault(point.device, []).append((name, interface))
        found = []
        for device, ends in sorted(at.items()):
            by_role = {_role(interface): name for name, interface in ends}
            if len(ends) == 2 and {tree.TRANSMITTER, tree.RECEIVER} == by_role.keys():
                found.append(LinkEntry(device, by_role[tree.TRANSMITTER], by_role[tree.RECEIVER]))
                self._numbers.update({(device, name): interface.qkdi_id for name, interface in ends})
                self._learn_link(device, configurations[ends[0][0]], ends[0][1].qkdi_id)
        return found

    def _learn_link(self, device: str, node: Node, number: int) -> None:
        """A physical link that is there keeps the identifier that somebody gave it."""
        for link in node.links.values():
            here = link.qkdl_local
            if link.qkdl_type == tree.PHYS and here is not None and here.qkdi_id == number:
                self.ids.links[device] = link.qkdl_id

    # -- orders ------------------------------------------------------------------------------------------

    async def activate(self, ctx: Context, entry: LinkEntry) -> None:
        """Have a physical link at both ends, the receiving one first. One that is there stays as it is, enabled or
        not: to switch a link off is somebody's decision."""
        for node in (entry.receiver, entry.sender):
            other = entry.sender if node == entry.receiver else entry.receiver
            link = self._physical(entry.link, node, other)

            def change(now: Node, link: Link = link) -> Node:
                return now if link.qkdl_id in now.links else now.with_lists(links={**now.links, link.qkdl_id: link})

            await self.edit(ctx, node, change)

    async def deactivate(self, ctx: Context, entry: LinkEntry) -> None:
        """Switch a physical link off at both ends, the sending one first."""
        link_id = self.ids.link(entry.link)

        def change(now: Node) -> Node:
            link = now.links.get(link_id)
            off = None if link is None else replace(link, qkdl_enable=False)
            return now if off is None else now.with_lists(links={**now.links, link_id: off})

        for node in (entry.sender, entry.receiver):
            await self.edit(ctx, node, change)

    def _physical(self, link: str, node: str, other: str) -> Link:
        return Link(
            self.ids.link(link),
            qkdl_enable=True,
            qkdl_local=End(self.ids.node(node), self._numbers.get((link, node))),
            qkdl_remote=End(self.ids.node(other), self._numbers.get((link, other))),
            qkdl_type=tree.PHYS,
        )

    async def install(self, ctx: Context, flow: Flow) -> None:
        for node in reversed(flow.nodes):
            hop = hop_at(self.ids, flow, node)
            await self.edit(ctx, node, partial(with_hop, hop=hop))

    async def remove(self, ctx: Context, flow: Flow, nodes: tuple[str, ...]) -> None:
        qkdl_id = hop_at(self.ids, flow, flow.src).link.qkdl_id
        for node in nodes:
            try:
                await self.edit(ctx, node, lambda now: without_link(now, qkdl_id))
            except Problem as problem:
                if problem.code == "stale-epoch":
                    raise
                ctx.log.warning("forwarding.not_removed", node=node, code=problem.code)  # reconciling will

    def guard(self, ctx: Context, entry: LinkEntry, bits: int) -> None:
        """Nothing to say: agents keep key for what virtual links have as their bandwidth."""

    async def reconcile(self, ctx: Context, node: str, flows: Iterable[Flow]) -> bool:
        """Make a node's flows these and no others; whether anything was wrong."""
        wanted = tuple(flows)
        return await self.edit(ctx, node, lambda now: reconciled(self.ids, now, node, wanted))

    async def take(self, ctx: Context, node: str) -> None:
        """Take a node over: write the epoch, so that a former leader can change nothing there any more."""
        await self.edit(ctx, node, lambda now: now, always=True)

    async def edit(self, ctx: Context, node: str, change: Callable[[Node], Node], always: bool = False) -> bool:
        """Change a node's configuration; False if it was so already. Problem `stale-epoch` if another controller has
        taken the node, and others as the agent says them."""
        while node in self._editing:  # edits of our own must not make each other fail
            await ctx.sleep(EDIT_POLL_NS)
        self._editing.add(node)
        try:
            return await self._edit(ctx, node, change, always)
        finally:
            self._editing.discard(node)

    async def _edit(self, ctx: Context, node: str, change: Callable[[Node], Node], always: bool) -> bool:
        if not self.epoch:
            raise Problem("stale-epoch", "this controller leads nobody")
        for last in (*[False] * (TRIES - 1), True):
            before = await self.configuration(ctx, node)
            turn = next_turn(
                before.control, self.epoch
            )  # also a leader that has nothing to change hears that it is none
            after = change(before)
            if after.sorted == before.sorted and not always:
                return False
            after = with_turn(after, turn)
            order = ApplyConfiguration(self.caller, tree.write(before), tree.write(after))
            try:
                await ctx.ask(api.agent(node), order, within=WITHIN)
            except Problem as problem:
                if problem.code != "config-changed" or last:
                    raise
            else:
                return True
        raise AssertionError("the last try returns or raises")


def _node(name: str, text: str) -> Node:
    found = tree.read(text)
    if found is None:
        raise Problem("bad-answer", f"the agent of {name} has no node")
    return found


def _role(interface: Interface) -> str | None:
    return interface.qkdi_capabilities.role_support if interface.qkdi_capabilities is not None else None
