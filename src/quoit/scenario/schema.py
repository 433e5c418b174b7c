"""The network file as data: what may stand in it, in which form (YAML 1.2, format version 1).

Attributes end in their unit; the file's own keys do not (`length: 24.5 km` becomes `length_km`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from quoit.engine.physics.satellite import slant_range_m
from quoit.model import quantity
from quoit.model.spectrum import centre_of

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,63}$")]


def _shown(example: str) -> Any:
    return Field(json_schema_extra={"type": "string", "examples": [example]})


Duration = Annotated[int, BeforeValidator(quantity.parse_duration_ns), _shown("600s")]
Rate = Annotated[float, BeforeValidator(quantity.parse_rate_bps), _shown("2 kbit/s")]
Size = Annotated[int, BeforeValidator(quantity.parse_size_bits), _shown("256 bit")]
Length = Annotated[float, BeforeValidator(quantity.parse_length_km), _shown("24.5 km")]
Loss = Annotated[float, BeforeValidator(quantity.parse_loss_db), _shown("8.72 dB")]
Attenuation = Annotated[float, BeforeValidator(quantity.parse_attenuation_db_per_km), _shown("0.25 dB/km")]
Frequency = Annotated[int, BeforeValidator(quantity.parse_frequency_mhz), _shown("193.4 THz")]
Wavelength = Annotated[float, BeforeValidator(quantity.parse_wavelength_nm), _shown("1550.12 nm")]
Power = Annotated[float, BeforeValidator(quantity.parse_power_dbm), Field(le=30), _shown("-3 dBm")]
Aperture = Annotated[float, BeforeValidator(quantity.parse_aperture_m), Field(gt=0), _shown("30 cm")]
Angle = Annotated[float, BeforeValidator(quantity.parse_angle_rad), _shown("2 urad")]
Elevation = Annotated[float, BeforeValidator(quantity.parse_elevation_deg), Field(le=90), _shown("60 deg")]
Share = Annotated[float, Field(ge=0, lt=1)]

QUANTUM_MHZ, QUANTUM_WIDTH_MHZ = 193_400_000, 25_000
"""Where a quantum channel is that does not say: 1550.12 nm, 0.2 nm wide."""
SHONE_MHZ, SHONE_WIDTH_MHZ = 193_100_000, 50_000
"""Where unannounced light is that does not say: the anchor of ITU-T G.694.1."""


class Section(BaseModel):
    """Base of all parts of the file: unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class Domain(Section):
    """A trust domain: one KMS, one URN prefix."""

    name: Name
    prefix: str
    kms: str | None = None
    stage: Annotated[int, Field(ge=1, le=6)] = 4


class Memories(Section):
    """Quantum memories of a node. `hardware`: a published profile that gives what is not said here. `gate`,
    `readout`: probabilities that a two-qubit gate and a readout are right. `programs`: how many are set apart for
    programs of hosts; 0: the node has no door for them."""

    number: Annotated[int, Field(ge=1, le=10_000)]
    hardware: str | None = None
    t1_ns: Duration | None = Field(default=None, alias="t1")
    t2_ns: Duration | None = Field(default=None, alias="t2")
    gate: Annotated[float, Field(gt=0, le=1)] | None = None
    readout: Annotated[float, Field(gt=0, le=1)] | None = None
    gate_time_ns: Duration = Field(default=0, alias="gate_time")
    readout_time_ns: Duration = Field(default=0, alias="readout_time")
    programs: Annotated[int, Field(ge=0, le=10_000)] = 0


class Node(Section):
    """`joins: token`: planned, and not there before a device has enrolled with a one-time token. `dialect`: what the
    node's SDN agent speaks on its listener; `teraflow`: as TeraFlowSDN's driver does."""

    memories: Memories | None = None
    joins: Literal["token"] | None = None
    dialect: Literal["restconf", "teraflow"] = "restconf"
    domain: str | None = None
    title: str | None = None
    lat: Annotated[float, Field(ge=-90, le=90)] | None = None
    lon: Annotated[float, Field(ge=-180, le=180)] | None = None
    xy: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None


def _one_of(section: BaseModel, *names: str) -> None:
    """ValueError unless exactly one of these keys is given."""
    given = [name for name in names if getattr(section, name) is not None]
    if len(given) != 1:
        raise ValueError(f"expected exactly one of {', '.join(names)}; found {', '.join(given) or 'none'}")


class PassSection(Section):
    """A satellite's culmination over the station: when, and how high."""

    at_ns: Duration = Field(alias="at")
    elevation_deg: Elevation = Field(alias="elevation")


