"""`quoit token` and `quoit join`: an operator lets a node in, and the device at that node joins by itself."""

from __future__ import annotations

import sys
from pathlib import Path

from quoit.adapters.crypto.pki import client_context
from quoit.cli import show
from quoit.cli.run import instant
from quoit.cli.top import Operator
from quoit.interfaces.enrolment.client import Joiner, JoinRefused, read_token


def make_token(directory: Path, node: str, valid_for: str, json: bool) -> int:
    """Ask the running twin for a one-time token and print it: it is shown this once."""
    life_s = instant(valid_for, "--valid-for") / 1e9
    status, answer = Operator(directory).post("/tokens", {"node": node, "valid_for_s": life_s})
    if status != 200:
        show.error(str(answer.get("message", f"status {status}")))
        return 1
    if json:
        show.json_line(answer)
    else:
        print(answer["token"])
        show.error(f"good once, for node {node}, for {valid_for}; at the device: quoit join < FILE")
    return 0


def join(token: str | None, directory: Path, json: bool) -> int:
    """Enrol and register; `token` None: read it from standard input, where other users of the machine do not see it."""
    text = sys.stdin.readline() if token is None else token
    try:
        wish = read_token(text)
        joined = Joiner(wish, directory, client_context).join()
    except JoinRefused as refused:
        show.error(str(refused))
        return 1
    except OSError as fault:
        raise show.UserError(f"{directory}: {fault}") from fault
    if json:
        show.json_line(joined)
        return 0
    print(f"{joined['node']} has joined; its certificate is {directory / 'node.pem'}")
    print(f"  links:        {', '.join(joined['links']) or 'none yet'}")
    if joined["waiting"]:
        print(f"  waiting for their other ends: {', '.join(joined['waiting'])}")
    if joined["unplanned"]:
        print(f"  interfaces that nobody planned, left alone: {', '.join(joined['unplanned'])}")
    for sae, door in joined["doors"].items():
        print(f"  application:  {sae} at {door['url']}")
    return 0
