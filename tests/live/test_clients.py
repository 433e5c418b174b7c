"""Madrid live, and clients that others wrote: curl, etsi-qkd-014-client, qkdsec doctor; and ill-meant requests."""

from __future__ import annotations

import base64
import json
import shlex
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from etsi_qkd_014_client import QKD014Client

from quoit.testing.checkers import verify_events

pytestmark = pytest.mark.live
MADRID = Path(__file__).parents[2] / "examples" / "madrid.yaml"
MASTER, SLAVE, STRANGER = "quiron-app", "concepcion-app", "distrito-app"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Live:
    """A running `quoit up`: what it printed, its doors, and every key that it gave to these tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.keys: list[bytes] = []
        self.opened = 0
        self.errors = (directory.parent / "stderr").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "quoit.cli.main", "up", str(MADRID), "--dir", str(directory), "--from", "10s",
             "--port", str(free_port())],
            stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        self.printed: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.printed.append(line.rstrip())
            if line.startswith("watch:"):
                break
        done = subprocess.run(
            ["curl", "-s", "--unix-socket", str(directory / "operator.sock"), "http://twin/doors"],
            capture_output=True, check=True, timeout=20,
        )  # fmt: skip
        doors = json.loads(done.stdout)
        self.ca, self.apps = doors["ca"], doors["applications"]

    def client(self, sae: str) -> QKD014Client:
        """The application `sae` at its own KME."""
        app = self.apps[sae]
        return QKD014Client(app["url"].removeprefix("https://"), app["cert"], app["key"], self.ca)

    def send(self, sae: str, peer: str, function: str, body: str | None = None, at: str | None = None) -> Any:
        """A raw request of `sae`, at its own KME or at that of the application `at`."""
        me, there = self.apps[sae], self.apps[at or sae]["url"]
        return requests.request(
            "GET" if body is None else "POST", f"{there}/api/v1/keys/{peer}/{function}", data=body,
            headers={} if body is None else {"Content-Type": "application/json"},
            cert=(me["cert"], me["key"]), verify=self.ca, timeout=20,
        )  # fmt: skip

    def stored(self) -> int:
        return int(self.send(MASTER, SLAVE, "status").json()["stored_key_count"])

    def open(self, **options: Any) -> list[tuple[str, bytes]]:
        """Keys of MASTER for SLAVE by the independent client."""
        status, answer = self.client(MASTER).get_key(SLAVE, **options)
        assert status == 200, vars(answer)
        return self.noted([(key.key_id, key.key) for key in answer.keys])

    def noted(self, keys: list[tuple[str, str]]) -> list[tuple[str, bytes]]:
        values = [(key_id, base64.b64decode(text, validate=True)) for key_id, text in keys]
        self.keys += [value for _, value in values]
        self.opened += len(values)
        return values

    def stop(self) -> int:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        code = self._process.wait(30)
        self.errors.close()
        return code


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    live = Live(tmp_path_factory.mktemp("madrid") / "run")
    yield live
    live.stop()


@pytest.mark.realises("C3", "G3", "I1")
def test_the_printed_curl_line_takes_a_key(twin: Live) -> None:
    (line,) = [text for text in twin.printed if text.startswith("curl ")]
    done = subprocess.run([*shlex.split(line), "-s"], capture_output=True, check=True, timeout=20)
    (key,) = json.loads(done.stdout)["keys"]
    ((_, value),) = twin.noted([(key["key_ID"], key["key"])])
    assert len(value) == 32


@pytest.mark.realises("B4", "C2", "C3", "C8")
@pytest.mark.parametrize("options", [{}, {"number": 3, "size": 128}, {"number": 1, "size": 1024}])
def test_an_independent_client_gets_the_same_keys_at_both_ends(twin: Live, options: dict[str, int]) -> None:
    opened = twin.open(**options)
    assert len(opened) == options.get("number", 1)
    assert {8 * len(value) for _, value in opened} == {options.get("size", 256)}
    status, answer = twin.client(SLAVE).get_key_with_key_IDs(MASTER, [key_id for key_id, _ in opened])
    assert status == 200
    assert [(key.key_id, base64.b64decode(key.key)) for key in answer.keys] == opened
    again, refusal = twin.client(SLAVE).get_key_with_key_IDs(MASTER, [opened[0][0]])
    assert again == 400
    assert refusal.message == "one or more keys specified are not found on KME"


def test_an_independent_client_reads_the_status(twin: Live) -> None:
    status, answer = twin.client(MASTER).get_status(SLAVE)
    assert status == 200
    assert (answer.master_sae_id, answer.slave_sae_id) == (MASTER, SLAVE)
    assert (answer.source_kme_id, answer.target_kme_id) == ("kme-quiron", "kme-concepcion")
    assert answer.min_key_size <= answer.key_size <= answer.max_key_size
    assert 0 < answer.stored_key_count <= answer.max_key_count


@pytest.mark.realises("C3")
def test_the_doctor_of_qkdsec_fails_nothing(twin: Live) -> None:
    app = twin.apps["doctor"]
    done = subprocess.run(
        [Path(sys.executable).parent / "qkdsec", "doctor", app["url"], "-s", "doctor", "--cert", app["cert"],
         "--key", app["key"], "--ca-cert", twin.ca, "-f", "json"],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    verdicts = {result["name"]: result["status"] for result in report["results"]}
    # The doctor would like 404 for an unknown key_ID; clause 6.4 of 014 V1.1.1 has 400, which is what it gets.
    assert verdicts.pop("error_contract_404") == "warn"
    assert set(verdicts.values()) == {"pass"}
    assert {"dec_keys_roundtrip", "enc_keys_get", "enc_keys_post", "status_fields"} <= set(verdicts)


@pytest.mark.realises("C3")
@pytest.mark.parametrize("size", ["0", "-8", "257", str(2**63), "1e400", "8.5", '"256"', "true", "null"])
def test_sizes_that_cannot_be_are_refused_and_spend_nothing(twin: Live, size: str) -> None:
    before = twin.stored()
    answer = twin.send(MASTER, SLAVE, "enc_keys", f'{{"number": 1, "size": {size}}}')
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) <= {"message", "details"}
    # A refill may add keys meanwhile; the last test counts in the log what was opened.
    assert twin.stored() >= before


@pytest.mark.parametrize("number", ["0", "-1", str(2**63), "1e400", '"1"'])
def test_numbers_that_cannot_be_are_refused(twin: Live, number: str) -> None:
    assert twin.send(MASTER, SLAVE, "enc_keys", f'{{"number": {number}}}').status_code == 400


def test_an_unknown_application_and_a_forbidden_one_look_alike(twin: Live) -> None:
    before = twin.stored()
    unknown = twin.send(MASTER, "nobody", "enc_keys")
    forbidden = twin.send(MASTER, "quinto-app", "enc_keys")
    assert unknown.status_code == forbidden.status_code == 400
    assert unknown.json() == forbidden.json()
    assert twin.stored() >= before


@pytest.mark.realises("I1")
def test_a_foreign_application_gets_401_and_the_key_stays_for_its_party(twin: Live) -> None:
    ((key_id, value),) = twin.open()
    body = json.dumps({"key_IDs": [{"key_ID": key_id}]})
    for function, text in (("dec_keys", body), ("enc_keys", None), ("status", None)):
        assert twin.send(STRANGER, MASTER, function, text, at=SLAVE).status_code == 401
    # At its own KME the key is not known at all.
    assert twin.send(STRANGER, MASTER, "dec_keys", body).status_code == 400
    taken = twin.send(SLAVE, MASTER, "dec_keys", body)
    assert base64.b64decode(taken.json()["keys"][0]["key"]) == value


@pytest.mark.realises("I1")
def test_without_a_certificate_there_is_no_answer_but_a_refusal(twin: Live) -> None:
    url = f"{twin.apps[MASTER]['url']}/api/v1/keys/{SLAVE}/enc_keys"
    try:
        answer = requests.get(url, verify=twin.ca, timeout=20)
    except requests.exceptions.RequestException:
        return  # refused in the handshake
    assert answer.status_code == 401


def test_a_key_that_never_was(twin: Live) -> None:
    body = json.dumps({"key_IDs": [{"key_ID": str(uuid.uuid4())}]})
    assert twin.send(SLAVE, MASTER, "dec_keys", body).status_code == 400


def test_last_the_run_leaves_no_key_behind_and_keeps_its_promises(twin: Live) -> None:
    """Stops the twin, so that all logs are complete: this test is the file's last."""
    opened = twin.open(number=4)
    twin.client(SLAVE).get_key_with_key_IDs(MASTER, [key_id for key_id, _ in opened])
    assert twin.stop() == 0
    log = twin.directory / "events.jsonl"
    assert verify_events(log).violations == []
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    issued = sum(e["number"] for e in entries if e["event"] == "keys.opened" and e["master"] == MASTER)
    assert issued == twin.opened  # every refused request cost nothing
    assert len(twin.keys) >= 4
    files = [path for path in twin.directory.parent.rglob("*") if path.is_file()]
    assert {"events.jsonl", "journal.jsonl", "stderr", "audit.jsonl", "store.db"} <= {path.name for path in files}
    for path in files:
        held = path.read_bytes()
        lower = held.lower()
        for value in twin.keys:
            windows = [value[i : i + 8] for i in range(len(value) - 7)]
            assert not [w for w in windows if w in held], path.name
            assert value.hex().encode() not in lower, path.name
            assert base64.b64encode(value).rstrip(b"=") not in held, path.name
            assert base64.urlsafe_b64encode(value).rstrip(b"=") not in held, path.name
