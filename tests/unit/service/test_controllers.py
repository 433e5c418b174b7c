"""Instances of a service controller: each knows what all do, one that comes back is told what it has missed."""

from __future__ import annotations

from typing import Any

import pytest

from quoit.model.problem import Problem
from quoit.runtime.kernel import Kernel
from quoit.runtime.wire import Message
from quoit.service.api import AdmitNode, Applications, controller
from quoit.service.controller import ServiceController
from quoit.service.directory import Attachment, Resolve, Resolved

S = 1_000_000_000
X = Attachment("x", "urn:qkd:east:x", "kme-a", "a", "east")
LATER = Attachment("later", "urn:qkd:east:later", "kme-c", "c", "east")
Y = Attachment("y", "urn:qkd:west:y", "kme-b", "b", "west")


def made(domain: str, instance: int) -> ServiceController:
    mine = (X, LATER) if domain == "east" else (Y,)
    peer = "west" if domain == "east" else "east"
    return ServiceController("a", domain, f"urn:qkd:{domain}", mine, (peer,), frozenset({"c"}), instance, 2)


class Domains:
    """East and west, each with two controllers."""

    def __init__(self) -> None:
        self.kernel = Kernel([made(domain, n) for domain in ("east", "west") for n in range(2)])
        self.kernel.start()
        self.kernel.run(S)

    def ask(self, to: str, msg: Message) -> Any:
        box: list[Any] = []
        self.kernel.ask_from_outside(self.kernel.now, to, msg, box.append)
        self.kernel.run(self.kernel.now + 5 * S)
        if isinstance(box[0], Problem):
            raise box[0]
        return box[0]

    def home_of(self, name: str, instance: int, domain: str = "east") -> str:
        answer: Resolved = self.ask(controller(domain, instance), Resolve(name))
        return answer.attachment.kme


@pytest.mark.realises("B3", "C6")
def test_any_instance_knows_both_domains_and_asks_any_of_the_other() -> None:
    domains = Domains()
    for n in range(2):
        assert (domains.home_of("x", n), domains.home_of("y", n)) == ("kme-a", "kme-b")
    for n in range(2):
        domains = Domains()
        domains.kernel.crash(controller("west", n))
        assert [domains.home_of("y", own) for own in range(2)] == ["kme-b"] * 2


@pytest.mark.realises("C2", "C6")
def test_one_that_comes_back_is_told_what_it_has_missed() -> None:
    domains = Domains()
    domains.kernel.crash(controller("east", 1))
    admitted: Applications = domains.ask(controller("east", 0), AdmitNode("c"))
    assert [row.sae for row in admitted.rows] == ["later"]
    domains.kernel.revive(made("east", 1))
    domains.kernel.run(domains.kernel.now + S)
    domains.kernel.crash(controller("east", 0))
    assert domains.home_of("y", 1) == "kme-b"
    assert domains.home_of("later", 1) == "kme-c"
    assert [domains.home_of("later", n, "west") for n in range(2)] == ["kme-c"] * 2


def test_a_node_that_one_admits_is_admitted_by_all() -> None:
    domains = Domains()
    with pytest.raises(Problem, match="no application of this name"):
        domains.home_of("later", 0)
    domains.ask(controller("east", 1), AdmitNode("c"))
    assert [domains.home_of("later", n) for n in range(2)] == ["kme-c"] * 2
