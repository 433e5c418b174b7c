"""Names of the Service stratum's elements."""

from __future__ import annotations


def controller(domain: str) -> str:
    """Name of a domain's service controller."""
    return f"service.controller:{domain}"


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
