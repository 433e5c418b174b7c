"""Messages between the KMEs and the control of the Service stratum: who is attached where."""

from __future__ import annotations

from quoit.model.problem import Problem
from quoit.runtime.wire import Message, message
from quoit.service.api import controller as controller


class Attachment(Message):
    """An application and where it is attached. `allow` None: it talks to everybody."""

    sae: str
    urn: str
    kme: str
    node: str
    domain: str
    allow: tuple[str, ...] | None = None
    routable: bool = True


def need_leave(one: Attachment, other: Attachment) -> None:
    """Each must let the other in. Problem `unknown-sae`, which reads as if the other were not there."""
    for a, b in ((one, other), (other, one)):
        if a.allow is not None and b.sae not in a.allow:
            raise Problem("unknown-sae", "no application of this name can be reached")


@message("service.Resolve")
class Resolve(Message):
    """Where is the application with this SAE ID or URN? Answered with `Resolved`. `asking`: the domain whose
    control passes the question on, None for a KME's own."""

    name: str
    asking: str | None = None


@message("service.Resolved")
class Resolved(Message):
    attachment: Attachment


@message("service.RecallDirectory")
class RecallDirectory(Message):
    """One instance of a domain's control, which has just begun, to the others: tell me what you have been told."""

    instance: int


@message("service.Announce")
class Announce(Message):
    """A domain's control to its peers: its prefix, and the SAE IDs it may be asked about."""

    domain: str
    prefix: str
    saes: tuple[str, ...]