class Satellite(Section):
    """One end of a path is a satellite in a circular orbit. `every`: the passes come again after so long.

    `zenith`: transmittance of clear air straight up.
    """

    altitude_km: Length = Field(alias="altitude")
    passes: Annotated[list[PassSection], Field(min_length=1, max_length=1_000)]
    every_ns: Duration | None = Field(default=None, alias="every")
    lowest_deg: Elevation = Field(default=10.0, alias="lowest")
    zenith: Annotated[float, Field(gt=0, le=1)] = 0.7

    @model_validator(mode="after")
    def _is_seen(self) -> Satellite:
        if not 100 <= self.altitude_km <= 40_000:
            raise ValueError(f"expected an altitude of 100 to 40000 km, found {self.altitude_km:g} km")
        for one in self.passes:
            if one.elevation_deg <= self.lowest_deg:
                raise ValueError(
                    f"expected passes that rise above the lowest elevation of {self.lowest_deg:g} deg, "
                    f"found one of {one.elevation_deg:g} deg"
                )
            if self.every_ns is not None and one.at_ns >= self.every_ns:
                raise ValueError("expected every pass within the time after which they come again")
        return self


class Wandering(Section):
    """A slow random process: its rms, in the unit of what wanders, and its correlation time."""

    time_ns: Duration = Field(default=600 * 10**9, alias="time")

    @model_validator(mode="after")
    def _takes_time(self) -> Wandering:
        if self.time_ns < 10**9:
            raise ValueError("expected a time of 1 s or more")
        return self


class Haze(Wandering):
    rms_db: Loss = Field(alias="rms")


class Clouds(Wandering):
    """`share`: of the time that a cloud is in the way."""

    share: Share


class Pointing(Wandering):
    time_ns: Duration = Field(default=30 * 10**9, alias="time")
    rms_rad: Angle = Field(alias="rms")


class Drift(Wandering):
    """Of the error rate of a link, as polarisation or phase in its fibre changes."""

    rms: Annotated[float, Field(gt=0, le=0.1)]


class Sky(Section):
    """What a receiving telescope sees behind the sender; `day` not given: it is always night."""

    night: Literal["moonless", "new-moon", "full-moon", "clear-day", "hazy-day", "cloudy-day"] = "new-moon"
    day: Literal["clear-day", "hazy-day", "cloudy-day"] | None = None
    view_rad: Angle = Field(default=1e-4, alias="view")


class Air(Section):
    """A span through air or space. The first node of `between` holds the sender.

    `waist`: radius of the beam at the sender; `divergence`: half angle, if wider than diffraction makes it; `jitter`:
    rms of fast pointing errors per axis; `optics`: loss of both telescopes.
    """

    waist_m: Aperture = Field(alias="waist")
    receiver_m: Aperture = Field(alias="receiver")
    wavelength_nm: Wavelength = Field(default=850.0, alias="wavelength")
    filter_mhz: Frequency = Field(default=400_000, alias="filter")
    divergence_rad: Angle | None = Field(default=None, alias="divergence")
    jitter_rad: Angle = Field(default=0.0, alias="jitter")
    optics_db: Loss = Field(default=3.0, alias="optics")
    extinction_db_per_km: Attenuation = Field(default=0.5, alias="extinction")
    satellite: Satellite | None = None
    sky: Sky = Field(default_factory=Sky)
    haze: Haze | None = None
    clouds: Clouds | None = None
    pointing: Pointing | None = None

    @model_validator(mode="after")
    def _is_light(self) -> Air:
        if not 631 <= self.wavelength_nm <= 1665:
            raise ValueError(f"expected a wavelength of 631 to 1665 nm, found {self.wavelength_nm:g} nm")
        return self


