"""A live twin on this machine: kernel and pacing, stores, certificates, one listener per KME, operator socket.

A run has a directory: pki/ (kept between runs), stores/, events.jsonl (what happened), journal.jsonl (what
entered from outside), operator.sock (mode 0600: whoever can open it operates the twin).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import structlog

from quoit.adapters.crypto.kek_uri import open_kek
from quoit.adapters.crypto.pki import Authority, PkiError
from quoit.adapters.exporters.traces import OtlpJsonFile
from quoit.adapters.stores.memory import MemoryStore
from quoit.adapters.stores.sealed import SealedStore
from quoit.adapters.stores.sqlite import SqliteStore
from quoit.interfaces.repeated import Repeated
from quoit.runtime.context import Device
from quoit.runtime.gate import Gate
from quoit.runtime.journal import FORMAT, Header, JournalWriter
from quoit.runtime.kernel import Kernel
from quoit.runtime.live import LiveWorld
from quoit.runtime.trace import Digest, Event, Sink, to_line
from quoit.runtime.virtual import VirtualWorld
from quoit.scenario import certificates, orchestration_door
from quoit.scenario.apart import Company, facts_of
from quoit.scenario.assemble import Parts, Twin, assemble
from quoit.scenario.check import loads
from quoit.scenario.doors import Doors
from quoit.scenario.host_options import HostOptions
from quoit.scenario.joining import token_book
from quoit.scenario.news import NewsSource, OwnNews
from quoit.scenario.operator import OperatorSocket
from quoit.scenario.optical_door import OpticalDoor
from quoit.scenario.part_news import NewsGate
from quoit.scenario.parts import KMES
from quoit.scenario.run_directory import NothingToResume, TwinState, hold_directory
from quoit.scenario.spread import Spread
from quoit.service.keystore import StoreFailed

_log = structlog.get_logger("quoit", element="host")


@dataclass
class Host:
    """A twin that is being hosted. `start` it inside an event loop, then `stop` it."""

    network_text: str
    options: HostOptions
    file: str = "<text>"

    def __post_init__(self) -> None:
        self.network = loads(self.network_text, self.file)
        optical: OpticalDoor | None = None
        if self.options.tapi_port is not None:  # before anything is made: without its modules there is no door
            optical = OpticalDoor(self.network, self.options.tapi_yang)
        self.digest = Digest()
        share = self.options.share
        self._spread = None if share is None else Spread(self.network, share.processes)
        self._renewal: asyncio.Task[None] | None = None
        self._faults = Repeated(_log)
        self._prepare_directory()
        self._state = TwinState(self.options.directory / "twin.json")
        if self.options.resume:
            self._state.next_life(self.network.name)
        try:
            tokens = token_book(self.network, self.options.directory, anew=not self.options.resume)
        except ValueError as fault:  # who has joined is not known then
            raise NothingToResume(str(fault)) from fault
        # Before any store is made: a name that is misspelt must not leave stores under other keys.
        kek = self.options.kek
        self._kek = None if kek is None else open_kek(kek, make=not self.options.resume)
        apart = self.options.apart
        holds_kmes = apart is None or KMES in apart.part.cells
        self._opened: dict[str, SealedStore] = {
            k.id: self._open_store(k.id) for k in self.network.all_kmes() if holds_kmes
        }
        traces = self.options.traces
        self._traces = None
        if traces is not None:
            self._traces = OtlpJsonFile(traces, self.network.name, self.network.epoch_unix_s)
        self.twin: Twin = assemble(self.network, self._parts())
        self.company = None
        if apart is not None:
            facts = facts_of(self.network_text, self.network, self.options)
            self.company = Company(apart, self.network, self.twin.kernel, facts)
        self.authority = Authority(self.options.directory / "pki", self.network.name)
        # Unbuffered: what a killed twin had done before it answered is in its log.
        mode = "ab" if self.options.resume else "wb"
        self._events = (self.options.directory / f"events{self.options.suffix}.jsonl").open(mode, buffering=0)
        self._note_resumption()
        elements = self._elements_here(self.twin.kernel)
        self.twin.kernel.sinks += [_only(elements, self.digest), _only(elements, self._write_event)]
        life = self._state.life
        header = Header(FORMAT, version("quoit"), self.twin.kernel.seed, self.network_text, life=life)
        journal = (self.options.directory / f"journal{self.options.suffix}{f'-{life}' * bool(life)}.jsonl").open("wb")
        self.journal = JournalWriter(journal, header)
        self.world = LiveWorld(
            self.twin.kernel,
            speed=self.options.speed,
            epoch_unix_s=self.network.epoch_unix_s,
            record=self.journal,
        )
        self.news: NewsSource = OwnNews(self.twin.kernel) if self.company is None else self.company.news
        watch: Gate = self.world if self.company is None else NewsGate(self.world, self.company.news)
        self.doors = Doors(
            self.options, self.network, self.twin, self.world, self.authority, elements, tokens, optical, watch
        )

    def _elements_here(self, kernel: Kernel) -> frozenset[str]:
        """Names of the elements that are this process's share."""
        share, spread, apart = self.options.share, self._spread, self.options.apart
        if apart is not None:
            return frozenset(e.name for e in kernel.elements if e in apart.part)
        if share is None or spread is None:
            return frozenset(e.name for e in kernel.elements)
        return frozenset(e.name for e in kernel.elements if spread(e) == share.process)

    def _parts(self) -> Parts:
        share, apart = self.options.share, self.options.apart
        if apart is not None:
            # Without resources a part sees no key, and may go through a fast-forward with any.
            return Parts(self._store_of, self.options.seed, apart.root or os.urandom(32), trace_sink=self._traces)
        if share is None:
            root = None if self.options.deterministic_keys else os.urandom(32)
            start_ns = max((store.latest_ns for store in self._opened.values()), default=0)
            start_ns = max(start_ns, self._state.now_ns) + 1 if self.options.resume else 0
            make_store = self._opened.__getitem__
            life, mark_key = self._state.life, self._state.mark_key
            return Parts(make_store, self.options.seed, root, life, start_ns, mark_key, self._traces)
        return Parts(self._opened.__getitem__, self.options.seed, share.root, trace_sink=self._traces)

    def _prepare_directory(self) -> None:
        directory = self.options.directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = hold_directory(directory, f"twin{self.options.suffix}.lock")
        if not self.options.resume and self.options.store is None:
            # Keys of an earlier run belong to another simulated past.
            shutil.rmtree(directory / f"stores{self.options.suffix}", ignore_errors=True)

    def _open_store(self, kme: str) -> SealedStore:
        directory = self.options.directory / f"stores{self.options.suffix}" / kme
        if self.options.store is None:
            return SqliteStore(directory, self._kek)
        from quoit.adapters.stores.postgres import PostgresStore  # the `postgres` extra

        store = PostgresStore(self.options.store, kme, directory, self._kek)
        if store.has_past and not self.options.resume:
            store.close()
            raise NothingToResume(f"the store of {kme} has a past: go on with --resume, or drop its schema")
        return store

    def _store_of(self, kme: str) -> Device:
        """A KME's store; in a part that holds no KMEs, what a fast-forward needs of one."""
        return self._opened.get(kme) or MemoryStore()

    def _note_state(self) -> None:
        if self.options.share is None and self.company is None:  # a crew cannot be resumed
            self._state.note(self.network.name, self.twin.kernel.now)

    def _note_resumption(self) -> None:
        if self.options.resume:
            self._write_event(Event(self.twin.kernel.now, "twin", 1, "twin.resumed", {"life": self._state.life}))

    def _write_event(self, event: Event) -> None:
        self._events.write(to_line(event))

    # -- coming up -----------------------------------------------------------------------------------

    async def start(self, progress: Callable[[int], None] | None = None) -> None:
        """Fast-forward if asked, open all listeners, go live.

        Of several processes each fast-forwards all elements, which gives all the same, and goes on with its share.
        """
        asyncio.get_running_loop().set_exception_handler(self._on_loop_fault)
        wall_ns = None
        if self.company is None:
            self._fast_forward(progress)
            wall_ns = await self._share_out()
        await self.doors.open(self._operator())
        # Reading modules takes a while, in which a twin that was live already would be late.
        schema = None if self.options.orchestration_port is None else orchestration_door.schema()
        programs = self.doors.programs_here()
        if programs:
            import quoit.scenario.netqasm.doors  # noqa: F401  takes a second, in which a live twin would be late
        if self.company is not None:
            wall_ns = await self.company.join(lambda: self.options.from_ns > 0 and self._fast_forward(progress))
        self.world.begin(stop_at=self.options.until_ns, wall_ns=wall_ns)
        if self.company is not None:
            self.company.begin(self.world)
        if self.options.serve:
            await self.doors.open_live(schema, programs)
        if self.options.resume:
            await self.doors.join_again()
        self._renewal = asyncio.get_running_loop().create_task(self._renew())

    def _operator(self) -> OperatorSocket | None:
        """What operates the twin, where doors are served; of several processes, at the first."""
        share = self.options.share
        if not self.options.serve or (share is not None and share.process != 0):
            return None
        return OperatorSocket(self.options.directory / "operator.sock", self)

    def _fast_forward(self, progress: Callable[[int], None] | None) -> bool:
        ahead = VirtualWorld(self.twin.kernel)
        ahead.begin()
        if self.options.from_ns:
            ahead.run_until(self.options.from_ns, progress)
        return True

    async def _share_out(self) -> int | None:
        """Go on with this process's share, if there are others; returns the common start."""
        share = self.options.share
        if share is None or self._spread is None:
            return None
        self.twin.kernel.split(self._spread, share.process, share.bus)
        await share.bus.connect(self.world.receive, self.world.missed, self.world.fail)
        return await share.bus.start_together(share.processes)

    def _on_loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback failed that nobody waits for. A connection's is cut, and that is all; elsewhere, a step that ran
        out of memory was left half done, and nobody would ever do the rest."""
        fault = context.get("exception")
        steps = traceback.extract_tb(fault.__traceback__) if fault is not None else None
        where = f" at {steps[-1].filename}:{steps[-1].lineno}" if steps else ""
        self._faults.add("loop.fault", f"{context.get('message', '')}: {type(fault).__name__}{where}")
        if isinstance(fault, MemoryError) and "protocol" not in context:
            self.world.fail(fault)

    @property
    def joined(self) -> frozenset[str]:
        """Nodes that came with a token."""
        return frozenset(self.doors.tokens.joined)

    # -- upkeep --------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Note how far the twin is, and look after certificates."""
        while True:
            self._note_state()
            try:
                certificates.look_after(self.doors, datetime.now(UTC))
            except (OSError, ValueError, PkiError) as fault:  # the twin lives on with the certificates it has
                _log.error("certificates.not_renewed", error=str(fault))
            await asyncio.sleep(certificates.CHECK_S)

    async def stop(self) -> None:
        """Close listeners, stop pacing, flush logs."""
        if self._renewal is not None:
            self._renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewal
        await self.doors.close()
        self.world.end()
        if self.options.share is not None:
            await self.options.share.bus.close()
        if self.company is not None:
            until_ns = self.options.until_ns
            await self.company.leave(until_ns is not None and self.twin.kernel.now >= until_ns)
        self._faults.close()
        if self._traces is not None:
            self._traces.finish(self.twin.kernel)
        ends = [self._note_state, lambda: self.journal.close(self.twin.kernel.now), self._events.close]
        for end in (*ends, *(store.close for store in self._opened.values())):
            try:
                end()
            except (OSError, StoreFailed) as fault:  # a full disk: the others are to be closed all the same
                _log.error("stop.incomplete", error=str(fault))
        if self._kek is not None:
            self._kek.close()
        self._lock.close()


def _only(elements: frozenset[str], sink: Sink) -> Sink:
    """Pass on the events of these elements: those of others are in their own process's log."""

    def pass_on(event: Event) -> None:
        if event.by in elements:
            sink(event)

    return pass_on
