"""Names of the Connectivity stratum's elements."""

from __future__ import annotations

PLANT = "connectivity.plant"
CONTROLLER = "connectivity.controller"
METERS = "connectivity.meters"
UPKEEP = "connectivity.upkeep"

OTN = "connectivity.otn"
"""The optical network's controller towards its customers (RFC 8453: the MDSC)."""

WORKS = "connectivity.works"
PACKETS = "connectivity.packets"
"""The plant's packet switches."""


def pnc(domain: str) -> str:
    """The provisioning network controller of an optical domain (RFC 8453)."""
    return f"connectivity.pnc.{domain}"