class Span(Section):
    """A fibre between two nodes, or with `air` a path through air or space.

    Loss wins over length when both are given. `duct`: spans of the same one share its risk. A path to a satellite has
    the length that it has when the satellite is lowest.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["length"]}, {"required": ["air"]}]})

    name: Name | None = None
    between: Pair
    length_given: Length | None = Field(default=None, alias="length")
    duct: Name | None = None
    air: Air | None = None
    loss_db_given: Loss | None = Field(default=None, alias="loss")
    attenuation_db_per_km: Attenuation = Field(default=0.25, alias="attenuation")
    source: str | None = None

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)

    @property
    def length_km(self) -> float:
        """As given; of a path to a satellite, the longest."""
        if self.length_given is not None:
            return float(self.length_given)
        if self.air is None or self.air.satellite is None:
            return 0.0
        return slant_range_m(self.air.satellite.altitude_km * 1e3, self.air.satellite.lowest_deg) / 1e3

    @property
    def loss_db(self) -> float:
        """As given, else length times attenuation. Of a path through air it is not this."""
        if self.loss_db_given is not None:
            return float(self.loss_db_given)
        return float(self.length_km * self.attenuation_db_per_km)

    @model_validator(mode="after")
    def _one_medium(self) -> Span:
        orbiting = self.air is not None and self.air.satellite is not None
        if self.length_given is None and not orbiting:
            raise ValueError("expected a length, found none; add the key 'length'")
        if self.length_given is not None and orbiting:
            raise ValueError("the length of a path to a satellite follows from its altitude; leave it out")
        if self.air is not None and self.loss_db_given is not None:
            raise ValueError("the loss of a path through air follows from its optics; leave it out")
        return self


class Spectrum(Section):
    """Where a quantum channel is, and how well its filter keeps other light out: frequency or wavelength, `filter`."""

    frequency_mhz: Frequency | None = Field(default=None, alias="frequency")
    wavelength_nm: Wavelength | None = Field(default=None, alias="wavelength")
    filter_mhz: Frequency = Field(default=QUANTUM_WIDTH_MHZ, alias="filter")
    isolation_db: Loss = Field(default=100.0, alias="isolation")

    @model_validator(mode="after")
    def _is_one_place(self) -> Spectrum:
        _one_place(self, self.filter_mhz)
        return self

    @property
    def centre_mhz(self) -> int:
        return _centre(self)


def _centre(section: Any) -> int:
    """In MHz, from a section that has frequency or wavelength."""
    found: int = section.frequency_mhz or centre_of(section.wavelength_nm or 1.0)
    return found


def _one_place(section: Any, width_mhz: int) -> None:
    if (section.frequency_mhz is None) == (section.wavelength_nm is None):
        raise ValueError("expected exactly one of frequency, wavelength; found both or none")
    if width_mhz <= 0:
        raise ValueError("expected a width above 0")
    if not 180_000_000 <= _centre(section) <= 475_000_000:
        raise ValueError(f"expected 180 to 475 THz (1665 to 631 nm), found {_centre(section) / 1e6:.3f} THz")


class Switch(Section):
    """A ROADM or an optical switch at a node: what passes it loses `insertion`, and a change takes `switching`."""

    node: str
    kind: Literal["roadm", "optical-switch"] = "roadm"
    insertion_db: Loss = Field(default=5.0, alias="insertion")
    switching_ns: Duration = Field(default=50 * 10**6, alias="switching")

    @model_validator(mode="after")
    def _switches_in_time(self) -> Switch:
        if self.switching_ns > 300 * 10**9:
            raise ValueError("expected a switching time of at most 300 s")
        return self


class Channel(Section):
    """A classical channel: from a node along spans, with a launch power into the first of them."""

    name: Name
    source: str = Field(alias="from")
    spans: Annotated[list[str], Field(min_length=1)]
    frequency_mhz: Frequency | None = Field(default=None, alias="frequency")
    wavelength_nm: Wavelength | None = Field(default=None, alias="wavelength")
    width_mhz: Frequency = Field(default=50_000, alias="width")
    launch_dbm: Power = Field(default=0.0, alias="launch")
    lit: bool = True

    @model_validator(mode="after")
    def _is_one_place(self) -> Channel:
        _one_place(self, self.width_mhz)
        return self

    @property
    def centre_mhz(self) -> int:
        return _centre(self)


class CompanionSection(Section):
    """A classical channel on the very fibres of a quantum one."""

    width_mhz: Frequency = Field(default=50_000, alias="width")
    launch_dbm: Power = Field(default=-20.0, alias="launch")


class RestorationSection(Section):
    """`hold_off` before a lost path is replaced; `revertive`: back when the first one has been whole for `wait`."""

    enabled: bool = True
    hold_off_ns: Duration = Field(default=0, alias="hold_off")
    revertive: bool = False
    wait_ns: Duration = Field(default=300 * 10**9, alias="wait")


class ConnectivityService(Section):
    """A service of the optical network: the quantum channel of `link`, or a classical channel `from` node `to` node.

    `max_noise`: noise photons per second in the filter at the receiver's input. `coroute`, `apart_from`: services that
    come before it in the file.
    """

    name: Name
    link: str | None = None
    source: str | None = Field(default=None, alias="from")
    to: str | None = None
    width_mhz: Frequency = Field(default=50_000, alias="width")
    launch_dbm: Power = Field(default=-20.0, alias="launch")
    objective: Literal["loss", "latency"] = "loss"
    max_loss_db: Loss | None = Field(default=None, alias="max_loss")
    max_latency_ns: Duration | None = Field(default=None, alias="max_latency")
    max_switches: Annotated[int, Field(ge=0)] | None = None
    max_noise_hz: Annotated[float, Field(ge=0)] | None = Field(default=None, alias="max_noise")
    avoid: list[str] = Field(default_factory=list)
    companion: CompanionSection | None = None
    coroute: str | None = None
    apart_from: str | None = None
    at_ns: Duration | None = Field(default=None, alias="at")
    until_ns: Duration | None = Field(default=None, alias="until")
    restoration: RestorationSection = Field(default_factory=RestorationSection)

    @model_validator(mode="after")
    def _is_one_kind(self) -> ConnectivityService:
        classical = self.source is not None and self.to is not None and self.source != self.to
        if (self.link is not None) == classical or (self.link is not None and (self.source or self.to)):
            raise ValueError("expected either link, or two different nodes from and to")
        if self.link is None and (self.companion is not None or self.max_noise_hz is not None):
            raise ValueError("companion and max_noise are for the quantum channel of a link")
        if self.until_ns is not None and self.until_ns <= (self.at_ns or 0):
            raise ValueError("until must come after at")
        return self


class WorksSection(Section):
    """Planned works on spans, known from the start. Services give way `lead` before they begin."""

    name: Name
    spans: Annotated[list[str], Field(min_length=1)]
    at_ns: Duration = Field(alias="at")
    until_ns: Duration = Field(alias="until")
    lead_ns: Duration = Field(default=60 * 10**9, alias="lead")
    force: bool = False

    @model_validator(mode="after")
    def _lasts(self) -> WorksSection:
        if self.until_ns <= self.at_ns:
            raise ValueError("until must come after at")
        return self


class PacketSection(Section):
    """Packet switching of quantum payloads. `links` whose payloads go as packets from the start; those of others go
    over circuits. `policy`: what happens to a payload whose port is taken."""

    links: list[str] = Field(default_factory=list)
    policy: Literal["drop", "delay", "buffer"] = "drop"
    processing_ns: Duration = Field(default=2_000, alias="processing")
    switching_ns: Duration = Field(default=1_000, alias="switching")
    channels: Annotated[int, Field(ge=1, le=96)] = 1
    loop_ns: Annotated[Duration, Field(ge=1)] = Field(default=20_000, alias="loop")
    loop_db: Loss = Field(default=1.0, alias="loop_loss")
    turns: Annotated[int, Field(ge=0, le=100)] = 3
    lines: Annotated[int, Field(ge=0, le=100)] = 1
    memories: Annotated[int, Field(ge=0, le=10_000)] = 8
    t2_ns: Annotated[Duration, Field(ge=1)] = Field(default=1_000_000, alias="t2")


class PlantSection(Section):
    """Optical equipment beside fibres: switches, classical channels; spectrum to keep between channels (`guard`), and
    between quantum and classical ones. Services and works of the optical network's controller; `path_computation`: the
    entry point of `quoit.path_computation` that it uses."""

    switches: list[Switch] = Field(default_factory=list)
    channels: list[Channel] = Field(default_factory=list)
    guard_mhz: Frequency = Field(default=0, alias="guard")
    quantum_guard_mhz: Frequency = Field(default=100_000, alias="quantum_guard")
    path_computation: str = "labels"
    services: list[ConnectivityService] = Field(default_factory=list)
    works: list[WorksSection] = Field(default_factory=list)
    packets: PacketSection = Field(default_factory=PacketSection)


class Link(Section):
    """A QKD link. The first node of `between` holds the transmitter. `drift`: slow changes of its error rate.

    Protocols bbm92-pairs and e91-pairs take entangled pairs of pair links and need no fibre of their own. `over`: those
    pair links in order from the first node to the second; else control takes the best path. `width`: memories on each
    side of each of them, of the number that it has for `pairs`. `fidelity`: of the worst pair that is delivered.
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

    @property
    def id(self) -> str:
        return self.name or "--".join(self.between)


