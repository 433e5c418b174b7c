"""Links of a run: who asked whom for pairs, attempts with geometric waiting, heralds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from quoit.engine.ledger import AttemptId, Ledger, Slot
from quoit.interfaces.netqasm.processor import (
    Bell,
    Code,
    Create,
    EprSocket,
    Failed,
    Fault,
    Kind,
    Matched,
    Pair,
    Reading,
    Receive,
)
from quoit.runtime.seeds import generator
from quoit.scenario.netqasm.clock import Clock, Timer
from quoit.scenario.netqasm.hardware import Hardware, LinkModel
from quoit.scenario.netqasm.processor import LedgerProcessor

_PAULI = {Bell.PHI_PLUS: 0, Bell.PHI_MINUS: 1, Bell.PSI_PLUS: 2, Bell.PSI_MINUS: 3}
"""Number of the Pauli, in the ledger's order, that makes the state of Phi+."""

Door = tuple[str, int, str, int]
"""A socket as its node sees it: node, number, remote node, remote number."""


@dataclass(slots=True)
class _Want:
    """A request under way. `since_ns`: of its last pair, or of itself."""

    number: int
    node: LedgerProcessor
    request: Create | Receive
    since_ns: int
    ready_ns: int = 0
    """Since when its end could begin with the next pair, as far as it is up to that end."""
    grants: list[tuple[int, int]] = field(default_factory=list)
    """Addresses for the next pairs, and since when."""
    done: int = 0
    dropped: bool = False
    told: set[int] = field(default_factory=set)
    """Of a receiver: creators whose request it knows of."""
    known: set[int] = field(default_factory=set)

    @property
    def door(self) -> Door:
        socket = self.request.socket
        return self.node.node, socket.number, socket.remote, socket.remote_number

    @property
    def mirror(self) -> Door:
        node, number, remote, remote_number = self.door
        return remote, remote_number, node, number

    @property
    def left(self) -> int:
        return self.request.pairs - self.done


@dataclass(slots=True)
class _Trial:
    """Attempts under way for one pair."""

    creator: _Want
    receiver: _Want
    slots: tuple[Slot, Slot]
    attempt: AttemptId | None
    began_ns: int
    attempts: int
    timer: Timer | None = None
    busy: int = 0
    """Halves that are being measured or moved."""


class _Link:
    """Between two nodes. One pair at a time; of the requests that could go on, the oldest first."""

    def __init__(self, model: LinkModel, rng: np.random.Generator) -> None:
        self.model, self.rng = model, rng
        self.creates: list[_Want] = []
        self.receives: list[_Want] = []
        self.trial: _Trial | None = None
        self.sequence = itertools.count()


