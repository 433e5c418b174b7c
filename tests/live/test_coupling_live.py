"""The coupling, live: an optical customer's light, a fibre that is cut, works; and applications that take a hundred
keys a second by ETSI GS QKD 014 all the while, over mutual TLS. See docs/loops.md.

The customer asks over TAPI if QUOIT_TAPI_YANG names a directory with release 2.4.0's modules, which are not part of
quoit (`make tapi`); and by the message that an optical controller sends, in any case.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests

from quoit.testing.checkers import verify_events

pytestmark = pytest.mark.live
COUPLING = Path(__file__).parents[2] / "examples" / "coupling.yaml"
CHANNEL = """
  channels:
    - {name: otn, from: bob, spans: [main], frequency: 194.0 THz, launch: 0 dBm, lit: false}
"""
SERVICE = "11111111-2222-4333-8444-555555555555"
CONTEXT = "restconf/data/tapi-common:context"
CENTRE_MHZ, WIDTH_MHZ, DBM = 194_000_000, 50_000, "0"
S = 10**9
EVERY_S, BATCH = 0.1, 10
PATIENCE_S = 60.0
TRIES = 3


def session(doors: dict[str, Any], leaf: dict[str, str]) -> requests.Session:
    found = requests.Session()
    found.trust_env = False
    found.cert, found.verify = (leaf["cert"], leaf["key"]), doors["ca"]
    return found


class Applications(threading.Thread):
    """Both ends: ten keys each tenth of a second at one, the same keys at the other; whatever fails is kept."""

    def __init__(self, doors: dict[str, Any]) -> None:
        super().__init__(daemon=True)
        self._ends = {sae: session(doors, app) for sae, app in doors["applications"].items()}
        self._urls = {sae: app["url"] for sae, app in doors["applications"].items()}
        self._done = threading.Event()
        self.taken = 0
        self.failed: list[str] = []

    def run(self) -> None:
        due = time.monotonic()
        while not self._done.is_set():
            due += EVERY_S
            try:
                self._take()
            except requests.RequestException as fault:
                self.failed.append(type(fault).__name__)
            self._done.wait(max(0.0, due - time.monotonic()))

    def _take(self) -> None:
        given = self._ask("alice-app", "bob-app", "enc_keys", {"number": BATCH, "size": 256})
        wanted = {"key_IDs": [{"key_ID": key["key_ID"]} for key in given["keys"]]} if given else {}
        got = self._ask("bob-app", "alice-app", "dec_keys", wanted) if given else None
        if given and got:
            assert {k["key_ID"]: k["key"] for k in given["keys"]} == {k["key_ID"]: k["key"] for k in got["keys"]}
            self.taken += len(given["keys"])

    def _ask(self, sae: str, peer: str, function: str, body: dict[str, Any]) -> dict[str, Any] | None:
        answer = self._ends[sae].post(f"{self._urls[sae]}/api/v1/keys/{peer}/{function}", json=body, timeout=20)
        if answer.status_code != 200:
            self.failed.append(f"{function}: {answer.status_code} {answer.json()['message']}")
            return None
        found: dict[str, Any] = answer.json()
        return found

    def end(self) -> None:
        self._done.set()
        self.join(30)


class Operator:
    """Over the run's socket."""

    def __init__(self, directory: Path) -> None:
        transport = httpx2.HTTPTransport(uds=str(directory / "operator.sock"))
        self._client = httpx2.Client(transport=transport, base_url="http://operator", trust_env=False, timeout=20)

    def get(self, path: str) -> Any:
        return self._client.get(path).raise_for_status().json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._client.post(path, json=body).raise_for_status().json()

    def records(self, loop: str) -> list[str]:
        return [f"{r['stage']}: {r['text']}" for r in self.loop(loop)["records"]]

    def loop(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(row for row in self.get("/loops")["loops"] if row["loop"] == name)
        return found

    def until(self, what: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < end, self.get("/loops")
            time.sleep(0.1)


def channel(context: dict[str, Any]) -> dict[str, Any]:
    """A customer's light on the fibre between the two ends: centre, width and power as it wants them."""
    sips = {row["name"][0]["value"]: row["uuid"] for row in context["service-interface-point"]}
    low, high = ((CENTRE_MHZ + side * WIDTH_MHZ // 2) * 10**6 for side in (-1, 1))
    pac = {
        "local-id": "mc",
        "spectrum": {"lower-frequency": str(low), "upper-frequency": str(high)},
        "power-management-config-pac": {"max-input-power": {"total-power": DBM}},
    }
    spec = {"tapi-photonic-media:mcg-connectivity-service-end-point-spec": {"mc-spectrum-config-pac": [pac]}}
    ends = [
        {
            "local-id": node,
            "layer-protocol-name": "PHOTONIC_MEDIA",
            "layer-protocol-qualifier": "tapi-photonic-media:PHOTONIC_LAYER_QUALIFIER_MC",
            "service-interface-point": {"service-interface-point-uuid": sips[f"{node} add/drop"]},
            "layer-protocol-constraint": [{"local-id": "photonic", **spec}],
        }
        for node in ("bob", "alice")
    ]
    return {"tapi-connectivity:connectivity-context": {"connectivity-service": [{"uuid": SERVICE, "end-point": ends}]}}


def network(*events: str) -> str:
    """The example, without its calendar and its customer."""
    told = COUPLING.read_text().split("events:")[0]
    start, end = told.index("  channels:"), told.index("links:")
    return "\n".join((told[:start] + told[end:], "events:", *events)) if events else told[:start] + told[end:]


class OverTapi:
    """A customer who posts a connectivity service, and deletes it."""

    options = ("--tapi-port", "0", "--management-port", "0")
    file = network()
    light = SERVICE

    def __init__(self, doors: dict[str, Any]) -> None:
        self._session = session(doors, doors["tapi"]["roles"]["controller"])
        self._url = f"{doors['tapi']['url']}/{CONTEXT}"

    def begin(self) -> None:
        context = self._session.get(self._url, timeout=20).json()["tapi-common:context"]
        answer = self._session.post(
            self._url, json=channel(context), headers={"content-type": "application/yang-data+json"}, timeout=20
        )
        assert answer.status_code == 201, answer.text

    def end(self) -> None:
        where = f"{self._url}/tapi-connectivity:connectivity-context/connectivity-service={SERVICE}"
        assert self._session.delete(where, timeout=20).status_code == 204


class ByTheFile:
    """A customer who has it by the file: from 14 s to 36 s."""

    options = ()
    light = "otn"
    file = network("  - {at: 14s, until: 36s, order: {channel: otn}}").replace("plant:\n", f"plant:\n{CHANNEL}")

    def __init__(self, doors: dict[str, Any]) -> None:
        pass

    def begin(self) -> None:
        pass

    def end(self) -> None:
        pass


needs_modules = pytest.mark.skipif(
    not os.environ.get("QUOIT_TAPI_YANG"), reason="QUOIT_TAPI_YANG names no directory with TAPI 2.4.0's modules"
)


class TooBusy(Exception):
    """The machine was: the run says that it was not faithful, and promises nothing."""


@pytest.mark.realises("E3", "E4", "G1", "G2")
@pytest.mark.parametrize("customers", [pytest.param(OverTapi, marks=needs_modules), ByTheFile])
def test_applications_feel_nothing_of_a_customers_light_a_cut_and_works(
    customers: type[OverTapi | ByTheFile], tmp_path: Path, live_twin: Any
) -> None:
    file = tmp_path / "coupling.yaml"
    file.write_text(customers.file)
    for attempt in range(1, TRIES + 1):
        try:
            play(customers, file, tmp_path / str(attempt), live_twin)
            return
        except TooBusy:
            if attempt == TRIES:
                raise


def play(customers: type[OverTapi | ByTheFile], file: Path, run: Path, live_twin: Any) -> None:
    with live_twin(file, run, *customers.options) as doors:
        operator, customer, applications = Operator(run), customers(doors), Applications(doors)
        applications.start()
        try:
            story(operator, customer, applications)
        except AssertionError:
            if not operator.get("/status")["faithful"]:
                raise TooBusy from None
            raise
        finally:
            applications.end()
        if not operator.get("/status")["faithful"]:
            raise TooBusy
    assert verify_events(run / "events.jsonl").violations == []


def story(operator: Operator, customer: OverTapi | ByTheFile, applications: Applications) -> None:
    time.sleep(3)
    customer.begin()
    causes: set[str] = set()

    def quiet_again() -> bool:
        causes.update(alarm["cause"] for alarm in operator.get("/alarms")["alarms"])
        return "verify: it helped" in operator.records("noise:direct")

    operator.until(quiet_again)
    assert f"noise of classical light: {customer.light}" in causes
    found = next(r for r in operator.loop("noise:direct")["records"] if r["stage"] == "analyse")
    assert 0.7 < found["fields"]["explained"] < 1.4, "the formulas foretell the rise from what was ordered"
    customer.end()
    operator.until(lambda: not operator.get("/channels")["rows"])

    operator.post("/strike", {"kind": "cut", "target": "south"})
    operator.until(lambda: "verify: it helped" in operator.records("restore:direct"))
    operator.post("/strike", {"kind": "splice", "target": "south"})

    now = operator.get("/status")["now_ns"]
    dates = {"start_ns": now + 25 * S, "end_ns": now + 30 * S}
    operator.post("/works", {"works": "dig", "spans": ["main"], "force": True, **dates})
    operator.until(lambda: "verify: it helped" in operator.records("works:direct"))
    applications.end()
    assert applications.failed == []
    assert applications.taken > 1000
