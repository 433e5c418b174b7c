"""THE table of electric powers: what devices of a quantum network take from the socket, and who says so.

`measured`: published as measured at the device. `nominal`: published from a data sheet. `assumption`: ours, because
nothing is published; a network file may give better numbers (`telemetry: power:`).

Not in the table, and so in no figure of energy: cooling of rooms, losses of power supplies that a source does not
include, switches and amplifiers of the classical plant, which would be there without quantum channels, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class Basis(StrEnum):
    """Where a number comes from."""

    MEASURED = "measured"
    NOMINAL = "nominal"
    ASSUMPTION = "assumption"


class PowerRow(NamedTuple):
    """One device. `watts`: while it is on; `source`: empty for an assumption."""

    device: str
    watts: float
    basis: Basis
    source: str
    help: str


YEHIA = "R. Yehia et al., arXiv:2410.10661 (2024), with the numbers of its software QEnergy"
_M, _N, _A = Basis.MEASURED, Basis.NOMINAL, Basis.ASSUMPTION

_ROWS = (
    PowerRow("laser", 4.2, _M, YEHIA, "Telecom fibre laser"),
    PowerRow("intensity-modulator", 26.0, _M, YEHIA, "Modulator with its driver and bias"),
    PowerRow("motorised-waveplate", 8.3, _M, YEHIA, "Waveplate with its motor"),
    PowerRow("computer", 100.0, _M, YEHIA, "Computer that steers a set-up and distils, with its data acquisition"),
    PowerRow("time-tagger", 22.0, _M, YEHIA, "Time-to-digital converter, without its computer"),
    PowerRow("detector-ingaas", 64.0, _M, YEHIA, "InGaAs single-photon detector with its cooler"),
    PowerRow("detector-snspd", 2735.0, _M, YEHIA, "Cryostat with nanowire detectors, compressor, electronics"),
    PowerRow("pump-laser", 70.0, _N, YEHIA, "Laser that pumps a source of photon pairs"),
    PowerRow("crystal-oven", 0.9, _M, YEHIA, "Oven of the crystal that photon pairs come from"),
    PowerRow("cv-laser", 2.0, _N, YEHIA, "Laser of a coherent transmitter or local oscillator"),
    PowerRow("bias-controller", 5.5, _N, YEHIA, "Bias controller of a coherent modulator"),
    PowerRow("converter-da", 40.0, _N, YEHIA, "Digital-to-analogue converter"),
    PowerRow("converter-ad", 20.0, _M, YEHIA, "Analogue-to-digital converter"),
    PowerRow("power-meter", 0.8, _N, YEHIA, "Optical power meter of a transmitter"),
    PowerRow("polarisation-controller", 0.35, _M, YEHIA, "Polarisation controller"),
    PowerRow("calibration-switch", 0.35, _N, YEHIA, "Optical switch of a coherent receiver"),
    PowerRow("balanced-detector", 7.5, _N, YEHIA, "Balanced photodetector"),
    PowerRow("memory-cryostat", 3000.0, _N, YEHIA, "Closed-cycle cryostat that holds quantum memories"),
    PowerRow("memory-control", 500.0, _A, "", "Lasers, microwaves and electronics of a node with quantum memories"),
    PowerRow("pair-station", 300.0, _A, "", "What a link for entangled pairs needs beside its memories, in use"),
    PowerRow("qkd-unit", 200.0, _A, "", "One end of a commercial link of which only its rate is known"),
    PowerRow("key-server", 100.0, _A, "", "Server of a trusted node: key management, relay, agents"),
    PowerRow("control-server", 100.0, _A, "", "Server of the network's control and management"),
)

POWERS: Mapping[str, PowerRow] = MappingProxyType({row.device: row for row in _ROWS})
