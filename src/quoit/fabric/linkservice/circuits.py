"""The network service: virtual circuits between any two nodes, and users' requests over them.

After Kozlowski, Dahlberg, Wehner, CoNEXT 2020, doi:10.1145/3386367.3431293. Each node of a path has an entry for the
circuit. FORWARD and COMPLETE travel along the entries. What TRACK and EXPIRE do for each pair, chasing swaps and
cutting off what waited too long, is done by the engine's pair machine, which runs the circuit that control has
compiled; their results are in the pair that an end is handed (docs/link-service.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, exp, inf

from quoit.fabric.api import (
    PAIR_CONTROLLER,
    CircuitEntry,
    CircuitTable,
    CloseVirtualCircuit,
    CreatePairs,
    Done,
    GetCircuits,
    OpenVirtualCircuit,
    PairPlan,
    PairsAccepted,
    PlanPairs,
    RequestPairs,
    VirtualCircuit,
    network_service,
)
from quoit.fabric.linkservice import rules
from quoit.fabric.linkservice.head import PairService
from quoit.fabric.linkservice.links import LinkEnds
from quoit.fabric.linkservice.messages import (
    Complete,
    EndRequest,
    Forward,
    InstallEntry,
    OfferPairs,
    RemoveEntry,
    SettleCircuit,
)
from quoit.fabric.linkservice.rules import Devices, Facts, refusal
from quoit.fabric.linkservice.state import CIRCUIT, WITHIN, Line, Request
from quoit.model.problem import Problem
from quoit.runtime.context import Context
from quoit.runtime.element import Plane, Stratum, handles

DELIVERIES = {"KEEP": ("K", "T"), "EARLY": ("K", "C"), "MEASURE": ("M", "T")}
"""Kind and class of request by delivery."""
MOST_CIRCUITS = 1_000


@dataclass
class _Circuit:
    """A circuit of this node's, as its head: the fidelity that clients are promised; rates admitted, by request."""

    shown: VirtualCircuit
    line: Line
    fidelity: float
    rates: dict[str, float]


