"""Names of the Service stratum's elements."""

from __future__ import annotations

INSTANCE_MARK = "#"
"""Before the number of an instance, where there are several of an element."""


def controller(domain: str, instance: int = 0) -> str:
    """Name of a domain's service controller, or of another instance of it."""
    return f"service.controller:{domain}" + (f"{INSTANCE_MARK}{instance}" if instance else "")


def eme(node: str) -> str:
    """Name of a node's entanglement management entity."""
    return f"eme-{node}"


METERS = "service.meters"
COORDINATOR = "service.coordinator"
"""There if Service coordinates with Connectivity for an oblivious fabric."""
UPKEEP = "service.upkeep"


def qnpu(node: str) -> str:
    """Name of a node's quantum network processing unit: what runs programs of hosts there."""
    return f"qnpu:{node}"
