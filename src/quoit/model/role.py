"""Who may do what at which listener: one table, and what is not in it is denied.

A role is what a verified certificate says: applications by their names in the network file, all others by the URI of
their role. One certificate has one role; one with the URI of a role is no application, whatever else it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

URN_PREFIX = "urn:quoit:role:"


class Role(StrEnum):
    """What a certificate may be for."""

    SAE = "sae"
    """An application that takes keys (ETSI GS QKD 014) and shared states."""
    KME = "kme"
    """A KME, and the processes of one twin towards each other."""
    AGENT = "agent"
    """Acts for a device: what an SDN agent shows to controllers. No listener lets it in."""
    CONTROLLER = "controller"
    """A control plane: configures nodes through their SDN agents, and the optical network (TAPI)."""
    OBSERVER = "observer"
    """Reads what the twin tells of itself."""
    OPERATOR = "operator"
    """Reads that, and strikes the twin's world. Cannot read keys."""

    @property
    def urn(self) -> str:
        """How a certificate names this role."""
        return f"{URN_PREFIX}{self.value}"


NAMED = frozenset(Role) - {Role.SAE}
"""Roles that a certificate names by URI."""


class Operation(StrEnum):
    """What can be asked of a listener."""

    TAKE_KEYS = "KME: status, enc_keys and dec_keys"
    USE_UNITS = "KME: units, memories and messages"
    DESCRIBE = "KME: its OpenAPI documents, whether it lives and whether it is ready"
    READ = "management: GET and HEAD of what there is"
    STRIKE = "management: POST of a strike, or of planned works"
    READ_OPTICS = "optical network (TAPI): GET and HEAD of what there is, event streams"
    CONFIGURE_OPTICS = "optical network (TAPI): services, path computation, subscriptions"
    READ_NODE = "SDN agent: what the node is, how it does, and its notifications"
    EDIT_NODE = "SDN agent: its configuration"


MAY: Mapping[Operation, frozenset[Role]] = {
    Operation.TAKE_KEYS: frozenset({Role.SAE}),
    Operation.USE_UNITS: frozenset({Role.SAE}),
    Operation.DESCRIBE: frozenset(Role),  # the same for all, and no network's own; still only by a valid certificate
    Operation.READ: frozenset({Role.OBSERVER, Role.OPERATOR}),
    Operation.STRIKE: frozenset({Role.OPERATOR}),
    Operation.READ_OPTICS: frozenset({Role.OBSERVER, Role.CONTROLLER, Role.OPERATOR}),
    Operation.CONFIGURE_OPTICS: frozenset({Role.CONTROLLER, Role.OPERATOR}),
    Operation.READ_NODE: frozenset({Role.CONTROLLER, Role.OBSERVER, Role.OPERATOR}),
    Operation.EDIT_NODE: frozenset({Role.CONTROLLER}),
}
"""The table of roles. Which keys and units an application may have, its KME decides for each of them."""


def may(role: Role, operation: Operation) -> bool:
    """Whether the table says so."""
    return role in MAY.get(operation, frozenset())
