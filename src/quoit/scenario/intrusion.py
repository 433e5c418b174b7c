"""Attacks on control and monitoring: what they send, and what they keep from being heard.

Strangers are modelled at their worst: their certificates are good, and their epochs are newer than anybody's. A control
plane that is denied loses every message between a node and the control, management or telemetry of other places. What
nodes say to each other to move keys, and what a receiver says to the other end of its link, goes on: it is another
network, or a fibre beside the quantum one.

Named approximation: equipment of the plant reports beside the place where control is, so it is not cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from quoit.engine.api import ENGINE
from quoit.fabric import api
from quoit.fabric.kma import Readmit
from quoit.fabric.module import ActivateLink, Trust
from quoit.fabric.relay import SetForwarding
from quoit.runtime.element import Element, Plane
from quoit.runtime.kernel import Put
from quoit.runtime.wire import Message
from quoit.scenario.fate import Stroke

AGAIN_NS = 10**9
"""How often a stranger repeats an order that lasts."""
CONTROLLING = (Plane.CONTROL, Plane.MANAGEMENT, Plane.TELEMETRY)
FOREVER = 2**63


class DeniedControl:
    """The way of messages while control is kept from some nodes. A carrier of the kernel."""

    def __init__(self, elements: Iterable[Element], windows: Mapping[str, list[tuple[int, int]]]) -> None:
        """`windows`: by node, when it is cut off: from, until (ns)."""
        self._places = {e.name: (e.place, e.plane in CONTROLLING) for e in elements}
        self._windows = windows

    def __call__(self, source: str, target: str, put: Put) -> Put:
        (here, first), (there, second) = self._places[source], self._places[target]
        if here == there or ENGINE in (here, there) or not (first or second):
            return put
        windows = [*self._windows.get(here, ()), *self._windows.get(there, ())]
        if not windows:
            return put

        def carry(due: int, entry: Any) -> None:
            if not any(begin <= due < end for begin, end in windows):
                put(due, entry)

        return carry


def lifting(link: str, ends: tuple[str, str], at_ns: int, until_ns: int | None) -> Iterator[Stroke]:
    """A stranger gives a link back, with all orders that management would use; again and again while it lasts."""
    orders: list[tuple[str, Message]] = [(api.kma(node), Readmit(link, 0)) for node in ends]
    orders += [(api.module(link, ends[1]), order) for order in (ActivateLink(link), Trust(link))]
    label = f"a stranger gives {link} back"
    for at in range(at_ns, until_ns or at_ns + 1, AGAIN_NS):
        yield Stroke(at, label if at == at_ns else f"{label} again", tuple(orders))


def rerouting(way: tuple[str, ...], links: tuple[str, ...], at_ns: int) -> Stroke:
    """A stranger has keys from the first node to the last one go this way: entries of an epoch newer than any."""
    src, dst = way[0], way[-1]
    orders = [
        (api.relay(node), SetForwarding(src, dst, link, at_ns)) for node, link in zip(way[:-1], links, strict=True)
    ]
    label = f"a stranger has keys from {src} to {dst} go over {', '.join(way[1:-1]) or links[0]}"
    return Stroke(at_ns, label, tuple(orders))