class PairLink(Section):
    """A link that makes entangled pairs between memories of its two nodes.

    `scheme` given: `success` of an attempt and `fidelity` of a heralded pair are as told. single-click, double-click:
    from the published `hardware` and the loss of the path, with a station in its middle. midpoint-source: both
    memories load photons of a source in the middle; sender-receiver: one loads the other's. Of these, `emission` and
    `absorption` are probabilities that an attempt sends a pair (a photon) out and that what arrives is stored and known
    to be, `dark` that a memory says so of nothing; or `hardware` is a published source of pairs, or a sequential
    set-up. `attempt`: preparation time, or how long a memory listens to a source, to which light's way comes. `pairs`:
    how many circuits can use the link at once. `calibration`: how long it takes to adjust its devices.
    """

    name: Name | None = None
    between: Pair
    spans: list[str] | None = None
    scheme: Literal["given", "single-click", "double-click", "midpoint-source", "sender-receiver"] = "given"
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


class Kme(Section):
    name: Name | None = None
    node: str
    address: str | None = None

    @property
    def id(self) -> str:
        return self.name or f"kme-{self.node}"


class Application(Section):
    """A secure application entity. `allow`: SAE IDs it may share keys with, or any. `priority`: the highest one that
    its sessions may have."""

    sae: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9\-._~:@!$&'()*+,;=]+$")]
    kme: str
    urn: str | None = None
    rate_bps: Rate | None = Field(default=None, alias="rate")
    burst_bits: Size | None = Field(default=None, alias="burst")
    key_size_bits: Size | None = Field(default=None, alias="key_size")
    priority: Annotated[int, Field(ge=0, le=7)] = 0
    allow: list[str] | Literal["any"] = "any"
    routable: bool = True
    compat: list[Literal["dec_path_self", "unknown_key_404", "allow_self_pair", "quditto2", "qukaydee"]] = Field(
        default_factory=list
    )


