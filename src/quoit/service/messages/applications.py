"""Applications of a domain, and the nodes that bring some."""

from __future__ import annotations

from quoit.runtime.wire import Message, message


@message("service.GetApplications")
class GetApplications(Message):
    """To a domain's controller: which applications does it have? `abroad`: those alone that other domains may know.
    Answered with `Applications`."""

    abroad: bool = False


class ApplicationRow(Message):
    """An application and where it is attached."""

    sae: str
    urn: str
    kme: str
    node: str
    domain: str
    routable: bool


@message("service.Applications")
class Applications(Message):
    domain: str
    prefix: str
    rows: tuple[ApplicationRow, ...]


@message("service.AdmitNode")
class AdmitNode(Message):
    """To a domain's controller: `node` has joined; its applications may be reached from now on. Answered with the
    `Applications` that this brought, also if it had been said before."""

    node: str
