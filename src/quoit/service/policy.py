"""What a KME allows and how it keeps its streams: numbers of the network file's `policies`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyPolicy:
    """Sizes in bits, times in ns. `stream_low`/`stream_high`: when refill of a pair's stream begins and ends.

    `patience_ns`: how long a request waits for a refill before it is refused. `commit_ns`: the time that a
    durable commit takes in simulated time. `control_instances`: how many controllers, access controls, admission
    controls, routing modules and monitoring elements the domain has.
    """

    key_size: int = 256
    min_key_size: int = 64
    max_key_size: int = 4096
    max_per_request: int = 128
    max_sae_ids: int = 4
    stream_low: int = 65_536
    stream_high: int = 262_144
    chunk: int = 65_536
    patience_ns: int = 3_000_000_000
    retry_ns: int = 1_000_000_000
    commit_ns: int = 1_000_000
    validity_ns: int = 24 * 3_600_000_000_000
    control_instances: int = 1
