"""Two applications of a live twin that keep all that they are given, and what they hold against it."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from typing import Any

import requests


class Applications:
    """`master` opens keys, `slave` takes them, each at its own KME. Every answer is kept, and compared at once."""

    def __init__(self, master: str = "alice-app", slave: str = "bob-app") -> None:
        self.master, self.slave = master, slave
        self.sessions: dict[str, requests.Session] = {}
        self.urls: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.taken: Counter[str] = Counter()
        self.unsure: set[str] = set()
        self.refused: Counter[int] = Counter()

    def enter(self, doors: dict[str, Any]) -> None:
        """Go to the doors that `quoit up --json` tells."""
        for sae, app in doors["applications"].items():
            session = self.sessions[sae] = requests.Session()
            session.trust_env = False  # REQUESTS_CA_BUNDLE would win over `verify`
            session.cert, session.verify = (app["cert"], app["key"]), doors["ca"]
            self.urls[sae] = app["url"]

    def get(self, sae: str, path: str, **query: Any) -> requests.Response:
        return self.sessions[sae].get(f"{self.urls[sae]}/api/v1/keys/{path}", params=query, timeout=15)

    def open(self) -> list[str]:
        """enc_keys; the new identifiers, none if it was refused."""
        answer = self.get(self.master, f"{self.slave}/enc_keys", number=2)
        if answer.status_code != 200:
            self.refused[answer.status_code] += 1
            return []
        keys = {key["key_ID"]: key["key"] for key in answer.json()["keys"]}
        assert not keys.keys() & self.values.keys()
        assert not set(keys.values()) & set(self.values.values())
        self.values |= keys
        return list(keys)

    def take(self, key_id: str) -> int:
        """dec_keys of one key; the status."""
        self.unsure.add(key_id)
        answer = self.get(self.slave, f"{self.master}/dec_keys", key_ID=key_id)
        self.unsure.discard(key_id)
        if answer.status_code == 200:
            (key,) = answer.json()["keys"]
            assert key["key"] == self.values[key_id]
            self.taken[key_id] += 1
        return answer.status_code

    def take_patiently(self, key_id: str) -> int:
        """dec_keys while the KME says that it is busy (503)."""
        end = time.monotonic() + 20
        while (status := self.take(key_id)) == 503 and time.monotonic() < end:
            time.sleep(0.2)
        return status

    def first_key(self) -> list[str]:
        """Keys as soon as there are any."""
        end = time.monotonic() + 30
        while not (found := self.open()):
            assert time.monotonic() < end, "no key within 30 s"
            time.sleep(0.1)
        return found

    def opens_within(self, seconds: float) -> bool:
        """Whether it gives keys again, though clients are cut meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(requests.ConnectionError, requests.ReadTimeout):
                if self.open():
                    return True
            time.sleep(0.2)
        return False
