"""Answers in the shape of Quditto 2, for scripts written against it (compat flag `quditto2`).

Its HTTP answer is a JSON list of one string, which is a Python dictionary as `str` writes it; every answer is
200 (Networks-it-uc3m/Quditto, Apache-2.0, read as a description of the interface).
"""

from __future__ import annotations

import base64

import msgspec

from quoit.interfaces.etsi014.problems import message_of
from quoit.interfaces.http_edge import Answer
from quoit.model.problem import Problem
from quoit.service.api import Keys


def _answer(values: dict[str, str]) -> Answer:
    return Answer(200, msgspec.json.encode([str(values)]))


def render_keys(keys: Keys) -> Answer:
    """The first key; Quditto 2 gives one a request."""
    key = keys.keys[0]
    return _answer({"key_ID": key.key_id, "key": base64.b64encode(key.value.reveal()).decode("ascii")})


def render_problem(problem: Problem) -> Answer:
    """A refusal, told from a key by its members only."""
    if problem.code == "key-not-found":
        return _answer({"key": "No key with specified key_ID"})
    if problem.code in ("unknown-sae", "no-route", "self-pair"):
        return _answer({"message": "Invalid partner requested.", "details": message_of(problem)})
    return _answer({"message": message_of(problem)})
