"""TeraFlowSDN's dialects before any server: whatever is asked, there is an answer, and errors are RESTCONF's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_restconf_requests import METHODS, PIECES

from quoit.interfaces.restconf.exchange import Request
from quoit.interfaces.restconf.teraflow import TeraFlow
from quoit.interfaces.tapi.teraflow import SERVICES, TeraFlowTapi
from restconf_lab import ROOT, Lab

CHECKED = settings(max_examples=80, deadline=None, derandomize=True)
SLASHES = st.sampled_from(["", "/", "//"])
LEAVES = (
    st.none() | st.booleans() | st.integers(-3, 70_000) | st.text(max_size=3) | st.sampled_from(["GHz", "50", "NaN"])
)
MEMBERS = st.sampled_from(
    "quoit-lab:lab lab shelf book row column title virt_next_hop qkdi_att_point connectivity-constraint "
    f"requested-capacity total-size value unit end-point uuid {SERVICES}".split()
)
BODIES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3), max_leaves=12
)
PATHS = st.builds(
    lambda start, pieces, end: "/".join([start, *pieces]) + end,
    st.sampled_from([ROOT + "/data", ROOT, ROOT + "/operations", "", "/.well-known/host-meta"]),
    st.lists(PIECES, max_size=4),
    SLASHES,
)


@CHECKED
@given(METHODS, PATHS, BODIES | st.binary(max_size=5), st.sampled_from(["application/json", "text/xml", ""]))
def test_any_request_gets_an_answer(method: str, path: str, body: Any, kind: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"accept": "application/json", **({"content-type": kind} if kind else {})}

    async def work() -> None:
        lab = Lab()
        await lab.ready()
        for dialect in (TeraFlow(lab.core), TeraFlowTapi(lab.core)):
            answer = await dialect.handle(Request(method, path, "", headers, content, "me"))
            assert 200 <= answer.status < 500 or answer.status == 501
            if answer.status >= 400 and method != "HEAD":
                assert list(answer.json()) == ["ietf-restconf:errors"]
        await lab.core.close()

    asyncio.run(work())