class Policies(Section):
    """How keys are kept and handed out, and who controls what. `agents`: every node has an SDN agent (ETSI GS QKD 015).
    `control`: how the fabric's controller reaches devices, itself or by their agents; `sdqkd` brings agents, too, and
    so does `external`, where a controller outside of the twin is awaited."""

    pool_floor_bits: Size = Field(default=0, alias="pool_floor")
    pool_reopen_bits: Size = Field(default=128_000, alias="pool_reopen")
    stream_low_bits: Size = Field(default=64_000, alias="stream_low")
    stream_high_bits: Size = Field(default=256_000, alias="stream_high")
    key_size_bits: Size = Field(default=256, alias="key_size")
    min_key_size_bits: Size = Field(default=64, alias="min_key_size")
    max_key_size_bits: Size = Field(default=4096, alias="max_key_size")
    max_keys_per_request: Annotated[int, Field(ge=1, le=1024)] = 128
    key_validity_ns: Duration = Field(default=86_400 * 10**9, alias="key_validity")
    patience_ns: Duration = Field(default=3 * 10**9, alias="patience")
    qber_alarm: Annotated[float, Field(gt=0, le=0.5)] | None = None
    quarantine_hold_ns: Duration = Field(default=10 * 10**9, alias="quarantine_hold")
    control_latency_ns: Duration = Field(default=10**6, alias="control_latency")
    local_latency_ns: Duration = Field(default=0, alias="local_latency")
    """Between elements of one node that are of different strata or planes: above 0 where these run apart."""
    commit_time_ns: Duration = Field(default=10**6, alias="commit_time")
    pair_compiler: str = "asap"
    agents: bool = False
    control: Literal["direct", "sdqkd", "external"] = "direct"
    control_instances: Annotated[int, Field(ge=1, le=8)] = 1
    orchestration: Literal["hierarchical", "federated"] = "hierarchical"
    intent_period_ns: Duration = Field(default=10 * 10**9, alias="intent_period")
    detectors: list[str] = Field(default_factory=list)
    virtual_link_fidelity: Annotated[float, Field(gt=0.25, lt=1)] = 0.8
    """Of a compiler that keeps virtual links ready: what pairs made of them have at least."""
    fabric_controllers: Annotated[int, Field(ge=1, le=8)] = 1

    @property
    def has_agents(self) -> bool:
        return self.agents or self.control != "direct"

    @model_validator(mode="after")
    def _one_controller(self) -> Policies:
        if self.fabric_controllers > 1 and self.control != "sdqkd":
            raise ValueError(
                "expected one fabric controller, for 'control: direct' has no epochs; say 'control: sdqkd'"
            )
        return self


class Bend(Section):
    span: str
    loss_db: Loss = Field(alias="loss")


