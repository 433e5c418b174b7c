"""ETSI GS QKD 014 V1.1.1 over real mTLS: clause in the test's name. The groups are those that the one public
014 test suite asserts, with the malformed inputs that broke other servers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fake_kme import Bench, bench_in

from quoit.interfaces.etsi014.codec import Compat

NOT_FOUND = "one or more keys specified are not found on KME"
SOME_ID = "7d1b9a44-6d62-4ec7-9b0e-0f6f2ea4a001"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench_in(tmp_path_factory.mktemp("clauses")) as made:
        yield made


@pytest.fixture
def alice(bench: Bench) -> Iterator[httpx2.Client]:
    with bench.client("alice") as client:
        yield client


@pytest.fixture
def bob(bench: Bench) -> Iterator[httpx2.Client]:
    with bench.client("bob") as client:
        yield client


@pytest.fixture
def carol(bench: Bench) -> Iterator[httpx2.Client]:
    with bench.client("carol") as client:
        yield client


def refused(response: httpx2.Response, *statuses: int) -> str:
    """A refusal has a table 13 Error object, is not cached, and takes no key. Returns its message."""
    assert response.status_code in (statuses or (400,)), response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    error = response.json()
    assert isinstance(error["message"], str)
    assert error["message"]
    assert all(isinstance(entry, dict) for entry in error.get("details", []))
    return str(error["message"])


def one_key(client: httpx2.Client, peer: str = "bob", **members: object) -> dict[str, str]:
    response = client.post(f"/api/v1/keys/{peer}/enc_keys", json=members)
    assert response.status_code == 200, response.text
    (key,) = response.json()["keys"]
    return key


# -- the methods -------------------------------------------------------------------------------------------


@pytest.mark.realises("C3")
@pytest.mark.parametrize("way", ["get", "post"])
def test_cl_5_3_and_5_4_both_ends_get_the_same_key_once(alice: httpx2.Client, bob: httpx2.Client, way: str) -> None:
    enc = "/api/v1/keys/bob/enc_keys"
    answer = alice.get(enc, params={"number": 1}) if way == "get" else alice.post(enc)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    (key,) = answer.json()["keys"]
    dec = "/api/v1/keys/alice/dec_keys"

    def take() -> httpx2.Response:
        if way == "get":
            return bob.get(dec, params={"key_ID": key["key_ID"].upper()})
        return bob.post(dec, json={"key_IDs": [{"key_ID": key["key_ID"], "master_SAE_ID": "alice"}]})

    first = take()
    assert first.status_code == 200
    assert first.json()["keys"] == [key]
    assert refused(take()) == NOT_FOUND


def test_cl_5_4_a_third_sae_is_not_authorised_and_the_key_stays(
    alice: httpx2.Client, bob: httpx2.Client, carol: httpx2.Client
) -> None:
    key_id = one_key(alice)["key_ID"]
    for third in (carol, alice):  # the master is no slave either: its own path is refused first
        status = 401 if third is carol else 400
        message = refused(third.get("/api/v1/keys/alice/dec_keys", params={"key_ID": key_id}), status)
        assert "bob" not in message
    assert bob.get("/api/v1/keys/alice/dec_keys", params={"key_ID": key_id}).status_code == 200


def test_cl_5_4_one_missing_key_takes_none(alice: httpx2.Client, bob: httpx2.Client) -> None:
    key_id = one_key(alice)["key_ID"]
    wanted = {"key_IDs": [{"key_ID": key_id}, {"key_ID": SOME_ID}]}
    assert refused(bob.post("/api/v1/keys/alice/dec_keys", json=wanted)) == NOT_FOUND
    del wanted["key_IDs"][1]
    assert bob.post("/api/v1/keys/alice/dec_keys", json=wanted).status_code == 200


@pytest.mark.parametrize("way", ["get", "post"])
def test_cl_5_3_an_additional_slave_gets_the_key_too(alice: httpx2.Client, carol: httpx2.Client, way: str) -> None:
    key = one_key(alice, number=1, additional_slave_SAE_IDs=["carol"])
    dec = "/api/v1/keys/alice/dec_keys"
    if way == "get":
        answer = carol.get(dec, params={"key_ID": key["key_ID"]})
    else:
        answer = carol.post(dec, json={"key_IDs": [{"key_ID": key["key_ID"]}]})
    assert answer.json()["keys"] == [key]


def test_cl_6_1_status_has_all_fields_and_both_names(alice: httpx2.Client) -> None:
    status = alice.get("/api/v1/keys/bob/status").json()
    assert (status["master_SAE_ID"], status["slave_SAE_ID"]) == ("alice", "bob")
    assert (status["source_KME_ID"], status["target_KME_ID"]) == ("kme-a", "kme-b")
    for name in (
        "key_size",
        "stored_key_count",
        "max_key_count",
        "max_key_per_request",
        "max_key_size",
        "min_key_size",
        "max_SAE_ID_count",
    ):
        assert type(status[name]) is int
        assert -(2**31) <= status[name] < 2**31
    assert status["status_extension"] == {"quoit_synthetic": True, "quoit_refill_bps": 1500.5}


@pytest.mark.parametrize("way", ["get", "post without body", "post {}"])
def test_cl_6_2_defaults_are_one_key_of_the_default_size(alice: httpx2.Client, way: str) -> None:
    enc = "/api/v1/keys/bob/enc_keys"
    answer = {"get": alice.get, "post without body": alice.post}.get(way, lambda p: alice.post(p, json={}))(enc)
    container = answer.json()
    (key,) = container["keys"]
    assert 8 * len(base64.b64decode(key["key"])) == alice.get("/api/v1/keys/bob/status").json()["key_size"]
    assert container["key_container_extension"] == {"quoit_synthetic": True}


def test_cl_6_2_number_and_size_are_kept(alice: httpx2.Client) -> None:
    keys = alice.get("/api/v1/keys/bob/enc_keys", params={"number": 5, "size": 1024}).json()["keys"]
    assert len({key["key_ID"] for key in keys}) == 5
    assert {len(base64.b64decode(key["key"], validate=True)) for key in keys} == {128}


# -- malformed ---------------------------------------------------------------------------------------------

BAD_INTEGERS = [
    "0",
    "-8",
    "9223372036854775808",
    "1e400",
    '"abc"',
    '"256"',
    "8.0",
    "true",
    "null",
    "NaN",
    "[]",
    "9" * 500,
]


@pytest.mark.parametrize("value", BAD_INTEGERS)
@pytest.mark.parametrize("name", ["size", "number"])
def test_cl_6_2_bad_integers_are_refused_without_a_key(
    bench: Bench, alice: httpx2.Client, name: str, value: str
) -> None:
    before = bench.gate.stock
    body = f'{{"{name}": {value}}}'
    headers = {"content-type": "application/json"}
    refused(alice.post("/api/v1/keys/bob/enc_keys", content=body, headers=headers))
    refused(alice.get("/api/v1/keys/bob/enc_keys", params={name: value.strip('"') + ("x" if value == '"256"' else "")}))
    assert bench.gate.stock == before


@pytest.mark.parametrize("size", [257, 7, 4097])
def test_cl_6_2_fixed_message_for_sizes_that_are_not_whole_bytes(alice: httpx2.Client, size: int) -> None:
    for answer in (
        alice.get("/api/v1/keys/bob/enc_keys", params={"size": size}),
        alice.post("/api/v1/keys/bob/enc_keys", json={"size": size}),
    ):
        assert refused(answer) == "size shall be a multiple of 8"
        assert "details" not in answer.json()


@pytest.mark.parametrize("members", [{"size": 56}, {"size": 4104}, {"number": 129}])
def test_cl_6_2_over_the_limits_is_400(alice: httpx2.Client, members: dict[str, int]) -> None:
    refused(alice.post("/api/v1/keys/bob/enc_keys", json=members))


@pytest.mark.parametrize(
    "names", [[], [""], [" "], ["carol", "carol"], ["bob"], ["alice"], "carol", [3], ["a\u0000b"], list("abcde"), None]
)
def test_cl_6_2_bad_additional_slaves(alice: httpx2.Client, names: object) -> None:
    refused(alice.post("/api/v1/keys/bob/enc_keys", json={"additional_slave_SAE_IDs": names}))


def test_cl_6_2_fixed_message_and_details_for_mandatory_extensions(alice: httpx2.Client) -> None:
    answer = alice.post(
        "/api/v1/keys/bob/enc_keys", json={"extension_mandatory": [{"abc_route_type": "direct"}, {"abc_max_age": 3}]}
    )
    assert refused(answer) == "not all extension_mandatory parameters are supported"
    assert answer.json()["details"] == [
        {"extension_mandatory_unsupported": "abc_route_type is not supported"},
        {"extension_mandatory_unsupported": "abc_max_age is not supported"},
    ]


def test_cl_6_2_optional_extensions_and_unknown_members_are_ignored(alice: httpx2.Client) -> None:
    one_key(alice, extension_optional=[{"abc_max_age": 3}], color="blue", extension_mandatory=[])


@pytest.mark.parametrize("extension", [{"abc_max_age": 3}, ["abc"], 7])
def test_cl_6_2_extensions_are_lists_of_objects(alice: httpx2.Client, extension: object) -> None:
    refused(alice.post("/api/v1/keys/bob/enc_keys", json={"extension_optional": extension}))


@pytest.mark.parametrize(
    "path", ["%20", "%00", "a%0ab", "a%7f", "%zz", "bob%", "%ff", "alice", "nobody", "..%2f", "%252e", "b%C3%B6b"]
)
@pytest.mark.parametrize("function", ["enc_keys", "dec_keys"])
def test_cl_5_bad_sae_ids_in_the_path(alice: httpx2.Client, path: str, function: str) -> None:
    query = f"?key_ID={SOME_ID}" if function == "dec_keys" else ""
    body = {"key_IDs": [{"key_ID": SOME_ID}]} if function == "dec_keys" else {}
    refused(alice.get(f"/api/v1/keys/{path}/{function}{query}"))
    refused(alice.post(f"/api/v1/keys/{path}/{function}", json=body))


def test_cl_5_the_path_is_decoded_once_and_may_hold_a_slash(bench: Bench, alice: httpx2.Client) -> None:
    answer = alice.get("/api/v1/keys/sae%2Fwith%20slash%25/status")
    assert answer.json()["slave_SAE_ID"] == "sae/with slash%"
    with bench.client("sae/with slash%") as other:
        key = one_key(alice, "sae%2Fwith%20slash%25")
        taken = other.get("/api/v1/keys/alice/dec_keys", params={"key_ID": key["key_ID"]})
        assert taken.json()["keys"] == [key]


def test_cl_5_2_status_of_oneself_is_refused(alice: httpx2.Client) -> None:
    refused(alice.get("/api/v1/keys/alice/status"))


@pytest.mark.parametrize(
    "key_id", ["non-uuid", "", SOME_ID[:-1], SOME_ID + "\n", "{" + SOME_ID + "}", SOME_ID.replace("-", "")]
)
def test_cl_6_3_key_ids_are_uuids(bob: httpx2.Client, key_id: str) -> None:
    dec = "/api/v1/keys/alice/dec_keys"
    refused(bob.get(dec, params={"key_ID": key_id}))
    refused(bob.post(dec, json={"key_IDs": [{"key_ID": key_id}]}))


@pytest.mark.parametrize(
    "members", [{}, {"key_IDs": []}, {"key_IDs": {}}, {"key_IDs": [SOME_ID]}, {"key_IDs": [{"key_ID": 5}]}]
)
def test_cl_6_3_key_ids_are_a_list_of_objects(bob: httpx2.Client, members: object) -> None:
    refused(bob.post("/api/v1/keys/alice/dec_keys", json=members))


def test_cl_6_3_too_many_or_repeated_key_ids(bob: httpx2.Client) -> None:
    for entries in ([{"key_ID": SOME_ID}] * 2, [{"key_ID": SOME_ID[:-3] + f"{n:03d}"} for n in range(129)]):
        refused(bob.post("/api/v1/keys/alice/dec_keys", json={"key_IDs": entries}))


BODIES = [
    b"{",
    b"[]",
    b"7",
    b'{"number": 1, "number": 2}',
    b'{"number": 1} {}',
    b'{"number": 1}x',
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"a": ' + b"[" * 17 + b"]" * 17 + b"}",
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b'{"additional_slave_SAE_IDs": ["\\ud800"]}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_cl_4_bodies_that_are_not_one_plain_json_object(alice: httpx2.Client, body: bytes) -> None:
    refused(alice.post("/api/v1/keys/bob/enc_keys", content=body, headers={"content-type": "application/json"}))


@pytest.mark.parametrize(
    "query",
    [
        "number=1&number=2",
        "size=%ff",
        "extension_mandatory=1",
        "additional_slave_SAE_IDs=carol",
        "number=+1",
        "number=01",
    ],
)
def test_cl_5_3_get_is_for_simple_requests(alice: httpx2.Client, query: str) -> None:
    refused(alice.get(f"/api/v1/keys/bob/enc_keys?{query}"))


# -- as HTTP -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_cl_5_other_methods_take_no_key(bench: Bench, alice: httpx2.Client, method: str) -> None:
    before = bench.gate.stock
    answer = alice.request(method, "/api/v1/keys/bob/enc_keys")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert bench.gate.stock == before
    if method != "HEAD":
        refused(answer, 405)


def test_cl_5_2_status_is_get_only(alice: httpx2.Client) -> None:
    answer = alice.post("/api/v1/keys/bob/status")
    refused(answer, 405)
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize(
    "path", ["", "/", "/bob", "/bob/", "/bob/keys", "/bob/enc_keys/", "/a/b/enc_keys", "//enc_keys/"]
)
def test_cl_5_other_paths_are_404(alice: httpx2.Client, path: str) -> None:
    refused(alice.get(f"/api/v1/keys{path}"), 404)


def test_cl_4_bodies_are_json(alice: httpx2.Client) -> None:
    enc = "/api/v1/keys/bob/enc_keys"
    for headers in ({"content-type": "text/plain"}, {"content-type": "application/json", "content-encoding": "gzip"}):
        refused(alice.post(enc, content=b"{}", headers=headers), 415)
    answer = alice.post(enc, content=b"{}", headers={"content-type": "Application/JSON; charset=utf-8"})
    assert answer.status_code == 200
    # GET with the header, as a C client sends it
    assert alice.get(enc, headers={"content-type": "application/json"}).status_code == 200


def test_cl_5_identity_is_never_taken_from_headers(alice: httpx2.Client) -> None:
    spoof = {"x-forwarded-client-cert": "Subject=CN=bob", "client-cert": ":AA==:", "x-ssl-client-s-dn": "CN=bob"}
    assert alice.get("/api/v1/keys/bob/status", headers=spoof).json()["master_SAE_ID"] == "alice"


def test_cl_5_3_an_empty_store_is_503_with_a_hint(bench: Bench, alice: httpx2.Client) -> None:
    stock, bench.gate.stock = bench.gate.stock, 0
    try:
        answer = alice.get("/api/v1/keys/bob/enc_keys")
    finally:
        bench.gate.stock = stock
    assert "not enough key material" in refused(answer, 503)
    assert answer.headers["retry-after"] == "2"


def test_faults_of_ours_are_500_and_tell_nothing(bench: Bench, alice: httpx2.Client) -> None:
    async def broken(*args: object, **more: object) -> None:
        raise ZeroDivisionError("the secret of it")

    bench.gate.ask, keep = broken, bench.gate.ask  # type: ignore[method-assign,assignment]
    try:
        assert refused(alice.get("/api/v1/keys/bob/enc_keys"), 500) == "internal error"
    finally:
        bench.gate.ask = keep  # type: ignore[method-assign]


# -- compat flags ------------------------------------------------------------------------------------------


def test_compat_dec_path_self_goes_by_key_id(bench: Bench, alice: httpx2.Client) -> None:
    listener = bench.serve(Compat(dec_path_self=True))
    key = one_key(alice)
    with bench.client("bob", listener) as bob:
        assert bob.get("/api/v1/keys/bob/dec_keys", params={"key_ID": key["key_ID"]}).json()["keys"] == [key]


def test_compat_unknown_key_404(bench: Bench) -> None:
    with bench.client("bob", bench.serve(Compat(unknown_key_404=True))) as bob:
        answer = bob.get("/api/v1/keys/alice/dec_keys", params={"key_ID": SOME_ID})
        assert refused(answer, 404) == NOT_FOUND


def test_compat_qukaydee_wants_the_master_in_each_entry(bench: Bench, alice: httpx2.Client) -> None:
    key_id = one_key(alice)["key_ID"]
    with bench.client("bob", bench.serve(Compat(qukaydee=True))) as bob:
        dec = "/api/v1/keys/alice/dec_keys"
        refused(bob.post(dec, json={"key_IDs": [{"key_ID": key_id}]}))
        entry = {"key_ID": key_id, "master_SAE_ID": "alice"}
        assert bob.post(dec, json={"key_IDs": [entry]}).status_code == 200


def test_compat_quditto2_answers_as_a_list_of_one_python_dictionary(bench: Bench) -> None:
    listener = bench.serve(Compat(quditto2=True))
    with bench.client("alice", listener) as alice, bench.client("bob", listener) as bob:
        (text,) = alice.get("/api/v1/keys/bob/enc_keys?size=512").json()
        assert text.startswith("{'key_ID': '")
        key_id = text.split("'")[3]
        assert bob.get(f"/api/v1/keys/alice/dec_keys?key_ID={key_id}").json() == [text]
        again = bob.get(f"/api/v1/keys/alice/dec_keys?key_ID={key_id}")
        assert (again.status_code, again.json()) == (200, ["{'key': 'No key with specified key_ID'}"])
        (partner,) = alice.get("/api/v1/keys/nobody/enc_keys?size=512").json()
        assert partner.startswith("{'message': 'Invalid partner requested.', 'details': ")
        (no_size,) = alice.get("/api/v1/keys/bob/enc_keys").json()
        assert "size is required" in no_size


# -- the contract ------------------------------------------------------------------------------------------


def test_openapi_documents_are_valid_and_served(alice: httpx2.Client) -> None:
    from openapi_spec_validator import validate

    keys = alice.get("/api/v1/keys/openapi.json").json()
    units = alice.get("/openapi.json").json()
    validate(keys)
    validate(units)
    assert set(keys["paths"]) == {
        "/api/v1/keys/{slave_SAE_ID}/status",
        "/api/v1/keys/{slave_SAE_ID}/enc_keys",
        "/api/v1/keys/{master_SAE_ID}/dec_keys",
    }


def test_answers_fit_the_openapi_document(alice: httpx2.Client) -> None:
    import jsonschema

    document = alice.get("/api/v1/keys/openapi.json").json()

    def check(value: object, name: str) -> None:
        jsonschema.validate(value, {**document, "$ref": f"#/components/schemas/{name}"})

    check(alice.get("/api/v1/keys/bob/status").json(), "Status")
    check(alice.get("/api/v1/keys/bob/enc_keys").json(), "KeyContainer")
    check(alice.get("/api/v1/keys/alice/enc_keys").json(), "Error")


# -- independent clients -----------------------------------------------------------------------------------


@pytest.mark.realises("C3")
def test_client_etsi_qkd_014_client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from etsi_qkd_014_client import QKD014Client
    from etsi_qkd_014_client.data import DataError, DataKeyContainer, DataStatus

    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests prefers them to its own argument
        monkeypatch.delenv(name, raising=False)

    def client(sae: str) -> QKD014Client:
        leaf = bench.leaf(sae)
        host = f"127.0.0.1:{bench.main.port}"
        return QKD014Client(host, str(leaf.chain), str(leaf.key), str(bench.authority.root_pem))

    alice, bob, carol = client("alice"), client("bob"), client("carol")
    code, status = alice.get_status("bob")
    assert code == 200
    assert isinstance(status, DataStatus)
    code, container = alice.get_key("bob", number=2, size=512, additional_slave_sae_ids=["carol"])
    assert code == 200
    assert isinstance(container, DataKeyContainer)
    key_ids = [key.key_id for key in container.keys]
    for slave in (bob, carol):
        code, taken = slave.get_key_with_key_IDs("alice", key_ids)
        assert code == 200
        assert [key.key for key in taken.keys] == [key.key for key in container.keys]
    code, error = bob.get_key_with_key_IDs("alice", key_ids)
    assert code == 400
    assert isinstance(error, DataError)
    only_bob = alice.get_key("bob")[1].keys[0].key_id
    code, error = carol.get_key_with_key_IDs("alice", [only_bob])  # it reads JSON from every refusal
    assert code == 401
    assert isinstance(error, DataError)


def test_client_qkdsec_doctor_finds_nothing_with_a_self_pair_identity(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qkdsec.client import ETSI014Client
    from qkdsec.doctor import run_all

    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    leaf = bench.leaf("dave")
    listener = bench.serve(Compat(allow_self_pair=frozenset({"dave"})))
    client = ETSI014Client(
        bench.url(listener), client_cert=(str(leaf.chain), str(leaf.key)), verify=str(bench.authority.root_pem)
    )
    report = run_all(client, "dave", latency_samples=1)
    failed = [r.summary for r in report.results if r.status.value == "fail"]
    assert failed == []
    assert report.counts["warn"] <= 1  # it wants 404 where the standard has 400
    with bench.client("alice", listener) as alice:
        refused(alice.get("/api/v1/keys/alice/enc_keys"))  # the opt-in is dave's alone


def test_client_curl_with_the_root_alone(bench: Bench) -> None:
    import json
    import shutil
    import subprocess

    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    leaf = bench.leaf("alice")
    command: list[str | Path] = [curl, "-sS", "--noproxy", "*", "--cacert", bench.authority.root_pem]
    command += ["--cert", leaf.chain, "--key", leaf.key, f"{bench.url()}/api/v1/keys/bob/status"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=20)
    assert json.loads(done.stdout)["master_SAE_ID"] == "alice"


@pytest.mark.realises("C8")
def test_client_of_ours_sync_and_async(bench: Bench) -> None:
    from quoit.interfaces.etsi014.client import AsyncKme014, Kme014, KmeRefusal

    def of(kind: type, sae: str) -> object:
        leaf = bench.leaf(sae)
        return kind(bench.url(), leaf.chain, leaf.key, bench.authority.root_pem)

    async def take(key_ids: list[str]) -> tuple[object, ...]:
        async with of(AsyncKme014, "bob") as bob:
            assert (await bob.status("alice")).slave_sae == "alice"
            return await bob.dec_keys("alice", key_ids)

    with of(Kme014, "alice") as alice:
        assert alice.status("bob").refill_bps == 1500.5
        keys = alice.enc_keys("bob", 3, 128)
        assert [len(key.value) for key in keys] == [16, 16, 16]
        taken = bench.run(take([key.key_id for key in keys]))
        assert [key.value for key in taken] == [key.value for key in keys]
        with pytest.raises(KmeRefusal, match="HTTP 400: size shall be a multiple of 8") as caught:
            alice.enc_keys("bob", size=257)
        assert caught.value.status == 400
