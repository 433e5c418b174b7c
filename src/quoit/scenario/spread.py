"""Which process of a distributed twin runs which element.

Elements of one place stay together, because they speak without delay; the engine's side is in process 0.
Messages between processes must be on their way for longer than the bus takes: give such a network a
`control_latency` of 20 ms or more, or a run may be marked not faithful.
"""

from __future__ import annotations

from quoit.engine.api import ENGINE
from quoit.runtime.element import Element
from quoit.scenario.schema import NetworkFile


class Spread:
    """Process of each element: the nodes of the file in order, split evenly."""

    def __init__(self, network: NetworkFile, processes: int) -> None:
        nodes = list(network.nodes)
        if not 1 <= processes <= len(nodes):
            raise ValueError(f"expected 1 to {len(nodes)} processes for {len(nodes)} nodes, found {processes}")
        self._of = {node: i * processes // len(nodes) for i, node in enumerate(nodes)}
        self._of[ENGINE] = 0

    def __call__(self, element: Element) -> int:
        return self._of[element.place]
