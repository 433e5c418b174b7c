"""The network file as data: what may stand in it, in which form (YAML 1.2, format version 1). This is the door; the
sections are in the modules beside it.

Attributes end in their unit; the file's own keys do not (`length: 24.5 km` becomes `length_km`).
"""

from __future__ import annotations

from quoit.scenario.schema.air import Air, PassSection, Satellite, Sky
from quoit.scenario.schema.applications import Application, Kme
from quoit.scenario.schema.coordination import CoordinationSection
from quoit.scenario.schema.events import (
    KINDS_OF_EVENTS,
    MANNERS,
    Attack,
    Bend,
    Event,
    Hijacking,
    Intrusion,
    Load,
    Misalignment,
    Mistuning,
    OrderSection,
    Overstating,
    RateChange,
    Shining,
    Tapping,
    Weather,
)
from quoit.scenario.schema.forms import (
    Angle,
    Aperture,
    Attenuation,
    Duration,
    Elevation,
    Frequency,
    Length,
    Loss,
    Name,
    Pair,
    Power,
    Rate,
    Section,
    Share,
    Size,
    Wavelength,
)
from quoit.scenario.schema.links import Link, PairLink
from quoit.scenario.schema.loops import (
    BufferSection,
    DomainsSection,
    FidelitySection,
    Loops,
    LoopSection,
    MovingLoop,
    NoiseSection,
    RestoreSection,
    SharedSection,
    WorksLoopSection,
)
from quoit.scenario.schema.network import NetworkFile
from quoit.scenario.schema.nodes import Domain, Memories, Node
from quoit.scenario.schema.optical import CompanionSection, ConnectivityService, RestorationSection, WorksSection
from quoit.scenario.schema.plant import Channel, PacketSection, PlantSection, Span, Switch
from quoit.scenario.schema.policies import Policies
from quoit.scenario.schema.spectrum import QUANTUM_MHZ, QUANTUM_WIDTH_MHZ, SHONE_MHZ, SHONE_WIDTH_MHZ, Spectrum
from quoit.scenario.schema.telemetry import TelemetrySection, ThresholdSection
from quoit.scenario.schema.wandering import Clouds, Drift, Haze, Pointing, Wandering

__all__ = [
    "KINDS_OF_EVENTS",
    "MANNERS",
    "QUANTUM_MHZ",
    "QUANTUM_WIDTH_MHZ",
    "SHONE_MHZ",
    "SHONE_WIDTH_MHZ",
    "Air",
    "Angle",
    "Aperture",
    "Application",
    "Attack",
    "Attenuation",
    "Bend",
    "BufferSection",
    "Channel",
    "Clouds",
    "CompanionSection",
    "ConnectivityService",
    "CoordinationSection",
    "Domain",
    "DomainsSection",
    "Drift",
    "Duration",
    "Elevation",
    "Event",
    "FidelitySection",
    "Frequency",
    "Haze",
    "Hijacking",
    "Intrusion",
    "Kme",
    "Length",
    "Link",
    "Load",
    "LoopSection",
    "Loops",
    "Loss",
    "Memories",
    "Misalignment",
    "Mistuning",
    "MovingLoop",
    "Name",
    "NetworkFile",
    "Node",
    "NoiseSection",
    "OrderSection",
    "Overstating",
    "PacketSection",
    "Pair",
    "PairLink",
    "PassSection",
    "PlantSection",
    "Pointing",
    "Policies",
    "Power",
    "Rate",
    "RateChange",
    "RestorationSection",
    "RestoreSection",
    "Satellite",
    "Section",
    "Share",
    "SharedSection",
    "Shining",
    "Size",
    "Sky",
    "Span",
    "Spectrum",
    "Switch",
    "Tapping",
    "TelemetrySection",
    "ThresholdSection",
    "Wandering",
    "Wavelength",
    "Weather",
    "WorksLoopSection",
    "WorksSection",
]
