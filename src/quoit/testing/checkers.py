"""Checkers outside the code: they read an event log and say which promises it breaks.

`PROMISES` says what is checked. The log is JSON lines as a run writes them, entries of each element in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

PROMISES = {
    "K1": "each party gets a key once",
    "K2": "nobody but its parties gets a key, and none that was never issued",
    "K3": "all parties get the same bytes (keyed marks of them are equal)",
    "K5": "a key_ID is issued once",
    "K6": "no bit of link key is used twice",
    "K7": "made = used + in store, for every link, at each entry that states a level",
    "K8": "a key end to end takes as many bits of every link on its way",
    "K9": "no key is handed out at or after its expiry",
    "K13": "no key is handed out after it was voided, lost or withdrawn",
    "K15": "no bit of a quarantined block is used once its pool has heard of the quarantine",
    "T4": "no key is taken before it was opened",
    "B1": "no entry is missing, and none comes twice",
    "log": "every line is an entry",
}
"""What is checked, by the code that a `Violation` carries."""

RELAYED = frozenset({"delivered", "pad"})
"""Uses of link key for keys end to end: as the key itself on the first link, as its pad on the others."""


@dataclass(frozen=True)
class Violation:
    """A broken promise: which, where, how."""

    promise: str
    line: int
    text: str


@dataclass
class Report:
    """What the checkers found. `ledger`, by link: bits `made`, bits of each use, bits `left` in store."""

    events: int = 0
    keys: int = 0
    ledger: dict[str, dict[str, int]] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        rows = [{"promise": v.promise, "line": v.line, "text": v.text} for v in self.violations]
        return {"events": self.events, "keys": self.keys, "ledger": self.ledger, "violations": rows}


@dataclass
class _Key:
    master: str
    slaves: frozenset[str]
    mark: str
    expires: int | None
    opened: int
    taken: set[str] = field(default_factory=set)


class Checker:
    """Feed it entries in log order, then `finish`."""

    def __init__(self) -> None:
        self.report = Report()
        self._line = 0
        self._keys: dict[str, _Key] = {}
        self._void: set[str] = set()
        self._blocks: dict[tuple[str, int], int] = {}
        self._spent: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self._last: dict[str, int] = {}
        self._suspect: dict[str, int] = {}
        self._auth: dict[str, int] = {}
        self._tainted: set[tuple[str, int]] = set()
        self._wanted: dict[str, int] = defaultdict(int)

    def _say(self, promise: str, text: str) -> None:
        self.report.violations.append(Violation(promise, self._line, text))

    def feed(self, entry: dict[str, Any]) -> None:
        """Take in one entry of the log."""
        self._line += 1
        self.report.events += 1
        if entry["event"] == "twin.resumed":
            self._last.clear()  # every element counts from one again
        last = self._last.get(entry["by"], 0)
        if entry["n"] != last + 1:
            self._say("B1", f"{entry['by']}: entry {entry['n']} follows {last}")
        self._last[entry["by"]] = entry["n"]
        handler = getattr(self, "_on_" + entry["event"].replace(".", "_"), None)
        if handler is not None:
            handler(entry)

    # -- keys ----------------------------------------------------------------------------------------

    def _on_keys_opened(self, e: dict[str, Any]) -> None:
        for key_id, mark in zip(e["key_ids"], e["mark"], strict=True):
            self.report.keys += 1
            if key_id in self._keys:
                self._say("K5", f"key {key_id} was issued before")
                continue
            self._keys[key_id] = _Key(e["master"], frozenset(e["slaves"]), mark, e["expires"], e["t"])

    def _on_keys_taken(self, e: dict[str, Any]) -> None:
        for key_id, mark in zip(e["key_ids"], e["mark"], strict=True):
            key = self._keys.get(key_id)
            who = e["caller"]
            if key is None:
                self._say("K2", f"{who} took key {key_id}, which was never issued")
                continue
            if who not in key.slaves:
                self._say("K2", f"{who} took key {key_id} of {key.master} and {', '.join(sorted(key.slaves))}")
            if who in key.taken:
                self._say("K1", f"{who} took key {key_id} a second time")
            if mark != key.mark:
                self._say("K3", f"{who} got other bytes for key {key_id} than {key.master}")
            if key.expires is not None and e["t"] >= key.expires:
                self._say("K9", f"{who} took key {key_id} at {e['t']}, it had expired at {key.expires}")
            if e["t"] < key.opened:
                self._say("T4", f"{who} took key {key_id} at {e['t']}, before it was opened at {key.opened}")
            if key_id in self._void:
                self._say("K13", f"{who} took key {key_id} after it was voided")
            key.taken.add(who)

    def _on_keys_voided(self, e: dict[str, Any]) -> None:
        # The far KME may void a key before the near one has said that it is open.
        self._void.update(e["key_ids"])

    def _on_keys_lost(self, e: dict[str, Any]) -> None:
        self._on_keys_voided(e)

    def _on_unit_closed(self, e: dict[str, Any]) -> None:
        self._on_keys_voided({"key_ids": [e["unit_id"]]})

    # -- bits ----------------------------------------------------------------------------------------

    def _on_pool_filled(self, e: dict[str, Any]) -> None:
        place = (e["link"], e["block"])
        if place in self._blocks:
            self._say("K7", f"block {e['block']} of {e['link']} came twice")
        self._blocks[place] = e["bits"]
        ledger = self.report.ledger.setdefault(e["link"], {"made": 0, "left": 0})
        ledger["made"] += e["bits"]
        ledger["left"] += e["bits"]
        if self._suspected(place):
            self._say("K15", f"block {e['block']} of {e['link']} was taken in, though it is quarantined")

    def _on_pool_spent(self, e: dict[str, Any]) -> None:
        place = (e["link"], e["block"])
        start, end = e["offset"], e["offset"] + e["bits"]
        size = self._blocks.get(place)
        if size is None or end > size or start < 0:
            self._say("K7", f"{e['link']} block {e['block']}: bits {start} to {end} were never made")
        for other_start, other_end in self._spent[place]:
            if start < other_end and other_start < end:
                self._say("K6", f"{e['link']} block {e['block']}: bits {start} to {end} were used before")
                break
        self._spent[place].append((start, end))
        ledger = self.report.ledger.setdefault(e["link"], {"made": 0, "left": 0})
        ledger["left"] -= e["bits"]
        ledger[e["use"]] = ledger.get(e["use"], 0) + e["bits"]
        if e["use"] != "discarded" and (place in self._tainted or self._suspected(place)):
            self._say("K15", f"{e['link']} block {e['block']}: bits {start} to {end} are quarantined, and were used")

    def _on_pool_level(self, e: dict[str, Any]) -> None:
        left = self.report.ledger.get(e["link"], {}).get("left", 0)
        if e["bits"] != left:
            self._say("K7", f"{e['link']} has {e['bits']} bits in store, its ledger says {left}")

    def _on_pool_open(self, e: dict[str, Any]) -> None:
        self._on_pool_level(e)

    def _on_pool_closed(self, e: dict[str, Any]) -> None:
        self._on_pool_level(e)

    def _on_pool_quarantined(self, e: dict[str, Any]) -> None:
        self._suspect[e["link"]] = e["first_block"]
        self._tainted |= {place for place in self._blocks if self._suspected(place)}

    def _on_pool_released(self, e: dict[str, Any]) -> None:
        self._suspect.pop(e["link"], None)

    def _suspected(self, place: tuple[str, int]) -> bool:
        first = self._suspect.get(place[0])
        return first is not None and place[1] >= first

    def _on_auth_spent(self, e: dict[str, Any]) -> None:
        """What authenticates a link's own messages has a ledger of its own."""
        level = self._auth.get(e["link"], e["level"] + e["bits"] - e["refilled"]) - e["bits"] + e["refilled"]
        if level != e["level"] or level < 0:
            self._say("K7", f"{e['link']} has {e['level']} bits to authenticate with, its ledger says {level}")
        self._auth[e["link"]] = e["level"]
        ledger = self.report.ledger.setdefault(e["link"], {"made": 0, "left": 0})
        ledger["authentication"] = ledger.get("authentication", 0) + e["bits"]

    def _on_link_commissioned(self, e: dict[str, Any]) -> None:
        self._auth[e["link"]] = e["level"]

    def _on_twin_resumed(self, e: dict[str, Any]) -> None:
        """Pools of links are in memory: what was left in them is gone."""
        for ledger in self.report.ledger.values():
            ledger["discarded"] = ledger.get("discarded", 0) + ledger["left"]
            ledger["left"] = 0
        self._suspect.clear()
        self._auth.clear()

    def _on_key_moved(self, e: dict[str, Any]) -> None:
        if len(e["links"]) != len(e["nodes"]) - 1:
            self._say("K8", f"a key of {e['stream']} went over {len(e['links'])} links from node to node")
        for link in e["links"]:
            self._wanted[link] += e["bits"]
            used = sum(bits for use, bits in self.report.ledger.get(link, {}).items() if use in RELAYED)
            if self._wanted[link] > used:
                self._say("K8", f"{link} carried {self._wanted[link]} bits and gave {used} for it")

    def finish(self) -> Report:
        """The report."""
        return self.report


def verify(entries: Iterable[dict[str, Any]]) -> Report:
    """Check entries in log order."""
    checker = Checker()
    for entry in entries:
        checker.feed(entry)
    return checker.finish()


def verify_events(path: Path) -> Report:
    """Check a log file. A line that is not an entry is a violation of its own."""
    checker = Checker()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                entry = msgspec.json.decode(line)
                checker.feed(entry)
            except (msgspec.DecodeError, KeyError, TypeError, ValueError) as fault:
                checker.report.violations.append(Violation("log", number, f"not an entry of an event log: {fault}"))
    return checker.finish()
