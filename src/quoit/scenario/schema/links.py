"""Links: of quantum key distribution, and of entangled pairs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from quoit.scenario.schema.forms import Duration, Loss, Name, Pair, Rate, Section, Size
from quoit.scenario.schema.optical import CompanionSection
from quoit.scenario.schema.spectrum import Spectrum
from quoit.scenario.schema.wandering import Drift


class Link(Section):
    """A QKD link. The first node of `between` holds the transmitter. `drift`: slow changes of its error rate.

    Protocols bbm92-pairs and e91-pairs take entangled pairs of pair links and need no fibre of their own. `over`: those
    pair links in order from the first node to the second; else control takes the best path. `width`: memories on each
    side of each of them, of the number that it has for `pairs`. `fidelity`: of the worst pair that is delivered.

    `on_demand`: its devices are there, and its light is asked of the optical network's controller when an intent needs
    the link.
    """

    name: Name | None = None
    between: Pair
    protocol: str = "bb84-decoy"
    profile: str | None = None
    spans: list[str] | None = None
    over: Annotated[list[str], Field(min_length=1)] | None = None
    width: Annotated[int, Field(ge=1, le=1_000)] | None = None
    fidelity: Annotated[float, Field(gt=0.25, le=1)] | None = None
    initial_pool_bits: Size = Field(default=0, alias="initial_pool")
    capacity_bits: Size = Field(default=64 * 2**23, alias="capacity")
    rate_bps: Rate | None = Field(default=None, alias="rate")
    qber: Annotated[float, Field(ge=0, le=0.5)] | None = None
    mode: Literal["counts", "exact"] | None = None
    spectrum: Spectrum | None = None
    drift: Drift | None = None
    on_demand: OnDemand | None = None

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)


class OnDemand(Section):
    """Limits of the light that the optical network's controller is asked for. `max_noise`: noise photons per second in
    the filter at the receiver's input. `companion`: a classical channel on the same fibres, planned jointly, for the
    link's own messages; null: none."""

    max_loss_db: Loss | None = Field(default=None, alias="max_loss")
    max_noise_hz: Annotated[float, Field(ge=0)] | None = Field(default=None, alias="max_noise")
    max_latency_ns: Duration | None = Field(default=None, alias="max_latency")
    companion: CompanionSection | None = Field(
        default_factory=lambda: CompanionSection.model_validate({"launch": "-36 dBm"})
    )


class PairLink(Section):
    """A link that makes entangled pairs between memories of its two nodes.

    `scheme`: its link protocol, one of these or of those that other packages bring (`quoit.herald_protocols`). given:
    `success` of an attempt and `fidelity` of a heralded pair are as told. single-click, double-click: from the
    published `hardware` and the loss of the path, with a station in its middle. midpoint-source: both memories load
    photons of a source in the middle; sender-receiver: one loads the other's. Of these, `emission` and `absorption` are
    probabilities that an attempt sends a pair (a photon) out and that what arrives is stored and known to be, `dark`
    that a memory says so of nothing (of given: how much of the success is that); or `hardware` is a published source of
    pairs, or a sequential set-up. `attempt`: preparation time, or how long a memory listens to a source, to which
    light's way comes. `pairs`: how many circuits can use the link at once. `calibration`: how long it takes to adjust
    its devices.
    """

    name: Name | None = None
    between: Pair
    spans: list[str] | None = None
    scheme: Annotated[str, Field(examples=["single-click", "double-click", "midpoint-source", "sender-receiver"])] = (
        "given"
    )
    hardware: str | None = None
    success: Annotated[float, Field(gt=0, le=1)] | None = None
    fidelity: Annotated[float, Field(gt=0.25, le=1)] | None = None
    bright: Annotated[float, Field(gt=0, lt=1)] = 0.05
    emission: Annotated[float, Field(gt=0, le=1)] | None = None
    absorption: Annotated[float, Field(gt=0, le=1)] | None = None
    dark: Annotated[float, Field(ge=0, lt=1)] = 0.0
    attempt_ns: Duration = Field(default=1_000, alias="attempt")
    pairs: Annotated[int, Field(ge=1, le=1_000)] = 4
    calibration_ns: Duration = Field(default=10**9, alias="calibration")

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)
