"""Plays one scenario in virtual time and judges it from outside: by answers, and by the event log."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from quoit.fabric.api import UPKEEP, LinkCalm, LinkSuspect
from quoit.model.problem import Problem
from quoit.runtime.kernel import Put
from quoit.runtime.trace import Event
from quoit.runtime.virtual import VirtualWorld
from quoit.runtime.wire import Message
from quoit.scenario.assemble import Parts, assemble
from quoit.scenario.check import loads
from quoit.service.api import Keys, OpenKeys, TakeKeys
from quoit.service.keystore import FindAllOp, MirrorOp, OpenOp, StoreFailed, TakeOp
from quoit.service.storebook import StoreBook
from quoit.service.streams import master_of, slave_of
from quoit.testing.campaign.forgetful import ForgetfulStore
from quoit.testing.campaign.scenario import END_MS, MS, QUIET_MS, Fault, Scenario, Wish
from quoit.testing.checkers import verify

SIZE = 256
BACK_WITHIN_MS = END_MS - QUIET_MS


@dataclass
class Outcome:
    """What came of one scenario. `violations`: promise and how it was broken."""

    seed: int
    violations: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    operations: int = 0
    delivered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    lost_after_commit: int = 0
    voided: int = 0
    recovery_ms: list[int] = field(default_factory=list)


@dataclass
class _Key:
    """A key as its parties know it: what the master got, and how often each slave asked and what came."""

    wish: Wish
    value: bytes
    opened_ms: int
    expires_ms: int
    taken: Counter[int] = field(default_factory=Counter)
    unanswered: set[int] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)


class Swarm:
    """One scenario under way. `book` and `store` may be broken on purpose (see `mutants`)."""

    def __init__(
        self,
        scenario: Scenario,
        book: Callable[[], StoreBook] = StoreBook,
        store: type[ForgetfulStore] = ForgetfulStore,
    ) -> None:
        self.s = scenario
        self.outcome = Outcome(scenario.seed)
        self.dice = random.Random(f"{scenario.seed} dice")
        self.events: list[Event] = []
        self.keys: dict[str, _Key] = {}
        self.failed_ids: dict[str, Wish] = {}
        self._cuts: Counter[tuple[str, str]] = Counter()
        self._lossy = 0
        self._put_back_ms: dict[str, int] = {}
        self._down: dict[str, int] = {}
        self._failing: dict[str, bool] = {}
        self._todo: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0
        self._stores: dict[str, ForgetfulStore] = {}
        commit_ns = 1_000_000

        def make_store(kme: str) -> ForgetfulStore:
            made = self._stores[kme] = store(lambda: self.world.kernel.now, commit_ns, book)
            return made

        self.twin = assemble(loads(scenario.text()), Parts(make_store))
        self.world = VirtualWorld(self.twin.kernel)
        self.twin.kernel.carrier = self._carrier
        self.twin.kernel.sinks.append(self.events.append)

    # -- running -------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Play it to the end and judge it."""
        for wish in self.s.wishes:
            self._plan(wish.at_ms, lambda wish=wish: self._open(wish))  # type: ignore[misc]
        for fault in self.s.faults:
            self._plan(fault.at_ms, lambda fault=fault: self._begin(fault))  # type: ignore[misc]
        self.world.begin()
        self._play_until(QUIET_MS)
        for kme, store in self._stores.items():
            store.fails_next = False
            self._revive(kme)
        self._play_until(END_MS)
        self._whole_again()
        self._judge_keys()
        self._judge_rollbacks()
        self._judge_quarantine()
        self._judge_log()
        return self.outcome

    def _plan(self, at_ms: int, what: Callable[[], None]) -> None:
        self._planned += 1
        heappush(self._todo, (at_ms, self._planned, what))

    def _play_until(self, end_ms: int) -> None:
        while self._todo and self._todo[0][0] <= end_ms:
            at_ms, _, what = heappop(self._todo)
            self._advance(at_ms * MS)
            what()
        self._advance(end_ms * MS)

    def _advance(self, until_ns: int) -> None:
        while True:
            try:
                self.world.run_until(until_ns, steps=1)
            except StoreFailed:
                # The process of that KME ends, as `StoreFailed` demands; somebody starts it again.
                failed = next(k for k, store in self._stores.items() if self._failing.get(k) and not store.fails_next)
                self._failing[failed] = False
                self._crash(failed)
                self._plan(self._now_ms + 300, lambda kme=failed: self._revive(kme))  # type: ignore[misc]
            else:
                return

    @property
    def _now_ms(self) -> int:
        return self.twin.kernel.now // MS

    # -- faults --------------------------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        kme, other = f"kme-n{fault.node}", f"kme-n{fault.other}"
        begin: dict[str, Callable[[], bool | None]] = {
            "crash": lambda: self._crash_for(kme, fault),
            "store fails": lambda: self._fail_store(kme),
            "put back": lambda: self._put_back(kme, fault),
            "cut": lambda: self._cut(fault, (kme, other), (other, kme)),
            "one-way cut": lambda: self._cut(fault, (kme, other)),
            "lossy": lambda: self._be_lossy(fault),
            "quarantine": lambda: self._quarantine(fault),
            "fibre cut": lambda: True,  # an event of the network file
        }
        if begin[fault.kind]() is not False:
            self.outcome.faults[fault.kind] += 1

    def _crash(self, kme: str) -> None:
        if kme in self._down:
            return
        self._down[kme] = self._now_ms
        self.twin.kernel.crash(kme)
        self._stores[kme].crash(self.dice)

    def _revive(self, kme: str) -> None:
        if self._down.pop(kme, None) is not None:
            self._stores[kme].fails_next = False
            self._failing[kme] = False
            self.twin.kernel.revive(self.twin.make_kme(kme, self._stores[kme]))

    def _crash_for(self, kme: str, fault: Fault) -> bool:
        if kme in self._down:
            return False
        self._crash(kme)
        self._plan(fault.until_ms, lambda: self._revive(kme))
        return True

    def _fail_store(self, kme: str) -> bool:
        if kme in self._down:
            return False
        self._stores[kme].fails_next = True
        self._failing[kme] = True
        return True

    def _put_back(self, kme: str, fault: Fault) -> bool:
        """Crash, and start from an older copy, if peers can know: each one concerned heard of something newer."""
        if kme in self._down:
            return False
        store = self._stores[kme]
        self._crash(kme)
        length = self.dice.randint(0, store.length)
        known = self._noticeable(kme, store, length)
        if known:
            store.rewind(length)
            self._put_back_ms[kme] = self._now_ms
        self._plan(fault.until_ms, lambda: self._revive(kme))
        return known

    def _noticeable(self, kme: str, store: ForgetfulStore, length: int) -> bool:
        """Whether every peer that shared in what the older copy lacks has word of it on disk. Two stores that are
        put back at once can forget together: that is beyond the promise."""
        if self._unnoticed():
            return False
        since = store.done_since(length)
        concerned: set[str] = set()
        for op in since:
            if isinstance(op, OpenOp):
                concerned.add(slave_of(op.stream))
            elif isinstance(op, MirrorOp):
                concerned.add(master_of(op.stream))
            elif isinstance(op, TakeOp):
                concerned |= {peer for peer in self._stores if peer != kme}
        writes_then = store.writes - len(since)
        peers = concerned & self._stores.keys()
        return bool(peers) and all(
            peer not in self._down and self._stores[peer].remembers(kme) > writes_then for peer in peers
        )

    def _cut(self, fault: Fault, *ways: tuple[str, str]) -> None:
        self._cuts.update(ways)
        self._plan(fault.until_ms, lambda: self._cuts.subtract(ways))

    def _be_lossy(self, fault: Fault) -> None:
        self._lossy += 1

        def end() -> None:
            self._lossy -= 1

        self._plan(fault.until_ms, end)

    def _quarantine(self, fault: Fault) -> None:
        link = "n{}--n{}".format(*self.s.links[fault.other])
        blocks = [e.fields["block"] for e in self.events if e.event == "pool.filled" and e.fields["link"] == link]
        first = self.dice.choice(blocks) if blocks else 0
        now = self.twin.kernel.now
        self._tell(UPKEEP, LinkSuspect(link, first, 0.1, 0.02, now, "told so"))
        last = max(blocks, default=0)
        self._plan(fault.until_ms, lambda: self._tell(UPKEEP, LinkCalm(link, last, self.twin.kernel.now)))

    def _tell(self, to: str, msg: Message) -> None:
        self.twin.kernel.ask_from_outside(self.twin.kernel.now, to, msg, lambda _: None)

    def _carrier(self, source: str, target: str, put: Put) -> Put:
        """Between KMEs messages may be lost, late, or come twice."""
        if source not in self._stores or target not in self._stores or source == target:
            return put

        def carry(due: int, entry: Any) -> None:
            if self._cuts[source, target] > 0:
                return
            if self._lossy:
                fate = self.dice.random()
                if fate < 0.15:
                    return
                if fate < 0.4:
                    due += self.dice.randint(1, 1_500) * MS
                elif fate < 0.55:
                    put(due + self.dice.randint(1, 1_500) * MS, entry)
            put(due, entry)

        return carry

    # -- applications --------------------------------------------------------------------------------

    def _ask(self, to: str, msg: Message, then: Callable[[Any], None]) -> None:
        self.outcome.operations += 1
        self.twin.kernel.ask_from_outside(self.twin.kernel.now, to, msg, then)

    def _open(self, wish: Wish) -> None:
        slaves = [f"app{n}" for n in wish.slaves]
        ask = OpenKeys(
            f"app{wish.master}", slaves[0], len(wish.key_ids), wish.key_ids, SIZE, tuple(slaves[1:]), wish.valid_ms * MS
        )
        self.failed_ids |= dict.fromkeys(wish.key_ids, wish)
        asked_ms = self._now_ms

        def opened(answer: Any) -> None:
            if isinstance(answer, Problem):
                self.outcome.refused[answer.code] += 1
                return
            assert isinstance(answer, Keys)
            for key in answer.keys:
                del self.failed_ids[key.key_id]
                self.keys[key.key_id] = _Key(wish, key.value.reveal(), asked_ms, asked_ms + wish.valid_ms)
            for slave, delays in zip(wish.slaves, wish.after_ms, strict=True):
                for delay in delays:
                    self._plan(self._now_ms + delay, lambda slave=slave: self._take(slave, wish))  # type: ignore[misc]
            if wish.stranger:
                self._plan(self._now_ms + 1, lambda: self._steal(wish))

        self._ask(f"kme-n{wish.master}", ask, opened)

    def _take(self, slave: int, wish: Wish, final: bool = False) -> None:
        keys = [self.keys[key_id] for key_id in wish.key_ids]
        for key in keys:
            key.unanswered.add(slave)

        def taken(answer: Any) -> None:
            for key in keys:
                key.unanswered.discard(slave)
            if isinstance(answer, Problem):
                self.outcome.refused[answer.code] += 1
                if answer.code == "key-not-found":
                    for key in keys:
                        key.refused.setdefault(slave, self._now_ms)
                return
            for given, key in zip(answer.keys, keys, strict=True):
                key.taken[slave] += 1
                self.outcome.delivered += 1
                if given.value.reveal() != key.value:
                    self._say("K3", f"app{slave} got other bytes for {given.key_id}")
                if key.taken[slave] > 1:
                    self._say("K1", f"app{slave} got {given.key_id} again")

        self._ask(f"kme-n{slave}", TakeKeys(f"app{slave}", f"app{wish.master}", wish.key_ids), taken)

    def _steal(self, wish: Wish) -> None:
        thief = f"eve{wish.slaves[0]}"

        def taken(answer: Any) -> None:
            if not isinstance(answer, Problem):
                self._say("K2", f"{thief} got keys of app{wish.master}")

        self._ask(f"kme-n{wish.slaves[0]}", TakeKeys(thief, f"app{wish.master}", wish.key_ids), taken)

    # -- judging -------------------------------------------------------------------------------------

    def _say(self, promise: str, text: str) -> None:
        self.outcome.violations.append(f"{promise}: {text}")

    def _whole_again(self) -> None:
        """Liveness: once faults have ended, every pair gets a key within a bound, and an old key not yet taken too."""
        for wish in {key.wish for key in self.keys.values()}:
            for slave in wish.slaves:
                self._take(slave, wish)
        self._advance((END_MS + 5_000) * MS)
        for a in range(self.s.nodes):
            for b in range(self.s.nodes):
                if a != b:
                    self._pair_works(a, b)

    def _pair_works(self, a: int, b: int) -> None:
        """A key from `a` to `b`, with some patience."""
        for attempt in range(8):
            began = self.twin.kernel.now
            key_id = f"00000000-0000-4000-8000-{a:04x}{b:04x}{attempt:04x}"
            box: list[Any] = []
            self._ask(f"kme-n{a}", OpenKeys(f"app{a}", f"app{b}", 1, (key_id,), SIZE), box.append)
            self._advance(began + 4_000 * MS)
            if box and isinstance(box[0], Keys):
                self._ask(f"kme-n{b}", TakeKeys(f"app{b}", f"app{a}", (key_id,)), box.append)
                self._advance(began + 8_000 * MS)
                if len(box) == 2 and isinstance(box[1], Keys) and box[1].keys[0].value == box[0].keys[0].value:
                    self.outcome.recovery_ms.append(attempt * 8_000)
                    return
            self._advance(began + 8_000 * MS)
        self._say("L2", f"app{a} and app{b} get no key after all faults have ended: {box}")

    def _judge_keys(self) -> None:
        """K11: a key that was given to its master is there for its slaves, unless it was void or too late."""
        void = self._void_ids()
        self.outcome.voided = len(void & self.keys.keys())
        for key_id, key in self.keys.items():
            for slave in key.wish.slaves:
                if key.taken[slave] or slave in key.unanswered or key_id in void:
                    continue
                at = key.refused.get(slave)
                if self._put_back_ms.get(f"kme-n{slave}", -1) >= key.opened_ms:
                    continue  # its KME was put back to before it heard of the key; `_judge_rollbacks` sees to that
                if at is not None and at < key.expires_ms and not self._batch_touched(key, void):
                    self._say("K11", f"app{slave} never got {key_id}, refused at {at} ms")
        lost = {k for e in self.events if e.event == "keys.lost" for k in e.fields["key_ids"]}
        self.outcome.lost_after_commit = len(lost)

    def _judge_rollbacks(self) -> None:
        """K12: a store that was put back has noticed, by the end at the latest."""
        for kme in self._unnoticed():
            self._say("K12", f"{kme} was put back at {self._put_back_ms[kme]} ms and did not notice")

    def _unnoticed(self) -> list[str]:
        noticed = {e.by: e.t // MS for e in self.events if e.event == "store.rewound"}
        return [kme for kme, at_ms in self._put_back_ms.items() if noticed.get(kme, -1) < at_ms]

    def _judge_quarantine(self) -> None:
        """K15: once the news of a quarantine had time to arrive, no key that stands on its blocks is handed out."""
        bans = self._bans()
        for e in self.events:
            if e.event == "keys.taken":
                for found in self._stores[e.by].execute([FindAllOp(tuple(e.fields["key_ids"]))])[0]:
                    for link, block in {(p.link, p.block) for p in found.provenance}:
                        if any(at <= e.t and first <= block <= last for at, first, last in bans[link]):
                            self._say("K15", f"{found.key_id} stands on block {block} of {link} and was handed out")

    def _bans(self) -> dict[str, list[tuple[int, int, float]]]:
        """By link: when every KME has heard of a quarantine, its first block, its last one (which its end tells)."""
        bans: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
        for e in self.events:
            if e.event == "link.quarantined":
                bans[e.fields["link"]].append((e.t + 200 * MS, e.fields["first_block"], math.inf))
            elif e.event == "link.released":
                at, first, _ = bans[e.fields["link"]][-1]
                bans[e.fields["link"]][-1] = at, first, e.fields["from_block"] - 1
        return bans

    def _batch_touched(self, key: _Key, void: set[str]) -> bool:
        """A batch with one void key is refused whole (K10)."""
        return any(key_id in void for key_id in key.wish.key_ids)

    def _void_ids(self) -> set[str]:
        void: set[str] = set()
        for e in self.events:
            if e.event in ("keys.voided", "store.rewound", "keys.lost") or e.event == "keys.withdrawn":
                void.update(e.fields["key_ids"])
        return void

    def _judge_log(self) -> None:
        entries: list[dict[str, Any]] = [
            {"t": e.t, "by": e.by, "n": e.n, "event": e.event, **e.fields} for e in self.events
        ]
        for violation in verify(entries).violations:
            self._say(violation.promise, violation.text)


def play(scenario: Scenario, book: Callable[[], StoreBook] = StoreBook,
         store: type[ForgetfulStore] = ForgetfulStore) -> Outcome:  # fmt: skip
    """Play one scenario to its end."""
    return Swarm(scenario, book, store).run()
