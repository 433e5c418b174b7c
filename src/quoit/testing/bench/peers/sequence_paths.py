"""SeQUeNCe on the benchmark's paths. Run by its own environment's Python: the workload comes in as JSON on standard
input, the figures go out as JSON on standard output. See `quoit.testing.bench.workloads.Workload` for the fields.

Its Bell-diagonal formalism, single-heralded generation, its own reservation and its own nested swaps. Only routes and
classical channels that the paths use are made: SeQUeNCe's builder makes all pairs', which takes longer than the run.

Before 1.0 it has generation and decay of Bell-diagonal pairs but no swap of them: there a swap's state and messages are
ours, as 1.x has them, and everything else is its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

from sequence.app.request_app import RequestApp
from sequence.constants import BELL_DIAGONAL_STATE_FORMALISM, SINGLE_HERALDED
from sequence.entanglement_management.generation import EntanglementGenerationA, EntanglementGenerationB
from sequence.entanglement_management.swapping import (
    EntanglementSwappingA,
    EntanglementSwappingB,
    EntanglementSwappingMessage,
    SwappingMsgType,
)
from sequence.topology.router_net_topo import RouterNetTopo

LIGHT_M_PER_PS = 2e-4
BEGIN_PS = 100_000_000_000  # reservations have been made by then


class Paths(RouterNetTopo):  # type: ignore[misc]
    """The network with routes along given paths alone."""

    def __init__(self, config: dict[str, Any], paths: list[list[int]]) -> None:
        self._paths = paths
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # versions before 1.0 take nothing but a file
            json.dump(config, file)
            file.flush()
            super().__init__(file.name)

    def _generate_forwarding_table(self, config: dict[str, Any]) -> None:
        routers = {router.name: router for router in self.nodes[self.QUANTUM_ROUTER]}
        for path in self._paths:
            for way in (path, path[::-1]):
                for here, following in pairwise(way):
                    table = routers[f"n{here}"].network_manager.get_forwarding_table()
                    table[f"n{way[-1]}"] = f"n{following}"


class Counting(RequestApp):  # type: ignore[misc]
    """Notes the fidelity of each pair when the first of its ends hands its half over, and counts it at the second."""

    def __init__(self, node: Any, half: dict[frozenset[str], float], seen: list[float]) -> None:
        super().__init__(node)
        self._half = half
        self._seen = seen

    def get_memory(self, info: Any) -> None:
        """SeQUeNCe has no use for this memory any more: it may be one end's half of a pair from end to end."""
        reservation = self.memo_to_reservation.get(info.index)
        if info.state == "ENTANGLED" and reservation is not None:
            ends = frozenset({reservation.initiator, reservation.responder})
            if ends == {self.node.name, info.remote_node}:
                self._hand_over(ends, info.memory)
        super().get_memory(info)

    def _hand_over(self, ends: frozenset[str], memory: Any) -> None:
        if ends in self._half:
            self._seen.append(self._half.pop(ends))
            return
        remote = self.node.timeline.get_entity_by_name(memory.entangled_memory["memo_id"])
        memory.bds_decohere()
        remote.bds_decohere()
        self._half[ends] = memory.get_bds_fidelity()


def swap_werner_pairs(swapping: Any) -> None:
    """`EntanglementSwappingA.start` for versions that swap kets alone: both pairs age, and become one Werner pair."""
    timeline = swapping.owner.timeline
    manager = timeline.quantum_manager
    far = [timeline.get_entity_by_name(name) for name in (swapping.left_remote_memo, swapping.right_remote_memo)]
    for memory in (*swapping.memories, *far):
        memory.bds_decohere()
    left, right = (float(manager.get(memory.qstate_key).state[0]) for memory in swapping.memories)
    fidelity = (1 + 3 * (4 * left - 1) / 3 * (4 * right - 1) / 3) / 4
    manager.set([memory.qstate_key for memory in far], [fidelity, *[(1 - fidelity) / 3] * 3])
    expire_time = min(memory.get_expire_time() for memory in swapping.memories)
    for node, protocol, other in (
        (swapping.left_node, swapping.left_protocol_name, swapping.right_memo),
        (swapping.right_node, swapping.right_protocol_name, swapping.left_memo),
    ):
        end = {"remote_node": other.entangled_memory["node_id"], "remote_memo": other.entangled_memory["memo_id"]}
        told = {"fidelity": fidelity, "expire_time": expire_time, "meas_res": [], **end}
        swapping.owner.send_message(node, EntanglementSwappingMessage(SwappingMsgType.SWAP_RES, protocol, **told))
    for memory in swapping.memories:
        swapping.update_resource_manager(memory, "RAW")


