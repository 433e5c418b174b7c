"""What a twin of the Quantum Internet must do: the rows that tests and elements name, in our words.

The letters follow the architecture that quoit is a twin of: an Internet draft that divides a quantum network
into three strata (Service, Quantum Fabric, Connectivity) of four planes each, over a synthetic environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "A": "Strata and planes",
        "B": "Service units",
        "C": "The QKD network",
        "D": "Quantum Fabric",
        "E": "Connectivity",
        "F": "The synthetic environment",
        "G": "Operation",
        "H": "Domains",
        "I": "Security",
    }
)

ROWS: Mapping[str, str] = MappingProxyType(
    {
        "A1": "Each of the three strata works alone, and is reached only through a declared, versioned interface",
        "A2": "Each stratum has its resource, control, management and telemetry plane and a standard API",
        "A3": "Service asks Fabric and Connectivity, Fabric asks Connectivity; applications meet Service only",
        "A4": "A domain may run some of the strata and use another domain's for the rest",
        "A5": "Control may be one controller, a hierarchy or a federation",
        "B1": "A unit is shared by two or more endpoints, is named by their URNs and a lifecycle URN, has no direction",
        "B2": "The query part of a URN carries the pairing's nonce, or the lifecycle's parameters",
        "B3": "URN prefixes are delegated, aggregated and routed on; some names never leave their domain",
        "B4": "The originator names peers and lifecycle; elements along the route complete identifier and content",
        "B5": "A unit of entanglement is the memory addresses that hold the states at each endpoint",
        "B6": "Every step of a unit's life is watched and audited; units and link resources need not match in number",
        "B7": "A further kind of service (time, identity, sensing) is added without rewriting what is there",
        "C1": "Link protocols, and forwarding of keys over chains of trusted nodes, as part of forwarding",
        "C2": "Storage and delivery of keys by KMEs, agents between them and modules, KMS as a trust domain",
        "C3": "Applications take keys by ETSI GS QKD 014 and streams by ETSI GS QKD 004",
        "C4": "Control by ETSI GS QKD 015 and 018, between systems 020, monitoring 023",
        "C5": "Forwarding tables that control rewrites at run time; a token bucket for every application's rate",
        "C6": "Controller, access and admission control, routing, monitoring with alarms: each replaceable",
        "C7": "Keys combined with post-quantum ones, and augmented",
        "C8": "Both ends name the same key alike, across every interface",
        "D1": "Elementary entanglement, swapping, purification and fusion for two or more parties",
        "D2": "Control that thinks in entanglement; addressing and routing within a domain and between domains",
        "D3": "Agents on devices; states kept beyond one link's reach by memories and repeaters",
        "D4": "Fabric coordinates with Connectivity itself or leaves it to Service, and both can be compared",
        "D5": "All six stages of a quantum internet, from trusted repeaters to networked computers, can be described",
        "E1": "Fibre, free-space and satellite paths for quantum and classical channels, provisioned together",
        "E2": "Circuits, and packets with a classical header and a quantum payload",
        "E3": "Noise of classical channels on a shared medium is modelled and planned for",
        "E4": "An optical controller with TAPI, abstraction of networks, path computation with quantum constraints",
        "E5": "Quantum management and optical management ask each other; one orchestrator sees both",
        "F1": "A system that behaves like the network and answers in its time, not an offline simulation",
        "F2": "A central engine with a native simulator and exchangeable others",
        "F3": "Results are published to whoever subscribes, and asked for and given asynchronously",
        "F4": "No result before its simulated delay is over; falling behind is noticed and said",
        "F5": "Stored states age between creation and use",
        "F6": "A small set of primitives carries every protocol",
        "F7": "Protocols, interfaces and abstractions can be exchanged, run and compared",
        "F8": "Attacks without harm, runs that repeat exactly, hundreds of nodes",
        "G1": "Telemetry in every stratum, switched on with resources, aggregated over strata and domains",
        "G2": "Closed loops that detect, decide, act and verify; intents; nodes that start without hands",
        "G3": "Every function is software that runs alone or together, with authenticated and authorised users",
        "G4": "Shared infrastructure and energy for each delivered unit can be read off",
        "H1": "Domains peer, announce tailored maps and prefixes, and follow policies",
        "H2": "Trust between domains is explicit: peers authenticated, announcements verifiable",
        "I1": "Both sides of every channel that serves quantum interactions prove who they are",
        "I2": "Physical attacks are modelled and detected",
        "I3": "Physical attacks together with attacks on control and monitoring are modelled",
        "I4": "Trust between domains on the control and management planes",
    }
)
