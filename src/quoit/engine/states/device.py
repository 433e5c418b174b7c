"""What a node's operations cost: errors of gates and readout, and durations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceNoise:
    """Operations of one node. The default is perfect and instantaneous.

    `p1`, `p2`: probability that a one- or two-qubit gate is right; otherwise its qubits end in the maximally mixed
    state (the model of doi:10.1103/PhysRevLett.81.5932). `readout`: probability that a measurement, right otherwise,
    reports the right bit; it includes decay during the readout. `bell_success`: probability that a Bell-state
    measurement gives an outcome (1/2 for linear optics without ancillas, times detection); without one both qubits
    are lost.
    Durations in ns: initialisation, one- and two-qubit gates, readout. Idle noise goes on during them.

    ValueError for what is no probability, or a negative duration.
    """

    p1: float = 1.0
    p2: float = 1.0
    readout: float = 1.0
    bell_success: float = 1.0
    init_ns: int = 0
    gate1_ns: int = 0
    gate2_ns: int = 0
    readout_ns: int = 0

    def __post_init__(self) -> None:
        for name in ("p1", "p2", "readout", "bell_success"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: expected a probability, found {getattr(self, name)}")
        for name in ("init_ns", "gate1_ns", "gate2_ns", "readout_ns"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected a duration >= 0 ns, found {getattr(self, name)}")
