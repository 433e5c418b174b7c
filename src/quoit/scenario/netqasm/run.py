"""One run: nodes with their doors on loopback, an application's programs as threads, virtual time between them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from netqasm.runtime.app_config import AppConfig
from netqasm.sdk.config import LogConfig

from quoit.interfaces.netqasm.executor import Executor
from quoit.interfaces.netqasm.external import module_for, supplied
from quoit.interfaces.netqasm.host import NodeError, Site
from quoit.interfaces.netqasm.server import NodeServer
from quoit.runtime.seeds import generator
from quoit.scenario.netqasm.application import Application, imported
from quoit.scenario.netqasm.clock import Clock, Signal, VirtualPace
from quoit.scenario.netqasm.hardware import Hardware
from quoit.scenario.netqasm.network import Network


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`rounds`: how often the programs run, one round after the other on the same network. `inputs`: arguments that
    come before those of the application's files. `patience_s`: simulated seconds that a wait may take. `within_s`: real
    seconds that a program may take between two things it asks of its node."""

    seed: int = 0
    rounds: int = 1
    hardware: Hardware | None = None
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    patience_s: float = 3600.0
    within_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """A program that ended by an exception."""

    round: int
    role: str
    error: str
    trace: str


@dataclass(frozen=True, slots=True)
class Report:
    """`results`: what each role's `main` returned, a mapping for each round; None for a role that failed.
    `time_ns`: simulated. `pairs`: heralded. `notes`: assumptions about the hardware."""

    results: Sequence[Mapping[str, Any]]
    failures: Sequence[Failure]
    time_ns: int
    pairs: int
    notes: Sequence[str]


class _Exchange:
    """Text between applications: as fast as light between their nodes, in order."""

    def __init__(self, clock: Clock, network: Network, allocation: Mapping[str, str], patience_ns: int) -> None:
        self._clock, self._network, self._allocation = clock, network, allocation
        self._patience_ns = patience_ns
        self._came: list[tuple[str, str, int, str]] = []
        self._round = 0
        self._waiting: list[Signal] = []

    async def send(self, sender: str, receiver: str, socket: int, text: str) -> None:
        delay = self._network.light_ns(self._allocation[sender], self._allocation[receiver])
        number = self._round
        self._clock.after(delay, lambda: self._arrive(number, (receiver, sender, int(socket), text)))

    def _arrive(self, number: int, message: tuple[str, str, int, str]) -> None:
        if number != self._round:
            return
        self._came.append(message)
        waiting, self._waiting = self._waiting, []
        for signal in waiting:
            signal.give()

    async def receive(
        self, receiver: str, senders: Sequence[str], socket: int, within_ns: int | None
    ) -> tuple[str, str] | None:
        until = self._clock.now_ns + (self._patience_ns if within_ns is None else within_ns)
        while True:
            for message in self._came:
                if message[0] == receiver and message[1] in senders and message[2] == socket:
                    self._came.remove(message)
                    return message[1], message[3]
            if self._clock.now_ns >= until:
                return None
            signal = Signal(self._clock)
            self._waiting.append(signal)
            timer = self._clock.after(until - self._clock.now_ns, signal.give)
            await signal
            timer.cancel()

    def forget(self, host: str) -> None:
        """A round ends as a whole: see `next_round`."""

    def next_round(self) -> None:
        """What nobody received in this round, or is on its way, is not for the next."""
        self._came.clear()
        self._round += 1


def run_application(application: Application, options: RunOptions = RunOptions()) -> Report:
    """Run it in virtual time. The same application, options and seed give the same report.

    Programs' own `random` and `numpy.random` are seeded too, and as before afterwards. RuntimeError for a program that
    does not come back.
    """
    site = Site(within_s=options.within_s)
    with supplied(module_for(site)), seeded(options.seed), imported(application) as mains:
        hardware = options.hardware or application.hardware or Hardware()
        return play(Cast(mains, application.inputs, application.allocation, hardware), options, site)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: `main` of each role, its inputs and its node, by default of the role's own name."""

    mains: Mapping[str, Callable[..., Any]]
    inputs: Mapping[str, Mapping[str, Any]]
    allocation: Mapping[str, str]
    hardware: Hardware
    app_config: bool = True
    """Whether programs take it."""


def play(cast: Cast, options: RunOptions, site: Site) -> Report:
    """All rounds. `site` is what the programs' connections belong to; it is filled in."""
    return asyncio.run(_Run(cast, options, site).go())


