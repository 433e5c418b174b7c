"""An application's view of the network, over HTTP. The same client speaks to a live twin and to one in virtual time."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2

from quoit.model.unit import seats

Sleep = Callable[[float], Awaitable[None]]
LONGEST_WAIT_S = 8.0


class Refusal(Exception):
    """The network said no. `code` is of the table of problems; `fields` is what it adds, such as what it offers."""

    def __init__(self, status: int, details: dict[str, Any]) -> None:
        self.status = status
        self.code = str(details.get("code", ""))
        self.fields: dict[str, Any] = dict(details.get("fields") or {})
        detail = details.get("detail") or details.get("title") or ""
        super().__init__(f"{self.code}: {detail}" if self.code else f"HTTP {status}")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as one of its parties sees it. `addresses`: the party's own qubits that it has not used up, one a state;
    `outcomes`: what was read of each, if they were not kept. `fidelity`: what was promised at least at
    `fidelity_at_ns`; from `expires_ns` on nothing is promised, and the qubits are gone. `estimate`: what `tested`
    states of its like have shown at `estimate_at_ns`, `estimate_least` at least with the confidence that was asked
    for. `why`: what it waits for or why it has ended; `problem`: that reason's code."""

    unit_id: str
    state: str
    kind: str
    endpoints: tuple[str, ...]
    originator: str
    number: int
    addresses: tuple[str, ...]
    outcomes: tuple[int, ...]
    fidelity: float | None
    fidelity_at_ns: int | None
    expires_ns: int | None
    why: str | None
    problem: str | None = None
    estimate: float | None = None
    estimate_least: float | None = None
    estimate_at_ns: int | None = None
    tested: int = 0

    @classmethod
    def of(cls, members: dict[str, Any]) -> Self:
        """From the interface's JSON."""
        return cls(
            members["unit_id"],
            members["state"],
            members["kind"],
            tuple(members["endpoints"]),
            members["originator"],
            members["size_bits"],
            tuple(members["addresses"]),
            tuple(members["outcomes"]),
            members["fidelity"],
            members["fidelity_at_ns"],
            members["expires_ns"],
            members["why"],
            members["problem"],
            members["estimate"],
            members["estimate_least"],
            members["estimate_at_ns"],
            members["tested"],
        )