def config(work: dict[str, Any]) -> dict[str, Any]:
    """The network in SeQUeNCe's terms."""
    memories: dict[int, int] = {}
    links: set[tuple[int, int]] = set()
    reach: dict[tuple[int, int], int] = {}
    for path in work["paths"]:
        for i, a in enumerate(path):
            memories[a] = memories.get(a, 0) + (1 if i in (0, len(path) - 1) else 2)
            for j in range(i + 1, len(path)):
                pair = (min(a, path[j]), max(a, path[j]))
                reach[pair] = min(reach.get(pair, j - i), j - i)
                if j == i + 1:
                    links.add(pair)
    coherence_s = -1 if work["coherence_s"] is None else work["coherence_s"]
    detectors = [{"efficiency": work["detector"], "dark_count": 0, "count_rate": 1e9, "time_resolution": 100}] * 2
    return {
        "stop_time": BEGIN_PS + int(work["seconds"] * 1e12),
        "formalism": "bell_diagonal",
        "templates": {
            "router": {
                "MemoryArray": {
                    "fidelity": work["fidelity"],
                    "frequency": 200e6,
                    "efficiency": 1,
                    "coherence_time": coherence_s,
                    "cutoff_flag": False,
                }
            },
            "station": {"encoding_type": "single_heralded", "SingleHeraldedBSM": {"detectors": detectors}},
        },
        "nodes": [
            {"name": f"n{n}", "type": "QuantumRouter", "seed": work["seed"] + n, "memo_size": m, "template": "router"}
            for n, m in memories.items()
        ],
        "qconnections": [
            {
                "node1": f"n{a}",
                "node2": f"n{b}",
                "attenuation": work["loss_db_per_m"],
                "distance": work["hop_m"],
                "type": "meet_in_the_middle",
                "seed": work["seed"] + 10_000 + i,
                "template": "station",
            }
            for i, (a, b) in enumerate(sorted(links))
        ],
        "cconnections": [
            {"node1": f"n{a}", "node2": f"n{b}", "delay": int(hops * work["hop_m"] / LIGHT_M_PER_PS)}
            for (a, b), hops in reach.items()
        ],
    }


def main() -> None:
    """Read the workload, run it, print the figures."""
    work = json.load(sys.stdin)
    EntanglementGenerationA.set_global_type(SINGLE_HERALDED)
    EntanglementGenerationB.set_global_type(SINGLE_HERALDED)
    if hasattr(EntanglementSwappingA, "set_formalism"):
        EntanglementSwappingA.set_formalism(BELL_DIAGONAL_STATE_FORMALISM)
        EntanglementSwappingB.set_formalism(BELL_DIAGONAL_STATE_FORMALISM)
    else:
        EntanglementSwappingA.start = swap_werner_pairs
    began = time.process_time()
    network = Paths(config(work), work["paths"])
    timeline = network.get_timeline()
    half: dict[frozenset[str], float] = {}
    seen: list[float] = []
    apps = {router.name: Counting(router, half, seen) for router in network.nodes[network.QUANTUM_ROUTER]}
    timeline.init()
    for path in work["paths"]:
        apps[f"n{path[0]}"].start(f"n{path[-1]}", BEGIN_PS, timeline.stop_time, 1, 0.01)
    built = time.process_time()
    timeline.run()
    took = time.process_time() - built
    found = {
        "pairs": len(seen),
        "fidelity": fmean(seen) if seen else 0.0,
        "fidelity_sigma": pstdev(seen) if seen else 0.0,
        "cpu_s": took,
        "build_s": built - began,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
