"""Published hardware for entanglement, as data: what a node of each kind can do, with the paper that says so.

A profile holds two sorts of numbers. Device parameters go into the closed forms (`heralding`, `memories`,
`bell_pairs`). Measured outcomes (`pair_*`, `p_success`) are what such a set-up delivered in all, for links that are
not modelled further and for tests of those that are. What a paper does not say is None. Where it gives a range, the
number is the worse end, so that a twin promises no more than was shown. What nodes and links are made of these numbers
is `equipment`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareProfile:
    """One published set-up. Probabilities and efficiencies are plain shares, fidelities <Bell|rho|Bell>."""

    name: str
    platform: str
    source: str
    """Papers, as doi."""
    scheme: str
    """How pairs are heralded: single_click, double_click, sequential (one photon visits both nodes), pair_source."""

    fibre_km: float
    """Between the nodes, all of it. Of links within a laboratory, where nothing hangs on it, the order only."""
    attempt_s: float | None = None
    """From one attempt to the next while the node tries."""
    duty_factor: float = 1.0
    """Share of the time in which it does: the rest goes to cooling, reloading, checks of charge and resonance."""

    p_detection: float | None = None
    """A photon is emitted into the wanted line, collected, carried and detected; per node, without the fibre above."""
    conversion: float | None = None
    """Efficiency of frequency conversion to telecom wavelength; for some set-ups part of p_detection."""
    detector: float | None = None
    dark_per_window: float | None = None
    """Dark and background counts per detector and window."""
    visibility: float | None = None
    """Two-photon interference, the squared overlap of the photons."""
    phase_rms_rad: float = 0.0
    p_double_excitation: float = 0.0
    extra_depol: float = 0.0
    """White noise that measured pairs have beyond what the named imperfections explain. Fitted, not derived."""

    memory_t2_s: float | None = None
    """Coherence of what stores the pair, decoupling included."""
    communication_t2_s: float | None = None
    """Coherence of what emits or meets the photon, where that is another spin."""
    memory_attempts_1e: float | None = None
    """Attempts of the same node after which the memory's coherence has fallen to 1/e."""
    gate_p2: float | None = None
    """Probability that a two-qubit gate is ideal and does not leave white noise."""
    readout: float | None = None
    """Probability that a readout is right, the worse of the two states'."""

    p_success: float | None = None
    """Heralded pairs per attempt."""
    pair_rate_hz: float | None = None
    """Pairs per second of running time."""
    pair_fidelity: float | None = None
    pair_fidelity_sigma: float | None = None
    pair_fibre_km: float | None = None
    """Over which pair_fidelity was measured, where that is less than fibre_km: farther, extra_depol comes on top."""
    availability: float | None = None


def _table(*profiles: HardwareProfile) -> dict[str, HardwareProfile]:
    return {profile.name: profile for profile in profiles}