class Attack(Section):
    """What is done to a link. intercept-resend: on a QKD link with a light of its own, or on a pair link.
    photon-number-splitting, blinding: on a QKD link with a light of its own. depolarise: of a pair link's pairs, a
    fault rather than an attack. tamper-messages, falsify-telemetry: on any QKD link.

    `fraction`: of pulses resent, of single photons blocked, of pairs depolarised, of messages altered. `end`: whose
    agent tells what is not so.
    """

    kind: Literal[
        "intercept-resend",
        "photon-number-splitting",
        "blinding",
        "depolarise",
        "tamper-messages",
        "falsify-telemetry",
    ]
    link: str
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    end: Literal["sender", "receiver"] | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> Attack:
        by_fraction = self.kind not in ("blinding", "falsify-telemetry")
        if by_fraction != (self.fraction is not None):
            raise ValueError(
                f"{self.kind} {'needs a fraction, found none' if by_fraction else 'has no fraction; leave it out'}"
            )
        if (self.kind == "falsify-telemetry") != (self.end is not None):
            raise ValueError("expected the key 'end' with falsify-telemetry, and with nothing else")
        return self


class Tapping(Section):
    """A coupler that leads light of a fibre away, and what it costs."""

    span: str
    loss_db: Loss = Field(alias="loss")


class RateChange(Section):
    link: str
    rate_bps: Rate = Field(alias="rate")


class Load(Section):
    """An application that takes keys, and its peer that takes them too."""

    source: str = Field(alias="from")
    to: str
    rate_bps: Rate = Field(alias="rate")
    key_size_bits: Size = Field(default=256, alias="key_size")
    arrivals: Literal["constant", "poisson"] = "constant"


class Weather(Section):
    """Loss that weather adds to a path through air."""

    span: str
    loss_db: Loss = Field(alias="loss")


class Shining(Section):
    """Light of which no inventory knows, from the first end of a span."""

    span: str
    launch_dbm: Power = Field(default=0.0, alias="launch")
    frequency_mhz: Frequency = Field(default=SHONE_MHZ, alias="frequency")
    width_mhz: Frequency = Field(default=SHONE_WIDTH_MHZ, alias="width")

    @model_validator(mode="after")
    def _is_light(self) -> Shining:
        if self.width_mhz <= 0 or not 180_000_000 <= self.frequency_mhz <= 475_000_000:
            raise ValueError("expected a width above 0 and a frequency of 180 to 475 THz")
        return self


class Mistuning(Section):
    """A classical channel sends with another power than it was told to."""

    channel: str
    launch_dbm: Power = Field(alias="launch")


class OrderSection(Section):
    """A customer of the optical network has a channel of the plant lit, with its own launch power or another one."""

    channel: str
    launch_dbm: Power | None = Field(default=None, alias="launch")


class Misalignment(Section):
    """The devices of a pair link drift: its pairs are depolarised by this share."""

    link: str
    share: Annotated[float, Field(ge=0, le=1)]


class Overstating(Section):
    """An optical domain's controller says that its ways lose this much less, and are so much quicker, than it knows."""

    domain: str
    loss_db: Loss = Field(default=0.0, alias="loss")
    latency_ns: Duration = Field(default=0, alias="latency")


KINDS_OF_EVENTS = (
    "cut", "bend", "tap", "attack", "rate", "load", "light", "power", "weather", "order", "misalign", "overstate"
)  # fmt: skip


class Event(Section):
    """Something that happens at a time: exactly one of cut, bend, tap, attack, rate, load, light, power, weather,
    order, misalign, overstate."""

    at_ns: Duration = Field(alias="at")
    until_ns: Duration | None = Field(default=None, alias="until")
    cut: str | None = None
    bend: Bend | None = None
    tap: Tapping | None = None
    attack: Attack | None = None
    rate: RateChange | None = None
    load: Load | None = None
    light: Shining | None = None
    power: Mistuning | None = None
    weather: Weather | None = None
    order: OrderSection | None = None
    misalign: Misalignment | None = None
    overstate: Overstating | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Event:
        _one_of(self, *KINDS_OF_EVENTS)
        if self.until_ns is not None and self.until_ns <= self.at_ns:
            raise ValueError("until must come after at")
        return self