@dataclass(frozen=True, slots=True)
class Message:
    """A classical message; `data` is what the sender gave to `send`."""

    sender: str
    data: Any
    sent_ns: int
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of the link service, as this party sees it; its name is the two nodes and `sequence`.

    `address`: the own half, if it is kept; else `outcome`, read in `basis`. It has fidelity `goodness` or more to Phi+
    at `goodness_ns`, as long as nobody does anything to it. Its events: `attempt_ns`, `heralded_ns`, `corrected_ns`.
    """

    sequence: int
    goodness: float
    goodness_ns: int
    attempt_ns: int
    heralded_ns: int
    corrected_ns: int
    address: str | None
    outcome: int | None
    basis: str
    bell: str


@dataclass(frozen=True, slots=True)
class Circuit:
    """A virtual circuit. `fidelity`: no pair is below when it is delivered; `rate_hz`: most pairs a second."""

    circuit: str
    peer: str
    nodes: tuple[str, ...]
    fidelity: float
    rate_hz: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """An OK. `mine`: this application has asked; `done`: of the request none is to come; `circuit`: None for pairs of
    the link service."""

    create_id: int
    mine: bool
    peer: str
    purpose: int
    kind: str
    done: bool
    pairs: tuple[Pair, ...]
    circuit: str | None = None


class PairsLost(Exception):
    """An ERR. `code`: TIMEOUT, REJECTED, EXPIRE, UNSUPP, NORES or OTHER; `low`, `high`: sequence numbers [low, high)
    that are expired, the whole request if they are equal."""

    def __init__(self, news: dict[str, Any]) -> None:
        self.create_id: int = news["create_id"]
        self.mine: bool = news["mine"]
        self.peer: str = news["peer"]
        self.purpose: int = news["purpose"]
        self.circuit: str | None = news["circuit"]
        self.code: str = news["code"]
        self.low: int = news["low"]
        self.high: int = news["high"]
        super().__init__(f"{self.code}: {news['why']}")


class Application:
    """One secure application entity. Use it as an async context manager, or `close` it."""

    def __init__(
        self, client: httpx2.AsyncClient, sae: str, urns: dict[str, str], sleep: Sleep = asyncio.sleep
    ) -> None:
        """`urns`: endpoint URNs by SAE ID, so that peers can be named by either. `sleep`: waits on the network's
        clock."""
        self.sae = sae
        self._client = client
        self._urns = urns
        self._sleep = sleep
        self._inbox: deque[Message] = deque()
        self._pair_news: deque[dict[str, Any]] = deque()
        self._seen: set[str] = set()

    @classmethod
    def of(cls, directory: Path | str, sae: str) -> Self:
        """An application of the twin that runs in `directory` (`quoit up --dir`). Raises FileNotFoundError if there
        is none, KeyError for an SAE ID that it does not have."""
        doors = json.loads((Path(directory) / "doors.json").read_text(encoding="utf-8"))
        own = doors["applications"][sae]
        context = ssl.create_default_context(cafile=doors["ca"])
        context.load_cert_chain(own["cert"], own["key"])
        client = httpx2.AsyncClient(base_url=own["url"], verify=context, timeout=30, trust_env=False)
        urns = {name: app["urn"] for name, app in doors["applications"].items()}
        speed = float(doors["speed"])

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds / speed)

        return cls(client, sae, urns, sleep)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def sleep(self, seconds: float) -> None:
        """Wait on the network's clock."""
        await self._sleep(seconds)

    # -- units ---------------------------------------------------------------------------------------

    async def request(
        self,
        peers: Sequence[str],
        *,
        kind: str | None = None,
        number: int = 1,
        fidelity: float | None = None,
        measure: str | None = None,
        valid_until_unix_s: int | None = None,
        graph: str | Sequence[tuple[str, str]] | None = None,
        tests: int = 0,
        confidence: float | None = None,
        priority: int | None = None,
        within_s: int | None = None,
    ) -> Unit:
        """Ask for `number` states shared with `peers` (SAE IDs or URNs): Bell pairs with one, GHZ states with more.
        `measure` X, Y or Z: do not keep the qubits, every party's are read in that basis as soon as they are there.

        `kind` "w": W states. `graph`: graph states, with edges between parties as given by name, or line, ring, star
        (this party in the middle) or complete, in the order of this party and its peers.
        `tests`: so many like states are tested before, and must show `fidelity` with `confidence` (0.95).
        `priority`: 0 to 7, the highest goes first. `within_s`: how long it may take until the unit has failed (60).

        Returns when every party has its qubits, or the unit as it is if that takes more than some seconds. Raises
        Refusal: `fidelity-unreachable` with `fields["best"]`, `no-memory`, `no-route`, `peer-unreachable`...
        """
        kind = kind or ("graph" if graph is not None else "phi+" if len(peers) == 1 else "ghz")
        parameters = [f"size={number}", f"state={quote(kind, safe='+')}"]
        if fidelity is not None:
            parameters.append(f"fidelity={fidelity:.6f}")
        if measure is not None:
            parameters += ["deliver=measure", f"basis={measure}"]
        if valid_until_unix_s is not None:
            parameters.append(f"valid-until={valid_until_unix_s}")
        own = self._urn(self.sae)
        if graph is not None:
            parameters.append(f"graph={self._edges(graph, [self.sae, *peers])}")
        asked = {"tests": tests or None, "confidence": confidence, "priority": priority, "within": within_s}
        parameters += [f"{name}={value}" for name, value in asked.items() if value is not None]
        body = {
            "endpoints": [own, *(self._urn(peer) for peer in peers)],
            "lifecycle": f"urn:{own.split(':')[1]}:lifecycle?={'&'.join(parameters)}",
        }
        unit = Unit.of(await self._call("POST", "/api/v1/units", body))
        self._seen.add(unit.unit_id)
        return unit

    def _edges(self, graph: str | Sequence[tuple[str, str]], parties: Sequence[str]) -> str:
        """As the lifecycle has it: between seats, which are numbered by URN."""
        urns = [self._urn(party) for party in parties]
        seat = dict(zip(urns, seats(urns), strict=True))
        n = range(len(parties))
        shapes = {
            "line": [(k, k + 1) for k in n[:-1]],
            "ring": [(k, (k + 1) % len(parties)) for k in (n if len(parties) > 2 else n[:-1])],
            "star": [(0, k) for k in n[1:]],
            "complete": [(a, b) for a in n for b in n if a < b],
        }
        if isinstance(graph, str):
            if graph not in shapes:
                raise ValueError(f"graph: expected edges, or one of {', '.join(shapes)}; found {graph!r}")
            ends = [(urns[a], urns[b]) for a, b in shapes[graph]]
        else:
            ends = [(self._urn(a), self._urn(b)) for a, b in graph]
        strangers = sorted({urn for edge in ends for urn in edge} - seat.keys())
        if strangers:
            raise ValueError(f"graph: {strangers[0]} is no party of the unit")
        return ".".join(f"{seat[a]}-{seat[b]}" for a, b in ends)

    async def unit(self, unit_id: str) -> Unit:
        """A unit as it is now. Refusal `unknown-unit`."""
        return Unit.of(await self._call("GET", f"/api/v1/units/{unit_id}"))

    async def next_unit(self, within_s: float = 10.0) -> Unit:
        """The next unit of shared states that another party has opened with this one, once it is established (or
        measured already). Raises TimeoutError."""
        waited = 0.0
        while True:
            found = await self._call("GET", "/api/v1/units")
            for members in reversed(found["units"]):
                here = members["state"] == "established" or members["outcomes"]
                if members["kind"] != "key" and here and members["unit_id"] not in self._seen:
                    self._seen.add(members["unit_id"])
                    return Unit.of(members)
            if waited >= within_s:
                raise TimeoutError(f"no unit for {self.sae} within {within_s} s")
            await self._sleep(0.01)
            waited += 0.01

    async def close_unit(self, unit_id: str) -> Unit:
        """End a unit; its qubits are lost at every party."""
        return Unit.of(await self._call("DELETE", f"/api/v1/units/{unit_id}"))

    # -- qubits --------------------------------------------------------------------------------------

    async def allocate(self, number: int = 1) -> tuple[str, ...]:
        """Empty memories at the application's node."""
        found = await self._call("POST", "/api/v1/memories", {"number": number})
        return tuple(found["addresses"])

    async def free(self, *addresses: str) -> None:
        """Give memories back; what is in them is lost."""
        await self._call("POST", "/api/v1/memories/free", {"addresses": list(addresses)})

    async def init(self, address: str) -> None:
        """A qubit in |0>."""
        await self._operate("init", address)

    async def gate(self, name: str, *addresses: str, angle_rad: float = 0.0) -> None:
        """x y z h s sdg t, rx ry rz (with an angle), cnot (control first), cz, swap."""
        await self._operate(name, *addresses, angle_rad=angle_rad)

    async def measure(self, address: str, basis: str = "Z") -> int:
        """Read a qubit in Z, X or Y; it is gone then."""
        return int((await self._operate("measure", address, basis=basis))[0])

    async def bell_measure(self, one: str, other: str) -> tuple[int, int]:
        """Read two qubits in the Bell basis: (flip, phase); both are gone then."""
        flip, phase = await self._operate("bell-measure", one, other)
        return int(flip), int(phase)

    async def correct(self, address: str, pauli: str) -> None:
        """Note a Pauli in the qubit's frame: no time, no noise."""
        await self._operate("correct", address, pauli=pauli)

    async def wait(self, address: str, seconds: float) -> None:
        """Let a qubit wait in its memory, on the network's clock; it ages. Raises Refusal `bad-operation` if it is gone
        by then, as when its unit has expired."""
        await self._sleep(seconds)
        await self.correct(address, "I")

    async def discard(self, address: str) -> None:
        """Throw a qubit away."""
        await self._operate("discard", address)

    async def _operate(self, name: str, *addresses: str, **more: Any) -> list[int]:
        body = {"name": name, "addresses": list(addresses), **more}
        bits: list[int] = (await self._call("POST", "/api/v1/memories/operations", body))["bits"]
        return bits

    async def teleport(self, address: str, half: str, to: str) -> None:
        """Send the qubit at `address` to `to`, through this party's `half` of a Bell pair with it. The other side
        calls `receive_teleported`."""
        flip, phase = await self.bell_measure(address, half)
        await self.send(to, {"teleported": [flip, phase]})

    async def receive_teleported(self, half: str, sender: str, within_s: float = 10.0) -> str:
        """Wait for the sender's two bits and correct this party's half, which then holds the qubit; its address."""
        await self.correct_teleported(half, await self.receive(sender, within_s, key="teleported"))
        return half

    async def correct_teleported(self, half: str, message: Message) -> None:
        """Correct this party's half by the sender's message, which was received already."""
        flip, phase = message.data["teleported"]
        await self.correct(half, ("IZ", "XY")[flip][phase])

    # -- pairs of the link service ---------------------------------------------------------------------

    async def create_pairs(
        self,
        peer: str,
        *,
        kind: str = "K",
        number: int = 1,
        fidelity: float = 0.0,
        within_s: float | None = None,
        purpose: int = 0,
        priority: int = 0,
        atomic: bool = False,
        consecutive: bool = False,
        near: dict[str, Any] | None = None,
        far: dict[str, Any] | None = None,
        waits: str = "T",
    ) -> int:
        """CREATE: pairs with an application at a neighbouring node, which must `receive_pairs`; the create id.

        `kind`: K both keep, M both measure, R this party measures and the peer's qubit is prepared. `near`, `far`: how
        this party's and the peer's halves are measured, such as {"random": "CHSH"} or {"turns": [0, 64, 0]}. All else
        is in docs/link-service.md. Raises Refusal with the draft's error code in `fields["err"]`.
        """
        body: dict[str, Any] = {
            "peer": self._urn(peer), "kind": kind, "number": number, "fidelity": fidelity, "purpose": purpose,
            "priority": priority, "atomic": atomic, "consecutive": consecutive, "waits": waits,
            "max_time_ms": 0 if within_s is None else max(1, int(within_s * 1e3)),
        }  # fmt: skip
        body |= {name: reading for name, reading in (("near", near), ("far", far)) if reading is not None}
        create_id: int = (await self._call("POST", "/api/v1/pairs", body))["create_id"]
        return create_id

    async def receive_pairs(self, peer: str, purpose: int = 0) -> None:
        """Take part in pairs that `peer` creates with this purpose."""
        await self._call("POST", "/api/v1/pairs/receive", {"peer": self._urn(peer), "purpose": purpose})

    async def stop_receiving(self, peer: str, purpose: int = 0) -> None:
        """Take part no longer; the peer hears REJECTED for what is under way."""
        await self._call("POST", "/api/v1/pairs/stop", {"peer": self._urn(peer), "purpose": purpose})

    async def cancel_pairs(self, create_id: int, circuit: Circuit | None = None) -> None:
        """Give a request of this party's up. Refusal `no-such-element` if it has ended."""
        over = "" if circuit is None else f"/circuits/{circuit.circuit}"
        await self._call("DELETE", f"/api/v1{over}/pairs/{create_id}")

    async def open_circuit(self, peer: str, fidelity: float) -> Circuit:
        """A virtual circuit to an application at any node with memories. Raises Refusal: `fidelity-unreachable` with
        `fields["best"]`, `no-route`..."""
        found = await self._call("POST", "/api/v1/circuits", {"peer": self._urn(peer), "fidelity": fidelity})
        return Circuit(**{**found, "nodes": tuple(found["nodes"])})

    async def request_pairs(
        self,
        circuit: Circuit,
        *,
        within_s: float,
        number: int = 0,
        rate_hz: float = 0.0,
        delivery: str = "KEEP",
        bell: str = "phi+",
        waits: str | None = None,
        purpose: int = 0,
        priority: int = 0,
        near: dict[str, Any] | None = None,
        far: dict[str, Any] | None = None,
    ) -> int:
        """Pairs over a circuit, so many or at such a rate, all within that time; the create id. The peer must
        `receive_pairs`; `next_pairs` tells of them. `delivery`: KEEP, EARLY (as soon as this end can be sure) or
        MEASURE; then `waits` B, C or T. Raises Refusal: `not-admitted` with `fields["offered_hz"]`, `no-time`..."""
        body: dict[str, Any] = {
            "within_ms": max(1, int(within_s * 1e3)), "number": number, "rate_hz": rate_hz, "delivery": delivery,
            "bell": bell, "purpose": purpose, "priority": priority,
        }  # fmt: skip
        more = (("near", near), ("far", far), ("waits", waits))
        body |= {name: value for name, value in more if value is not None}
        create_id: int = (await self._call("POST", f"/api/v1/circuits/{circuit.circuit}/pairs", body))["create_id"]
        return create_id

    async def close_circuit(self, circuit: Circuit) -> None:
        """End it; what is under way ends with REJECTED."""
        await self._call("DELETE", f"/api/v1/circuits/{circuit.circuit}")

    async def next_pairs(self, within_s: float = 10.0) -> Pairs:
        """The next OK. Raises PairsLost for an ERR, TimeoutError."""
        left_s = within_s
        while not self._pair_news:
            if left_s <= 0:
                raise TimeoutError(f"no pairs for {self.sae} within {within_s} s")
            wait_s = min(left_s, LONGEST_WAIT_S)
            left_s -= wait_s
            self._pair_news.extend((await self._call("GET", f"/api/v1/pairs?wait_ms={round(wait_s * 1e3)}"))["news"])
        news = self._pair_news.popleft()
        if news["type"] == "ERR":
            raise PairsLost(news)
        pairs = tuple(Pair(**pair) for pair in news["pairs"])
        return Pairs(
            news["create_id"], news["mine"], news["peer"], news["purpose"], news["kind"], news["done"], pairs,
            news["circuit"],
        )  # fmt: skip

    # -- classical messages ----------------------------------------------------------------------------

    async def send(self, to: str, data: Any) -> None:
        """Send any JSON value to another application; returns when it has arrived."""
        await self._call("POST", "/api/v1/messages", {"to": to, "text": json.dumps(data)})

    async def receive(self, sender: str | None = None, within_s: float = 10.0, key: str | None = None) -> Message:
        """The next message, of this sender and with this key in it if given; others wait. Raises TimeoutError."""
        left_s = within_s
        while True:
            for message in self._inbox:
                fits = key is None or (isinstance(message.data, dict) and key in message.data)
                if fits and sender in (None, message.sender):
                    self._inbox.remove(message)
                    return message
            if left_s <= 0:
                raise TimeoutError(f"no message for {self.sae} within {within_s} s")
            wait_s = min(left_s, LONGEST_WAIT_S)
            left_s -= wait_s
            found = await self._call("GET", f"/api/v1/messages?wait_ms={round(wait_s * 1e3)}")
            for m in found["messages"]:
                self._inbox.append(Message(m["sender"], json.loads(m["text"]), m["sent_ns"], m["arrived_ns"]))

    # -- the wire --------------------------------------------------------------------------------------

    def _urn(self, name: str) -> str:
        if name[:4].lower() == "urn:":
            return name
        if name not in self._urns:
            raise KeyError(f"no application is called {name!r}; known: {', '.join(sorted(self._urns))}")
        return self._urns[name]

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self._client.request(method, path, json=body)
        if answer.status_code == 204:
            return {}
        members: dict[str, Any] = answer.json()
        if answer.status_code >= 400:
            raise Refusal(answer.status_code, members)
        return members
