"""Names of the fabric's elements."""

from __future__ import annotations

CONTROLLER = "fabric.controller"
METERS = "fabric.meters"
UPKEEP = "fabric.upkeep"
COORDINATOR = "fabric.coordinator"
"""There if the fabric coordinates with Connectivity itself."""


def kma(node: str) -> str:
    """Name of a node's key management agent."""
    return f"kma:{node}"


def relay(node: str) -> str:
    """Name of a node's key relay."""
    return f"relay:{node}"


def module(link: str, node: str) -> str:
    """Name of the module that terminates a link at a node."""
    return f"module:{link}:{node}"


def agent(node: str) -> str:
    """Name of a node's SDN agent (ETSI GS QKD 015), in twins that have agents."""
    return f"agent:{node}"


def controller_instance(number: int) -> str:
    """Name of one of several controllers of the fabric; `CONTROLLER` hands on to the one that leads."""
    return f"{CONTROLLER}.{number}"