class Network:
    """All nodes of a run, one ledger among them. `made`: pairs that were heralded."""

    def __init__(self, nodes: Iterable[str], hardware: Hardware, seed: int, clock: Clock) -> None:
        names = list(nodes)
        self._clock, self._hardware, self._seed = clock, hardware, seed
        self._ledger = Ledger(
            generator(seed, "netqasm", "ledger"), {name: hardware.of_node(name).noise for name in names}
        )
        self.processors = {
            name: LedgerProcessor(
                name, hardware.of_node(name), self._ledger, clock, generator(seed, name, "netqasm node"), self
            )
            for name in names
        }
        self._links: dict[frozenset[str], _Link] = {}
        self._wants: dict[int, _Want] = {}
        self._numbers = itertools.count(1)
        self._doors: set[Door] = set()
        self._generating = dict.fromkeys(names, 0)
        self._released: dict[str, tuple[_Link, int]] = {}
        """Which link a node served last, and until when."""
        self.made = 0

    # --- sockets and requests ---

    def light_ns(self, a: str, b: str) -> int:
        """From one node to another. Nodes without a link are as far as two of the default link."""
        if a == b:
            return 0
        model = self._hardware.of_link(a, b)
        return LinkModel().light_ns if model is None else model.light_ns

    def open_socket(self, node: str, socket: EprSocket) -> None:
        """`Processor.open_socket`."""
        self._link(node, socket.remote)
        if any(door[:3] == (node, socket.number, socket.remote) for door in self._doors):
            raise Fault(Code.REJECTED, f"EPR socket {socket.number} of {node} to {socket.remote} is in use")
        self._doors.add((node, socket.number, socket.remote, socket.remote_number))

    def close_socket(self, node: str, socket: EprSocket) -> None:
        self._doors.discard((node, socket.number, socket.remote, socket.remote_number))

    def _link(self, a: str, b: str) -> _Link:
        key = frozenset((a, b))
        found = self._links.get(key)
        if found is None:
            model = self._hardware.of_link(a, b) if a != b and b in self.processors else None
            if model is None:
                raise Fault(Code.NORES, f"no link leads from {a} to {b}")
            rng = generator(self._seed, "-".join(sorted(key)), "netqasm link")
            found = self._links[key] = _Link(model, rng)
        return found

    def create(self, node: str, request: Create) -> int:
        """`Processor.create`."""
        link = self._link(node, request.socket.remote)
        best = 100 * max(link.model.pair)
        if request.min_fidelity > best:
            raise Fault(
                Code.UNSUPP, f"expected a fidelity of {request.min_fidelity} %, and this link gives {best:.1f} %"
            )
        want = self._enter(node, request)
        link.creates.append(want)
        self._limit(link, want)
        self._poke(link)
        return want.number

    def receive(self, node: str, request: Receive) -> int:
        """`Processor.receive`."""
        link = self._link(node, request.socket.remote)
        want = self._enter(node, request)
        link.receives.append(want)
        self._poke(link)
        return want.number

    def _enter(self, node: str, request: Create | Receive) -> _Want:
        want = _Want(next(self._numbers), self.processors[node], request, self._clock.now_ns, self._clock.now_ns)
        self._wants[want.number] = want
        return want

    def grant(self, request: int, address: int) -> None:
        """`Processor.grant`."""
        want = self._wants.get(request)
        if want is not None:
            want.grants.append((address, self._clock.now_ns))
            self._poke_later(self._link(want.node.node, want.request.socket.remote))

    def cancel(self, request: int) -> None:
        """`Processor.cancel`."""
        want = self._wants.get(request)
        if want is None:
            return
        link = self._link(want.node.node, want.request.socket.remote)
        mates = [self._wants[number] for number in sorted(want.told | want.known) if number in self._wants]
        self._end(link, want)
        fault = Fault(Code.EXPIRE, f"{want.node.node} has ended its part in the request")
        for mate in mates:
            self._clock.after(link.model.light_ns, lambda mate=mate: self._fail(link, mate, fault))  # type: ignore[misc]

    def _limit(self, link: _Link, want: _Want) -> None:
        """Fail a request whose next pair is late."""
        request = want.request
        if not isinstance(request, Create) or request.within_ns is None:
            return
        within, done = request.within_ns, want.done

        def check() -> None:
            if want.number in self._wants and want.done == done:
                self._fail(link, want, Fault(Code.TIMEOUT, f"no pair within {within / 1e9} s"))

        self._clock.after(within, check)

    def _fail(self, link: _Link, want: _Want, fault: Fault) -> None:
        if want.number not in self._wants:
            return
        self._end(link, want)
        want.node.forget(want.number)
        want.node.tell(want.number, Failed(fault))

    def _end(self, link: _Link, want: _Want) -> None:
        """Take a request out, and stop what is being tried for it."""
        want.dropped = True
        self._finish(link, want, whole=True)
        trial = link.trial
        if trial is not None and trial.timer is not None and want in (trial.creator, trial.receiver):
            trial.timer.cancel()
            assert trial.attempt is not None
            made = (self._clock.now_ns - trial.began_ns) // link.model.cycle_ns
            self._ledger.close_attempt(trial.attempt, self._clock.now_ns, attempts=min(made, trial.attempts))
            self._release(link, trial)
        self._poke_later(link)

    # --- attempts ---

    def _poke_later(self, link: _Link) -> None:
        self._clock.after(0, lambda: self._poke(link))

    def _poke(self, link: _Link) -> None:
        """Begin with the next pair, if there is one to begin with."""
        seen: set[Door] = set()
        for creator in link.creates:
            if creator.door in seen:
                continue  # requests of one socket keep their order
            seen.add(creator.door)
            receiver = next((want for want in link.receives if want.door == creator.mirror), None)
            if receiver is None:
                continue
            self._introduce(link, creator, receiver)
            if link.trial is None and self._is_ready(creator, receiver):
                begin_ns = self._agreed_ns(link, creator, receiver)
                if begin_ns <= self._clock.now_ns:
                    self._try(link, creator, receiver)
                else:
                    self._clock.after(begin_ns - self._clock.now_ns, lambda: self._poke(link))

    def _introduce(self, link: _Link, creator: _Want, receiver: _Want) -> None:
        """Let the receiver know what it will take part in, as soon as the creator's message can be there."""
        if creator.number in receiver.told:
            return
        receiver.told.add(creator.number)
        creator.known.add(receiver.number)
        assert isinstance(creator.request, Create)
        kind = creator.request.kind

        def arrive() -> None:
            if receiver.number in self._wants:
                receiver.node.tell(receiver.number, Matched(kind))
                receiver.known.add(creator.number)
                receiver.ready_ns = self._clock.now_ns
                self._poke(link)

        sent_ns = creator.since_ns if creator.done == 0 else self._clock.now_ns
        self._clock.after(max(0, sent_ns + link.model.light_ns - self._clock.now_ns), arrive)

    def _is_ready(self, creator: _Want, receiver: _Want) -> bool:
        assert isinstance(creator.request, Create)
        kind = creator.request.kind
        return (
            creator.number in receiver.known
            and (kind is not Kind.KEEP or bool(creator.grants))
            and (kind is Kind.MEASURE or bool(receiver.grants))
            and all(self._generating[want.node.node] < want.node.interfaces for want in (creator, receiver))
        )

    def _agreed_ns(self, link: _Link, creator: _Want, receiver: _Want) -> int:
        """From when both ends know that both are ready: neither can know faster than light of what the other did."""
        ready_ns = 0
        for want in (creator, receiver):
            node = want.node.node
            ready_ns = max(ready_ns, want.ready_ns, want.grants[0][1] if want.grants else 0)
            by, released_ns = self._released.get(node, (link, 0))
            if by is not link:
                ready_ns = max(ready_ns, released_ns)
        return ready_ns + link.model.light_ns

    def _try(self, link: _Link, creator: _Want, receiver: _Want) -> None:
        assert isinstance(creator.request, Create)
        kind, now = creator.request.kind, self._clock.now_ns
        slots = (
            self._landing(creator, kind is Kind.KEEP),
            self._landing(receiver, kind is not Kind.MEASURE),
        )
        attempt = self._ledger.open_attempt(slots, now)
        needed = int(link.rng.geometric(link.model.p_success))
        trial = link.trial = _Trial(creator, receiver, slots, attempt, now, needed)
        for want in (creator, receiver):
            self._generating[want.node.node] += 1
        trial.timer = self._clock.after(needed * link.model.cycle_ns, lambda: self._herald(link, trial))

    def _landing(self, want: _Want, keeps: bool) -> Slot:
        """Where a half comes to: its memory, or a place of its own if it is to be measured or moved from there."""
        straight = keeps and not want.node.stores
        return want.node.node, want.grants[0][0] if straight else want.node.borrow()

    def _herald(self, link: _Link, trial: _Trial) -> None:
        model, now = link.model, self._clock.now_ns
        bell = model.heralds[int(link.rng.integers(len(model.heralds)))] if len(model.heralds) > 1 else model.heralds[0]
        state = [model.pair[k ^ _PAULI[bell]] for k in range(4)]
        self._ledger.herald(trial.slots, state, now, attempt=trial.attempt, attempts=trial.attempts)
        trial.attempt, trial.timer = None, None
        self.made += 1
        self._deliver(link, trial, bell)

    def _deliver(self, link: _Link, trial: _Trial, bell: Bell) -> None:
        """Tell both ends; halves that are to be measured first are."""
        request, sequence, now = trial.creator.request, next(link.sequence), self._clock.now_ns
        assert isinstance(request, Create)
        for want, (_, address), keeps, reading in (
            (trial.creator, trial.slots[0], request.kind is Kind.KEEP, request.local),
            (trial.receiver, trial.slots[1], request.kind is not Kind.MEASURE, request.remote),
        ):
            pair = Pair(
                want.done, request.kind, trial.creator.number, sequence, want is trial.creator, bell, now,
                now - trial.began_ns, want.grants.pop(0)[0] if keeps else None,
            )  # fmt: skip
            want.done, want.since_ns = want.done + 1, now
            trial.busy += 1
            self._clock.spawn(self._finish_half(link, trial, want, address, pair, reading))
        self._limit(link, trial.creator)

    async def _finish_half(
        self, link: _Link, trial: _Trial, want: _Want, address: int, pair: Pair, reading: Reading
    ) -> None:
        """Measure a half, or move it to its memory, and tell; the link is free when both halves are done."""
        if pair.address is None:
            outcome, basis = await want.node.read_half(address, reading)
            pair = replace(pair, outcome=outcome, basis=basis)
        elif want.dropped:
            if address != pair.address:
                want.node.empty(address)
        else:
            if address != pair.address:
                await want.node.store(address, pair.address)
            want.node.filled(pair.address)
        if not want.dropped:
            self._finish(link, want)
            want.node.tell(want.number, pair)
        trial.busy -= 1
        if not trial.busy:
            self._release(link, trial)

    def _finish(self, link: _Link, want: _Want, *, whole: bool = False) -> None:
        """Take a request out when it has all its pairs, or as a whole."""
        if whole or not want.left:
            self._wants.pop(want.number, None)
            for queue in (link.creates, link.receives):
                if want in queue:
                    queue.remove(want)

    def _release(self, link: _Link, trial: _Trial) -> None:
        link.trial = None
        for want, (_, address) in zip((trial.creator, trial.receiver), trial.slots, strict=True):
            self._generating[want.node.node] -= 1
            self._released[want.node.node] = link, self._clock.now_ns
            want.node.give_back(address)
        for other in list(self._links.values()):
            self._poke_later(other)

    # --- the oracle ---

    def observe(self, node: str, address: int, reduced: bool) -> NDArray[np.complex128] | None:
        """Density matrix of the qubit there, or with `reduced` false of the whole state, this qubit first. None if it
        has more than eight qubits."""
        slot = (node, address)
        if self._ledger.state_in(slot) is None:
            raise Fault(Code.NO_QUBIT, f"memory {address} of {node} holds no qubit")
        seen = self._ledger.observe(slot, self._clock.now_ns)
        if seen.matrix is None:
            return None
        size, at = len(seen.slots), seen.slots.index(slot)
        order = [at, *(k for k in range(size) if k != at)]
        whole = np.asarray(seen.matrix).reshape((2,) * (2 * size))
        whole = whole.transpose([*order, *(size + k for k in order)]).reshape(2**size, 2**size)
        if not reduced:
            return whole
        rest = 2 ** (size - 1)
        return np.asarray(np.einsum("ikjk->ij", whole.reshape(2, rest, 2, rest)))