class _Run:
    def __init__(self, cast: Cast, options: RunOptions, site: Site) -> None:
        self._cast, self._options, self._site = cast, options, site
        self._clock = Clock()
        self._allocation = dict(cast.allocation) or {role: role for role in cast.mains}
        self._nodes = tuple(dict.fromkeys(self._allocation.values()))
        self._hardware = cast.hardware
        self._network = Network(self._nodes, self._hardware, options.seed, self._clock)
        patience = round(options.patience_s * 1e9)
        self._exchange = _Exchange(self._clock, self._network, self._allocation, patience)
        self._patience_ns = patience
        self._failures: list[Failure] = []
        self._over: asyncio.Future[None]
        """Of the round that is under way."""

    async def go(self) -> Report:
        pace = VirtualPace(self._clock, self._end, self._hardware.host_ns)
        servers: list[NodeServer] = []
        ports: dict[str, int] = {}
        try:
            for name in self._nodes:
                server = self._server(name, pace)
                servers.append(server)
                ports[name] = await server.start()
            self._site.nodes, self._site.allocation, self._site.ports = self._nodes, self._allocation, ports
            results = await self._rounds(pace)
        finally:
            for server in servers:
                await server.close()
            self._clock.close()
        return Report(results, self._failures, self._clock.now_ns, self._network.made, self._hardware.notes)

    def _server(self, name: str, pace: VirtualPace) -> NodeServer:
        executor = Executor(self._network.processors[name], self._nodes, patience_ns=self._patience_ns)

        def oracle(address: int, reduced: bool) -> list[list[tuple[float, float]]] | None:
            seen = self._network.observe(name, address, reduced)
            return None if seen is None else [[(float(x.real), float(x.imag)) for x in row] for row in seen]

        return NodeServer(executor, pace, self._exchange, oracle)

    def _end(self, fault: BaseException | None) -> None:
        if self._over.done():
            return
        if fault is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(fault)

    async def _rounds(self, pace: VirtualPace) -> list[Mapping[str, Any]]:
        results: list[Mapping[str, Any]] = []
        with tempfile.TemporaryDirectory() as logs:
            for number in range(self._options.rounds):
                results.append(await self._round(number, pace, logs))
                self._exchange.next_round()
        return results

    async def _round(self, number: int, pace: VirtualPace, logs: str) -> Mapping[str, Any]:
        self._over = asyncio.get_running_loop().create_future()
        results: dict[str, Any] = dict.fromkeys(self._cast.mains)
        for role, main in self._cast.mains.items():
            # A copy: programs may change what they are given, and another round has the same inputs.
            inputs = deepcopy({**self._cast.inputs.get(role, {}), **self._options.inputs.get(role, {})})
            log = LogConfig(log_subroutines_dir=logs, log_dir=logs)
            config = AppConfig(role, self._allocation[role], main, log, inputs)
            given = {"app_config": config, **inputs} if self._cast.app_config else inputs
            program = Program(number, role, main, given, self._site, results, self._failures)
            # Daemons: a program that never comes back must not keep the process.
            pace.begin(role, threading.Thread(target=program.run, name=f"netqasm-{role}", daemon=True).start)
        pace.settle()
        await self._done(pace)
        return results

    async def _done(self, pace: VirtualPace) -> None:
        """Until all programs have ended. One that asks nothing for `within_s` is stuck."""
        while True:
            before = self._clock.entered
            try:
                await asyncio.wait_for(asyncio.shield(self._over), self._options.within_s)
                return
            except TimeoutError:
                if self._clock.entered == before:
                    stuck = ", ".join(sorted(pace.running))
                    raise RuntimeError(f"{stuck}: no sign of life for {self._options.within_s} s") from None


@dataclass(frozen=True, slots=True)
class Program:
    """A role's `main` in a thread of its own."""

    round: int
    role: str
    main: Callable[..., Any]
    given: Mapping[str, Any]
    site: Site
    results: dict[str, Any]
    failures: list[Failure]

    def run(self) -> None:
        try:
            self.results[self.role] = self.main(**self.given)
        except BaseException as fault:  # noqa: BLE001  a program may raise what it likes; it ends here
            text = f"{type(fault).__name__}: {fault}"
            self.failures.append(Failure(self.round, self.role, text, traceback.format_exc()))
        finally:
            with contextlib.suppress(OSError, NodeError):
                self.site.close(self.role)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators that programs draw from."""
    before, before_numpy = random.getstate(), np.random.get_state()
    draw = generator(seed, "programs", "netqasm")
    random.seed(int(draw.integers(2**63)))
    np.random.seed(int(draw.integers(2**32)))
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)
