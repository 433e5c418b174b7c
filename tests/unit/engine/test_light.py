"""Noise that classical channels make for a quantum link: which, where, and how much, against the closed forms."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quoit.engine.light import FLOOR_DBM, QUIET, lines_on, lit_spans, noise_of
from quoit.engine.physics import coexistence as cx
from quoit.engine.physics import silica
from quoit.engine.physics.fibre import photon_rate_hz
from quoit.engine.world import ADD_DROP, TrueChannel, TrueLink, TrueSpan, TrueSwitch, World
from quoit.model.spectrum import Slot

QUANTUM = Slot(193_400_000, 25_000)
STRONG = Slot(193_100_000, 50_000)


def world(*channels: TrueChannel, isolation_db: float = 300.0, spans: tuple[str, ...] = ("ab", "bc")) -> World:
    """a - b - c by two fibres of 20 and 30 km; a quantum link from a to c."""
    fibres = {
        "ab": TrueSpan("ab", 4.0, a="a", b="b", length_km=20.0),
        "bc": TrueSpan("bc", 6.0, a="b", b="c", length_km=30.0),
    }
    link = TrueLink("link", spans, source="a", slot=QUANTUM, isolation_db=isolation_db)
    return World(fibres, {"link": link}, channels={c.name: c for c in channels})


def raman(dbm: float, km: float, way: str) -> float:
    beta = silica.raman_beta(STRONG.centre_hz, QUANTUM.centre_hz)
    power = cx.raman_power_w(1e-3 * 10 ** (dbm / 10), km, beta, QUANTUM.width_nm, 0.2, 0.2, way)
    return photon_rate_hz(power, QUANTUM.wavelength_nm * 1e-9)


def test_without_classical_light_there_is_no_noise() -> None:
    off = TrueChannel("x", "a", ("ab",), STRONG, None)
    w = world(off)
    assert noise_of(w, w.links["link"], lit_spans(w)) == QUIET
    assert noise_of(w, TrueLink("other", ("ab",)), lit_spans(w)) == QUIET  # nobody knows where it is


@pytest.mark.realises("E3")
def test_raman_light_of_each_fibre_loses_the_rest_of_the_way() -> None:
    along = world(TrueChannel("x", "a", ("ab", "bc"), STRONG, 0.0))
    expected = raman(0.0, 20, "co") * 10**-0.6 + raman(-4.0, 30, "co")
    assert noise_of(along, along.links["link"], lit_spans(along)).raman_hz == pytest.approx(expected)
    # All of one colour and one attenuation: as one fibre of 50 km.
    assert expected == pytest.approx(raman(0.0, 50, "co"))

    against = world(TrueChannel("x", "c", ("bc", "ab"), STRONG, 0.0))
    expected = raman(0.0, 30, "ctr") + raman(-6.0, 20, "ctr") * 10**-0.6
    assert noise_of(against, against.links["link"], lit_spans(against)).raman_hz == pytest.approx(expected)
    assert expected == pytest.approx(raman(0.0, 50, "ctr"))


def test_a_channel_on_the_first_fibre_alone_is_heard_through_the_second() -> None:
    w = world(TrueChannel("x", "b", ("ab",), STRONG, 3.0))
    assert noise_of(w, w.links["link"], lit_spans(w)).raman_hz == pytest.approx(raman(3.0, 20, "ctr") * 10**-0.6)


def test_what_leaks_is_filtered_once_at_the_end_and_twice_on_the_way() -> None:
    full = world(TrueChannel("x", "a", ("ab", "bc"), STRONG, 0.0), isolation_db=80.0)
    expected = cx.crosstalk_photons(1e-3, 10.0, 80.0, QUANTUM.wavelength_nm * 1e-9)
    assert noise_of(full, full.links["link"], lit_spans(full)).leaked_hz == pytest.approx(expected)
    half = world(TrueChannel("x", "a", ("ab",), STRONG, 0.0), isolation_db=40.0)
    # It leaves at b after 4 dB; what leaks on loses 6 dB more.
    assert noise_of(half, half.links["link"], lit_spans(half)).leaked_hz == pytest.approx(expected)


def test_light_in_the_quantum_slot_is_not_filtered_at_all() -> None:
    same = TrueChannel("x", "a", ("ab", "bc"), QUANTUM, -60.0)
    w = world(same)
    expected = photon_rate_hz(1e-3 * 10**-7, QUANTUM.wavelength_nm * 1e-9)
    assert noise_of(w, w.links["link"], lit_spans(w)).leaked_hz == pytest.approx(expected)
    back = world(TrueChannel("x", "c", ("bc",), QUANTUM, -60.0))
    scattered = cx.rayleigh_back_w(1e-9, 30, 0.2)
    assert noise_of(back, back.links["link"], lit_spans(back)).leaked_hz == pytest.approx(
        photon_rate_hz(scattered, QUANTUM.wavelength_nm * 1e-9)
    )


def test_channels_that_mix_into_the_slot_are_heard_and_others_are_not() -> None:
    def pair(first: int, second: int) -> World:
        return world(
            TrueChannel("one", "a", ("ab", "bc"), Slot(first, 50_000), 3.0),
            TrueChannel("two", "a", ("ab", "bc"), Slot(second, 50_000), 3.0),
        )

    # 2 x 193.6 - 193.8 = 193.4
    hit, missed = pair(193_600_000, 193_800_000), pair(193_600_000, 193_850_000)
    mixed = noise_of(hit, hit.links["link"], lit_spans(hit)).mixed_hz
    assert noise_of(missed, missed.links["link"], lit_spans(missed)).mixed_hz == 0
    apart = silica.phase_mismatch_per_km(193.6e12, 193.6e12, 193.8e12)
    watt = 1e-3 * 10**0.3
    first = cx.fwm_power_w(watt, watt, watt, 1.3, 20, 0.2, apart, True) * 10**-0.6
    weaker = watt * 10**-0.4
    second = cx.fwm_power_w(weaker, weaker, weaker, 1.3, 30, 0.2, apart, True)
    assert mixed == pytest.approx(photon_rate_hz(first + second, QUANTUM.wavelength_nm * 1e-9))


def test_a_bend_dims_what_comes_with_the_signal_and_not_what_comes_against_it() -> None:
    for source, spans, factor in (("a", ("ab",), 10**-0.3), ("b", ("ab",), 1.0)):
        w = world(TrueChannel("x", source, spans, STRONG, 0.0), spans=("ab",))
        before = noise_of(w, w.links["link"], lit_spans(w)).raman_hz
        w.spans["ab"].bend_db = 3.0
        assert noise_of(w, w.links["link"], lit_spans(w)).raman_hz == pytest.approx(before * factor)


def test_a_cut_stops_light_and_noise() -> None:
    w = world(TrueChannel("x", "a", ("ab", "bc"), STRONG, 0.0))
    w.spans["ab"].cut = True
    assert noise_of(w, w.links["link"], lit_spans(w)).total_hz == 0
    assert w.loss_db("link") is None


def test_another_band_loses_more_and_hears_less() -> None:
    o_band = Slot(228_849_000, 25_000)  # 1310 nm
    w = world(TrueChannel("x", "a", ("ab", "bc"), STRONG, 0.0))
    before = noise_of(w, w.links["link"], lit_spans(w)).raman_hz
    w.links["link"] = replace(w.links["link"], slot=o_band)
    assert w.loss_db("link") == pytest.approx(10.0 + 50 * 0.13, abs=0.02)
    assert noise_of(w, w.links["link"], lit_spans(w)).raman_hz < before / 1_000


# -- switches and monitors ------------------------------------------------------------------------------


def test_a_switch_takes_its_insertion_loss_and_blocks_what_it_does_not_join() -> None:
    w = world(TrueChannel("x", "a", ("ab", "bc"), STRONG, 0.0))
    w.switches["b"] = TrueSwitch(5.0, 10)
    assert w.loss_db("link") is None
    assert [(line.node, line.dbm) for line in lines_on(lit_spans(w).get("ab", []))] == [("b", -4.0)]
    assert lines_on(lit_spans(w).get("bc", [])) == ()
    b = w.switches["b"]
    b.joints |= {"x": b.joint("ab", "bc", 193_100_000), "link": b.joint("bc", "ab", 193_400_000)}
    assert w.loss_db("link") == 15.0
    assert [line.dbm for line in lines_on(lit_spans(w).get("bc", []))] == [pytest.approx(-15.0)]
    w.switches["c"] = TrueSwitch(2.0, 10, selective=False)
    w.switches["c"].joints["link"] = w.switches["c"].joint("bc", ADD_DROP, 0)
    assert w.loss_db("link") == 17.0


def test_light_from_outside_passes_the_switch_at_its_source() -> None:
    w = world(TrueChannel("x", "a", ("ab",), STRONG, 0.0), TrueChannel("y", "a", ("ab",), STRONG, 0.0, bare=True))
    w.switches["a"] = TrueSwitch(5.0, 10)
    assert [line.dbm for line in lines_on(lit_spans(w).get("ab", []))] == [-4.0]


def test_monitors_see_power_and_noise_down_to_their_floor() -> None:
    weak = TrueChannel("weak", "a", ("ab",), Slot(194_000_000, 50_000), FLOOR_DBM + 3.9)
    strong = TrueChannel("strong", "b", ("ab",), STRONG, 10.0)
    w = world(weak, strong)
    assert [(line.node, line.dbm) for line in lines_on(lit_spans(w).get("ab", []))] == [("a", 6.0)]
    weak.launch_dbm = -20.0
    seen = {line.node: line for line in lines_on(lit_spans(w).get("ab", []))}
    assert seen["b"].osnr_db == pytest.approx(-24 - FLOOR_DBM)  # the floor is above the Raman light
    assert seen["a"].osnr_db == pytest.approx(6 - FLOOR_DBM)
