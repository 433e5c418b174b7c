"""What applications keep of a pair of KMEs that is broken under them, and what they find when it is back."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quoit.testing.campaign.victim import CHUNK_BITS

Call = Callable[[dict[str, Any]], dict[str, Any] | None]
"""Sends a command to a victim; its answer, or None if it died before it gave one."""


@dataclass
class Witness:
    """Drives a script of commands, and remembers each answer. Whoever dies is to be judged by `judge`."""

    dice: random.Random
    values: dict[str, str] = field(default_factory=dict)
    expires: dict[str, int | None] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    void: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    of_block: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    lost: int = 0
    operations: int = 0
    now: int = 0
    _ids: int = 0
    _block: int = 0
    _offset: int = 0

    def script(self) -> list[tuple[str, int]]:
        """What is asked, in order: each way in which a store writes comes up."""
        return [
            ("refill", 1),
            ("enc", 2),
            ("dec", 1),
            ("enc", 1),
            ("expire", 0),
            ("enc", 3),
            ("dec", 2),
            ("void", 1),
            ("refill", 1),
            ("quarantine", 0),
            ("enc", 2),
            ("dec", 1),
            ("dec", 1),
        ]

    def drive(self, call: Call) -> bool:
        """Play the script; False if the victim died on the way."""
        return all(self.step(what, number, call) for what, number in self.script())

    def step(self, what: str, number: int, call: Call) -> bool:
        """One command; False if the victim died before it answered."""
        self.now += 10
        self.operations += 1
        alive: bool = getattr(self, f"_{what}")(number, call)
        return alive

    def _refill(self, number: int, call: Call) -> bool:
        self._block += 1
        data = self.dice.randbytes(CHUNK_BITS // 8).hex()
        return call({"do": "refill", "now": self.now, "block": self._block, "data": data}) is not None

    def _enc(self, number: int, call: Call) -> bool:
        keys = [f"k{self._ids + i}" for i in range(number)]
        self._ids += number
        expires = self.now + 5 if number == 1 else None
        answer = call({"do": "enc", "now": self.now, "key_ids": keys, "expires": expires})
        if answer is None:
            return False
        for key, value in zip(keys, answer.get("values", ()), strict=False):
            if value in self.values.values():
                self.violations.append(f"K6: {key} is made of bits that were used before")
            self.values[key] = value
            self.expires[key] = expires
            self.of_block[key] = self._block
        return True

    def _waiting(self) -> list[str]:
        return [k for k in self.values if k not in self.taken | self.void | self.unsure]

    def _dec(self, number: int, call: Call) -> bool:
        keys = [k for k in self._waiting() if self.expires[k] is None][:number]
        self.unsure.update(keys)
        answer = call({"do": "dec", "now": self.now, "key_ids": keys}) if keys else {"values": []}
        if answer is None:
            return False
        self.unsure.difference_update(keys)
        self._given(keys, answer)
        return True

    def _given(self, keys: list[str], answer: dict[str, Any]) -> None:
        if "problem" in answer:
            self.violations += [f"K11: {key} was refused with {answer['problem']}" for key in keys]
            return
        for key, value in zip(keys, answer["values"], strict=True):
            if value != self.values[key]:
                self.violations.append(f"K3: other bytes for {key}")
            self.taken.add(key)

    def _expire(self, number: int, call: Call) -> bool:
        self.now += 10
        return call({"do": "expire", "now": self.now}) is not None

    def _void(self, number: int, call: Call) -> bool:
        keys = self._waiting()[:number]
        self.unsure.update(keys)
        answer = call({"do": "void", "now": self.now, "key_ids": keys})
        if answer is not None:
            self.void.update(keys)
        return answer is not None

    def _quarantine(self, number: int, call: Call) -> bool:
        keys = [k for k in self._waiting() if self.of_block[k] == 1]
        self.unsure.update(keys)
        answer = call({"do": "quarantine", "now": self.now, "first": 1, "last": 1})
        if answer is not None:
            self.void.update(keys)
        return answer is not None

    def judge(self, call: Call) -> list[str]:
        """Ask a victim that is back for everything. What it says must fit what was answered before it died."""
        self.now += 100
        for key in sorted(self.values):
            answer = call({"do": "dec", "now": self.now, "key_ids": [key]})
            if answer is None:
                self.violations.append("L2: it died again, with no fault under way")
                return self.violations
            self._judge_key(key, answer)
        if not (self.step("refill", 1, call) and self.step("enc", 2, call) and self.step("dec", 1, call)):
            self.violations.append("L2: it serves no key after its return")
        return self.violations

    def _judge_key(self, key: str, answer: dict[str, Any]) -> None:
        given = "values" in answer
        expires = self.expires[key]
        if given and answer["values"][0] != self.values[key]:
            self.violations.append(f"K3: other bytes for {key} after the return")
        if key in self.taken:
            if given:
                self.violations.append(f"K4: {key} was given again after the return")
        elif key in self.void:
            if given:
                self.violations.append(f"K13: {key} was given though it was void")
        elif expires is not None and self.now >= expires:
            if given:
                self.violations.append(f"K9: {key} was given though it had expired")
        elif key in self.unsure:
            self.lost += not given
        elif not given:
            self.violations.append(f"K11: {key} was promised and is gone ({answer['problem']})")
        if given:
            self.taken.add(key)