class NetworkService(PairService):
    """One node's network service."""

    stratum, plane = Stratum.FABRIC, Plane.RESOURCE
    realises = ("D1", "D2", "D3")

    def __init__(self, node: str, stage: int, devices: Mapping[str, Devices], links: tuple[LinkEnds, ...]) -> None:
        """`devices`: of all nodes with memories. `links`: this node's."""
        super().__init__(network_service(node), node, stage, devices[node])
        self._devices = devices
        self._links = {ends.link: ends.facts for ends in links}
        self._entries: dict[str, CircuitEntry] = {}
        self._circuits: dict[str, _Circuit] = {}

    def peer(self, node: str) -> str:
        return network_service(node)

    def devices(self, node: str) -> Devices:
        return self._devices[node]

    # -- circuits ------------------------------------------------------------------------------------

    @handles(OpenVirtualCircuit)
    async def on_open(self, ctx: Context, msg: OpenVirtualCircuit) -> VirtualCircuit:
        if not msg.circuit or len(msg.circuit) > 64 or not 0 <= msg.fidelity <= 1:
            raise refusal("malformed", "expected a circuit's name of 1 to 64 characters, and a fidelity of 0 to 1")
        if msg.circuit in self._entries:
            raise Problem("unit-exists", f"circuit {msg.circuit!r} is open at {self._node}")
        if msg.tail not in self._devices or msg.tail == self._node:
            raise refusal("no-route", f"expected another node with memories, found {msg.tail[:64]!r}")
        floor, plan = await self._planned(ctx, msg)
        place = len(plan.nodes) - 1
        entries: list[CircuitEntry] = []
        try:
            for number, node in enumerate(plan.nodes):
                order = InstallEntry(
                    msg.circuit, plan.nodes, plan.links, number, plan.state, plan.decay_hz, plan.cutoff_ns
                )
                found: VirtualCircuit = await ctx.ask(network_service(node), order, within=WITHIN)
                entries += found.entries
        except Problem:
            self._remove(ctx, msg.circuit, plan.nodes)
            raise
        rate_hz = min(entry.down_rate_hz for entry in entries[:place])
        light_ns = sum(entry.down_light_ns for entry in entries)
        for node in plan.nodes:
            await ctx.ask(network_service(node), SettleCircuit(msg.circuit, rate_hz, light_ns), within=WITHIN)
        facts = Facts(plan.links, plan.state, plan.decay_hz, 1e9 / rate_hz, light_ns)
        line = Line(CIRCUIT + msg.circuit, self._node, msg.tail, facts, floor, early=True)
        self.add_line(line)
        rated = tuple(_rated(entry, rate_hz) for entry in entries)
        shown = VirtualCircuit(msg.circuit, plan.nodes, line.facts.fidelity(0), rate_hz, rated)
        self._circuits[msg.circuit] = _Circuit(shown, line, msg.fidelity, {})
        ctx.emit("circuit.up", circuit=msg.circuit, nodes=plan.nodes, rate_hz=rate_hz)
        return shown

    async def _planned(self, ctx: Context, msg: OpenVirtualCircuit) -> tuple[float, PairPlan]:
        """The floor to ask control for, so that a pair has its fidelity still when the client hears; and the path."""
        best: PairPlan = await ctx.ask(PAIR_CONTROLLER, PlanPairs(self._node, msg.tail), within=WITHIN)
        close_ns = rules.closing_ns(self._own, self._devices[msg.tail])
        kept = exp(-max(best.decay_hz) * close_ns * 1e-9)
        floor = (1 + max(0.0, 4 * msg.fidelity - 1) / kept) / 4
        offered = (1 + sum(best.state) * kept) / 4
        if floor > 1 or msg.fidelity > offered:
            text = f"expected at most {offered:.4f}, found {msg.fidelity:g}"
            raise refusal("fidelity-unreachable", text, best=round(offered - 5e-7, 6))
        plan: PairPlan = await ctx.ask(PAIR_CONTROLLER, PlanPairs(self._node, msg.tail, floor), within=WITHIN)
        return floor, plan

    @handles(InstallEntry)
    async def on_install(self, ctx: Context, msg: InstallEntry) -> VirtualCircuit:
        if msg.circuit in self._entries:
            raise Problem("unit-exists", f"circuit {msg.circuit!r} is open at {self._node}")
        rules.need_stage(self._stage, self._node, "M")  # the least that a circuit is for
        if len(self._entries) >= MOST_CIRCUITS:
            raise refusal("overloaded", f"{MOST_CIRCUITS} circuits have entries at {self._node}")
        last = len(msg.nodes) - 1
        down = msg.links[msg.place] if msg.place < last else ""
        facts = self._links.get(down)
        entry = CircuitEntry(
            msg.circuit, self._node, msg.nodes[msg.place - 1] if msg.place else "",
            msg.nodes[msg.place + 1] if down else "", msg.links[msg.place - 1] if msg.place else "", down,
            facts.fidelity(0) if facts else 0.0, 1e9 / facts.pair_ns if facts else 0.0, 0.0,
            msg.cutoff_ns if 0 < msg.place < last else None, facts.light_ns if facts else 0,
        )  # fmt: skip
        self._entries[msg.circuit] = entry
        if msg.place == last:
            # the tail neither schedules nor asks control: it needs no rate and no floor
            promised = Facts(msg.links, msg.state, msg.decay_hz, inf, 0)
            self.add_line(Line(CIRCUIT + msg.circuit, msg.nodes[0], self._node, promised, 0.0, early=True))
        return VirtualCircuit(msg.circuit, msg.nodes, 0.0, 0.0, (entry,))

    @handles(SettleCircuit)
    async def on_settle_circuit(self, ctx: Context, msg: SettleCircuit) -> Done:
        entry = self._entries.get(msg.circuit)
        if entry is None:
            raise refusal("no-route", f"{self._node} has no entry for circuit {msg.circuit!r}")
        self._entries[msg.circuit] = _rated(entry, msg.rate_hz)
        line = self._lines.get(CIRCUIT + msg.circuit)
        if line is not None:
            self.add_line(replace(line, facts=replace(line.facts, light_ns=msg.light_ns)))
        return Done()

    @handles(RemoveEntry)
    async def on_remove(self, ctx: Context, msg: RemoveEntry) -> None:
        self._entries.pop(msg.circuit, None)
        self._lines.pop(CIRCUIT + msg.circuit, None)

    def _remove(self, ctx: Context, circuit: str, nodes: tuple[str, ...]) -> None:
        for node in nodes:
            ctx.tell(network_service(node), RemoveEntry(circuit))

    @handles(CloseVirtualCircuit)
    async def on_close(self, ctx: Context, msg: CloseVirtualCircuit) -> Done:
        circuit = self._circuits.pop(msg.circuit, None)
        if circuit is None:
            raise Problem("no-such-element", f"no circuit {msg.circuit[:64]!r} begins at {self._node}")
        for request in [r for r in self._requests.values() if r.line is circuit.line]:
            why = f"circuit {msg.circuit} was closed"
            ctx.tell(self.peer(request.remote), EndRequest(request.key, "REJECTED", why))
            await self._end(ctx, request, "REJECTED", why)
        await self._retire(ctx, circuit.line.name)
        self._remove(ctx, msg.circuit, circuit.shown.nodes)
        ctx.emit("circuit.down", circuit=msg.circuit)
        return Done()

    @handles(GetCircuits)
    async def on_get(self, ctx: Context, msg: GetCircuits) -> CircuitTable:
        return CircuitTable(tuple(self._entries[name] for name in sorted(self._entries)))

    # -- requests ------------------------------------------------------------------------------------

    @handles(RequestPairs)
    async def on_request(self, ctx: Context, msg: RequestPairs) -> PairsAccepted:
        circuit = self._circuits.get(msg.circuit)
        if circuit is None:
            raise refusal("no-route", f"no circuit {msg.circuit[:64]!r} begins at {self._node}")
        if msg.delivery not in DELIVERIES or msg.bell not in rules.PAULIS:
            raise refusal("malformed", "expected delivery KEEP, EARLY or MEASURE and bell phi+, phi-, psi+ or psi-")
        if (msg.number > 0) == (msg.rate_hz > 0) or msg.deadline_ns <= 0:
            raise refusal("malformed", "expected a number or a rate, and a deadline above 0")
        number = msg.number or ceil(msg.rate_hz * msg.deadline_ns * 1e-9)
        kind, waits = DELIVERIES[msg.delivery]
        if msg.waits and (kind != "M" or msg.waits not in ("B", "C", "T")):
            raise refusal("malformed", "expected waits of B, C or T with delivery MEASURE alone")
        order = CreatePairs(
            msg.client, circuit.line.tail, kind, number, circuit.fidelity, msg.deadline_ns, msg.purpose, msg.priority,
            consecutive=True, near=msg.near, far=msg.far, waits=msg.waits or waits,
        )  # fmt: skip
        rules.check(order)
        left = circuit.shown.rate_hz - sum(circuit.rates.values())
        if msg.rate_hz > left:
            text = f"circuit {msg.circuit} has {left:.4g} pairs/s left, {msg.rate_hz:.4g} are asked for"
            raise refusal("not-admitted", text, offered_hz=left)
        accepted = self.accept(ctx, order, circuit.line, msg.bell)
        if msg.rate_hz:
            circuit.rates[f"{self._node}#{accepted.create_id}"] = msg.rate_hz
        return accepted

    async def offer(self, ctx: Context, line: Line, offer: OfferPairs, to: str) -> None:
        circuit = line.circuit
        await self.on_forward(ctx, Forward(circuit, offer))

    @handles(Forward)
    async def on_forward(self, ctx: Context, msg: Forward) -> Done:
        entry = self._entries.get(msg.circuit)
        if entry is None:
            raise refusal("no-route", f"{self._node} has no entry for circuit {msg.circuit!r}")
        ctx.emit("circuit.forward", circuit=msg.circuit, node=self._node, to=entry.downstream)
        if not entry.downstream:
            return await self.on_offer(ctx, msg.offer)
        answer: Done = await ctx.ask(network_service(entry.downstream), msg, within=WITHIN)
        return answer

    def request_over(self, ctx: Context, request: Request) -> None:
        circuit = request.line.circuit
        if not request.creator:
            return
        if circuit in self._circuits:
            self._circuits[circuit].rates.pop(request.key, None)
        self._complete(ctx, Complete(circuit, request.key))

    @handles(Complete)
    async def on_complete(self, ctx: Context, msg: Complete) -> None:
        self._complete(ctx, msg)

    def _complete(self, ctx: Context, msg: Complete) -> None:
        entry = self._entries.get(msg.circuit)
        if entry is None:
            return
        ctx.emit("circuit.complete", circuit=msg.circuit, request=msg.key, node=self._node)
        if entry.downstream:
            ctx.tell(network_service(entry.downstream), msg)


def _rated(entry: CircuitEntry, rate_hz: float) -> CircuitEntry:
    return CircuitEntry(
        entry.circuit, entry.node, entry.upstream, entry.downstream, entry.up_link, entry.down_link,
        entry.down_fidelity, entry.down_rate_hz, rate_hz, entry.cutoff_ns, entry.down_light_ns,
    )  # fmt: skip