class LoopSection(Section):
    """How a closed loop runs. `hold_off`: a finding must last so long; `verify`: an action may take so long to help;
    `cooldown`: rest after an action; `budget`: actions within `budget_time`, at most; `dry_run`: only write down what
    would be done; `approval`: wait for an operator before acting. Higher `priority` takes locks from lower."""

    period_ns: Duration = Field(default=10**9, alias="period")
    hold_off_ns: Duration = Field(default=0, alias="hold_off")
    verify_ns: Duration = Field(default=30 * 10**9, alias="verify")
    cooldown_ns: Duration = Field(default=10 * 10**9, alias="cooldown")
    priority: Annotated[int, Field(ge=0, le=100)] = 0
    budget: Annotated[int, Field(ge=1, le=1_000)] = 6
    budget_time_ns: Duration = Field(default=600 * 10**9, alias="budget_time")
    dry_run: bool = False
    approval: bool = False

    @model_validator(mode="after")
    def _takes_time(self) -> LoopSection:
        if self.period_ns < 10**7:
            raise ValueError("expected a period of 10 ms or more")
        return self


class MovingLoop(LoopSection):
    """A loop that may move quantum light. `most_loss`: what another place may lose more; `wavelengths`: where else
    links' devices can be tuned to."""

    most_loss_db: Loss = Field(default=6.0, alias="most_loss")
    wavelengths: list[Wavelength] = Field(default_factory=list, max_length=16)

    @model_validator(mode="after")
    def _are_light(self) -> MovingLoop:
        for nm in self.wavelengths:
            if not 631 <= nm <= 1665:
                raise ValueError(f"expected wavelengths of 631 to 1665 nm, found {nm:g} nm")
        return self


class NoiseSection(MovingLoop):
    """L2: error rates that rise. `lower`: by how much classical channels may be lowered if nothing else helps."""

    priority: Annotated[int, Field(ge=0, le=100)] = 40
    lower_db: Loss = Field(default=0.0, alias="lower")


class RestoreSection(MovingLoop):
    """Fibres that are cut."""

    period_ns: Duration = Field(default=200 * 10**6, alias="period")
    most_loss_db: Loss = Field(default=12.0, alias="most_loss")
    priority: Annotated[int, Field(ge=0, le=100)] = 50


class WorksLoopSection(MovingLoop):
    """L5: planned works. `lead`: links leave so long before works begin."""

    cooldown_ns: Duration = Field(default=10**9, alias="cooldown")
    priority: Annotated[int, Field(ge=0, le=100)] = 30
    lead_ns: Duration = Field(default=60 * 10**9, alias="lead")


class SharedSection(Section):
    """A transmitter or receiver at a node that a switch gives to one of these links at a time, at first the first."""

    node: str
    links: Annotated[list[str], Field(min_length=2, max_length=64)]
    low_bits: Size = Field(default=100_000, alias="low")
    enough_bits: Size = Field(default=500_000, alias="enough")

    @model_validator(mode="after")
    def _is_enough(self) -> SharedSection:
        if self.enough_bits <= self.low_bits:
            raise ValueError("expected enough above low, or the device would go to and fro")
        return self


class BufferSection(LoopSection):
    """L1: key buffers that are low."""

    priority: Annotated[int, Field(ge=0, le=100)] = 10
    shared: Annotated[list[SharedSection], Field(min_length=1)]


class FidelitySection(LoopSection):
    """L3: entangled pairs that are worse than their link's promise. `tests`: pairs that a round spends; `slots`:
    memories that it takes of both nodes meanwhile."""

    period_ns: Duration = Field(default=60 * 10**9, alias="period")
    verify_ns: Duration = Field(default=180 * 10**9, alias="verify")
    priority: Annotated[int, Field(ge=0, le=100)] = 20
    tests: Annotated[int, Field(ge=30, le=100_000)] = 300
    slots: Annotated[int, Field(ge=1, le=64)] = 2


class DomainsSection(LoopSection):
    """L4: optical domains that give less than they announce. `clicks`: that a test would give if a way were as
    announced; `windows`: tests in a row that a figure must have been missed in, and `back` those in which all must have
    been kept before the preference is raised by `step`; `lowest`: what it is lowered to. `margin`, `noise_margin`,
    `latency_margin`: what a way may be worse than announced."""

    period_ns: Duration = Field(default=10 * 10**9, alias="period")
    cooldown_ns: Duration = Field(default=0, alias="cooldown")
    budget: Annotated[int, Field(ge=1, le=1_000)] = 20
    priority: Annotated[int, Field(ge=0, le=100)] = 15
    clicks: Annotated[int, Field(ge=30, le=1_000_000)] = 3_000
    windows: Annotated[int, Field(ge=2, le=100)] = 3
    back: Annotated[int, Field(ge=1, le=1_000)] = 6
    margin_db: Loss = Field(default=0.5, alias="margin")
    noise_margin_db: Loss = Field(default=3.0, alias="noise_margin")
    latency_margin_ns: Duration = Field(default=1_000, alias="latency_margin")
    lowest: Annotated[int, Field(ge=0, le=99)] = 10
    step: Annotated[int, Field(ge=1, le=100)] = 30