PROFILES = _table(
    # Humphreys et al., Nature 558, 268 (2018). Bright-state probability 0.05 to 0.3 is chosen by the user.
    HardwareProfile(
        name="nv-delft-2018",
        platform="NV centres in diamond, 2 m apart",
        source="doi:10.1038/s41586-018-0200-5",
        scheme="single_click",
        fibre_km=0.002,
        attempt_s=5.5e-6,
        # 0.81 at 6 Hz and 0.89 at 39 Hz: measured rates over those of uninterrupted attempts.
        duty_factor=0.85,
        p_detection=4e-4,
        dark_per_window=5e-7,  # 20 Hz, windows of up to 25 ns
        visibility=0.9,
        phase_rms_rad=radians(14.3),
        p_double_excitation=0.04,
        # At 0.05 and at 0.3 the measured fidelity lies 0.05 below the closed form.
        extra_depol=0.08,
        # Pairs decay at 5 Hz, so 0.2 s for both halves; single electrons 0.29 s and 0.68 s.
        memory_t2_s=0.29,
        gate_p2=0.94,  # 0.94 to 0.99, electron and carbon spin
        readout=0.98,  # 0.98 to 0.992
    ),
    # Pompili et al., Science 372, 259 (2021): Alice - Bob - Charlie, 9 and 7 Hz, fidelities above 0.8.
    HardwareProfile(
        name="nv-three-node-2021",
        platform="NV centres in diamond, three nodes, carbon-13 memory at the middle one",
        source="doi:10.1126/science.abg1919",
        scheme="single_click",
        fibre_km=0.03,
        attempt_s=5e-6,
        memory_attempts_1e=1800,
        gate_p2=0.97,
        readout=0.98,
        pair_rate_hz=7,
        pair_fidelity=0.80,
    ),
    # Stolk et al., Sci. Adv. 10, eadp6442 (2024): Delft - The Hague by a midpoint, bright state 0.25.
    HardwareProfile(
        name="nv-metro-2024",
        platform="NV centres in diamond, two cities",
        source="doi:10.1126/sciadv.adp6442",
        scheme="single_click",
        fibre_km=25,
        attempt_s=10e-6,
        conversion=0.48,  # 0.48 and 0.50 at the two nodes
        detector=0.60,
        p_success=7.2e-6,
        pair_fidelity=0.534,
        pair_fidelity_sigma=0.015,
    ),
    # Knaut et al., Nature 629, 573 (2024). Fidelity of electron spins over 20 m in the laboratory; nuclear spins over
    # the 35 km loop have 0.69(7).
    HardwareProfile(
        name="siv-boston-2024",
        platform="SiV centres in diamond nanocavities, silicon-29 memories, loop of deployed fibre",
        source="doi:10.1038/s41586-024-07252-z",
        scheme="sequential",
        fibre_km=35,
        conversion=0.30,  # 0.33 down, 0.30 up
        detector=0.423,  # the herald's whole path from the last node on
        # Over 35 km, beyond gates and readout: photons that the converters add.
        extra_depol=0.16,
        memory_t2_s=2.1,
        communication_t2_s=78e-6,
        gate_p2=0.937,
        readout=0.995,
        pair_rate_hz=1.0,
        pair_fidelity=0.86,
        pair_fidelity_sigma=0.03,
        pair_fibre_km=0.02,
    ),
    # Krutyanskiy et al., PRL 130, 050803 (2023) for the link of 230 m; PRL 130, 213601 (2023), a repeater node with
    # the same ions and cavity, for memory, gate, readout and photon detection (0.018 at telecom wavelength).
    HardwareProfile(
        name="ca-innsbruck-2023",
        platform="calcium-40 ions in cavities, two buildings",
        source="doi:10.1103/PhysRevLett.130.050803, doi:10.1103/PhysRevLett.130.213601",
        scheme="double_click",
        fibre_km=0.52,
        p_detection=0.111,
        memory_t2_s=62e-3,
        gate_p2=0.95,
        readout=0.9999,
        p_success=4e-5,
        pair_fidelity=0.882,
        pair_fidelity_sigma=0.06,  # +0.023, -0.060
    ),
    # Stephenson et al., PRL 124, 110501 (2020): 182 pairs per second. Drmota et al., PRL 130, 090803 (2023): memory.
    HardwareProfile(
        name="sr-oxford-2020",
        platform="strontium-88 ions, photons collected in free space, one laboratory",
        source="doi:10.1103/PhysRevLett.124.110501, doi:10.1103/PhysRevLett.130.090803",
        scheme="double_click",
        fibre_km=0.004,
        attempt_s=1.2e-6,
        memory_t2_s=1.0,  # seconds and more, on a calcium ion beside it
        gate_p2=0.999,
        readout=0.9999,
        p_success=2.18e-4,
        pair_rate_hz=182,
        pair_fidelity=0.940,
        pair_fidelity_sigma=0.005,
    ),
    # van Leent et al., Nature 607, 69 (2022): fibre on spools up to 33 km, where these numbers are from; fidelity
    # is of 6 km, and 0.622(15) over 33 km.
    HardwareProfile(
        name="rb-munich-2022",
        platform="single rubidium-87 atoms in tweezers, two buildings",
        source="doi:10.1038/s41586-022-04764-4",
        scheme="double_click",
        fibre_km=33,
        attempt_s=1 / 9.7e3,
        duty_factor=84 / 208,  # a pair in 208 s of running time, one in 84 s of attempts
        conversion=0.57,
        # Over 33 km, beyond the 6 km: atoms that wait for the herald, and detectors' dark counts.
        extra_depol=0.36,
        memory_t2_s=330e-6,
        p_success=1.22e-6,
        pair_rate_hz=1 / 208,
        pair_fidelity=0.83,
        pair_fibre_km=6,
    ),
    # Yu et al., Nature 578, 240 (2020); Liu et al., Nature 629, 579 (2024). Ranges: fidelity 0.67 to 0.73,
    # probability 7 to 8e-4, 1 to 2.8 kHz, memory 70 to 560 us, conversion 0.33 to 0.46.
    HardwareProfile(
        name="rb-ensembles-hefei-2024",
        platform="laser-cooled rubidium-87 ensembles, metropolitan fibre",
        source="doi:10.1038/s41586-020-1976-7, doi:10.1038/s41586-024-07308-0",
        scheme="single_click",
        fibre_km=22,
        attempt_s=1e-3,
        conversion=0.33,
        memory_t2_s=70e-6,
        p_success=7e-4,
        pair_fidelity=0.67,
    ),
    # Craddock et al., PRX Quantum 5, 030330 (2024): 15 days unattended; up to 5e5 pairs per second at less fidelity.
    HardwareProfile(
        name="pair-source-nyc-2024",
        platform="bichromatic pairs from warm rubidium vapour, GothamQ loop under New York; no memory",
        source="doi:10.1103/PRXQuantum.5.030330",
        scheme="pair_source",
        fibre_km=34,
        pair_rate_hz=2e4,
        pair_fidelity=0.99,
        availability=0.9984,
    ),
)
"""Profiles by name."""