class Loops(Section):
    """Closed loops; those that are not named do not run."""

    noise: NoiseSection | None = None
    restore: RestoreSection | None = None
    works: WorksLoopSection | None = None
    buffer: BufferSection | None = None
    fidelity: FidelitySection | None = None
    domains: DomainsSection | None = None


class ThresholdSection(Section):
    """An alarm when a reading passes `raise`; it ends when one has come back past `clear`. Levels are written as in
    the rest of the file: `0.05`, `9 dB`, `100 kbit`, `2 kbit/s`, `20ms`. `on`: what of the meter is looked at: each
    reading, or a figure of each window. `of`: which links, spans or sessions; all, if it is not said."""

    metric: str
    raise_at: float | str = Field(alias="raise")
    clear_at: float | str = Field(alias="clear")
    severity: Literal["critical", "major", "minor", "warning"] = "minor"
    on: Literal["reading", "least", "mean", "most", "p50", "p95"] = "reading"
    of: list[str] | None = None


class TelemetrySection(Section):
    """Windows of simulated time that readings are summed up in, thresholds, and `power`: watts of devices instead of
    those of the table that figures of energy stand on (see docs/telemetry.md)."""

    window_ns: Duration = Field(default=60 * 10**9, alias="window")
    thresholds: list[ThresholdSection] = Field(default_factory=list)
    power: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_empty(self) -> TelemetrySection:
        if self.window_ns <= 0:
            raise ValueError("expected a window longer than 0s, found 0s")
        return self


class NetworkFile(Section):
    """A whole network."""

    quoit: Literal[1]
    name: Name
    title: str | None = None
    epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    nid: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9\-]{0,30}[A-Za-z0-9]$")] = "qkd"
    mode: Literal["counts", "exact"] = "counts"
    telemetry_interval_ns: Duration = Field(default=10**9, alias="telemetry_interval")
    domains: list[Domain] = Field(default_factory=list)
    nodes: dict[Name, Node]
    spans: list[Span] = Field(default_factory=list)
    profiles: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    links: list[Link] = Field(default_factory=list)
    pair_links: list[PairLink] = Field(default_factory=list)
    plant: PlantSection = Field(default_factory=PlantSection)
    kmes: list[Kme] | None = None
    applications: list[Application] = Field(default_factory=list)
    policies: Policies = Field(default_factory=Policies)
    loops: Loops = Field(default_factory=Loops)
    telemetry: TelemetrySection = Field(default_factory=TelemetrySection)
    events: list[Event] = Field(default_factory=list)

    @property
    def has_plant(self) -> bool:
        """Whether the file speaks of its optical plant, which gives it an optical network's controller."""
        return "plant" in self.model_fields_set

    @property
    def epoch_unix_s(self) -> float:
        """Unix time of the scenario's instant 0; a time without zone is UTC."""
        moment = self.epoch if self.epoch.tzinfo else self.epoch.replace(tzinfo=UTC)
        return moment.timestamp()

    def all_domains(self) -> list[Domain]:
        """The domains, or one that holds everything."""
        return list(self.domains) or [Domain(name=self.name, prefix=f"urn:{self.nid}:{self.name}")]

    def domain_of(self, node: str) -> str:
        """A node's domain; the first one if the file does not say."""
        return self.nodes[node].domain or self.all_domains()[0].name

    @property
    def joining(self) -> frozenset[str]:
        """Nodes that come with a token."""
        return frozenset(name for name, node in self.nodes.items() if node.joins is not None)

    def all_kmes(self) -> list[Kme]:
        """The KMEs of the file, or one a node."""
        return self.kmes if self.kmes is not None else [Kme(node=node) for node in self.nodes]

    def urn_of(self, app: Application) -> str:
        """An application's endpoint URN: its own, or its domain's prefix and its SAE ID."""
        if app.urn is not None:
            return app.urn
        node = next(k.node for k in self.all_kmes() if k.id == app.kme)
        prefix = next(d.prefix for d in self.all_domains() if d.name == self.domain_of(node))
        return f"{prefix}:{app.sae}"
