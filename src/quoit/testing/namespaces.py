"""Two network namespaces joined by a cable, and the programs of real tunnels in them: for tests and for the scene."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTER = ("192.0.2.1", "192.0.2.2")
"""Addresses of the cable's ends (RFC 5737)."""
INNER = ("198.51.100.1", "198.51.100.2")
"""Addresses that talk through the tunnel."""


class Missing(Exception):
    """What a scene needs and this machine does not have."""


def run(*command: str, stdin: str | None = None) -> str:
    """Run a command that must succeed; what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, input=stdin)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def need(*programs: str) -> None:
    """Raise `Missing` if a program is not here, or no network namespace can be made."""
    for program in ("ip", "ping", *programs):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise Missing("/dev/net/tun may not be used")
    probe = f"quoit-probe-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        raise Missing("network namespaces may not be made (root may)")
    run("ip", "netns", "del", probe)


class Cable:
    """Two namespaces and the cable between them. Files of programs are in `directory`, one a side."""

    def __init__(self, directory: Path) -> None:
        self.names = tuple(f"quoit-{side}-{os.getpid()}" for side in "ab")
        self.tags = tuple(f"q{side}{os.getpid() % 100_000}" for side in "ab")
        self.directory = directory
        self._processes: list[subprocess.Popen[bytes]] = []
        for side in (0, 1):
            self.files(side).mkdir(parents=True, exist_ok=True)

    def files(self, side: int) -> Path:
        """Directory of one side's files."""
        return self.directory / "ab"[side]

    def __enter__(self) -> Cable:
        a, b = self.names
        for name in self.names:
            run("ip", "netns", "add", name)
            self.on(self.names.index(name), "ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "cable", "netns", a, "type", "veth", "peer", "name", "cable", "netns", b)
        for side in (0, 1):
            self.on(side, "ip", "address", "add", f"{OUTER[side]}/30", "dev", "cable")
            self.on(side, "ip", "link", "set", "cable", "up")
        return self

    def __exit__(self, *exc: object) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for name in self.names:
            with contextlib.suppress(RuntimeError):
                run("ip", "netns", "del", name)

    def on(self, side: int, *command: str) -> str:
        """Run a command in a side's namespace."""
        return run("ip", "netns", "exec", self.names[side], *command)

    def keep(self, side: int, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a program that runs until the cable goes."""
        with (self.files(side) / "output.txt").open("ab") as out:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.names[side], *command],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **environment},
            )
        self._processes.append(process)
        return process

    def ping(self, count: int, interval_s: float = 0.05, source: str | None = None) -> subprocess.Popen[str]:
        """Pings through the tunnel from side a to side b; read the figures with `pinged`."""
        command = ["ip", "netns", "exec", self.names[0], "ping", "-q", "-i", str(interval_s), "-c", str(count)]
        if source is not None:
            command += ["-I", source]
        return subprocess.Popen([*command, "-W", "1", INNER[1]], stdout=subprocess.PIPE, text=True)

    # -- programs ------------------------------------------------------------------------------------

    def wireguard(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """A wireguard-go at each side; (interface, other side's public key) of both."""
        public = []
        for side in (0, 1):
            self._private_file(side, run("wg", "genkey"))
            public.append(run("wg", "pubkey", stdin=(self.files(side) / "private").read_text()).strip())
        for side, tag in enumerate(self.tags):
            self.keep(side, "wireguard-go", "-f", tag, WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD="1")
            _until(lambda tag=tag: Path(f"/var/run/wireguard/{tag}.sock").exists(), "wireguard-go")
            other = 1 - side
            settings = ["peer", public[other], "allowed-ips", f"{INNER[other]}/32", "endpoint", f"{OUTER[other]}:51820"]
            private = str(self.files(side) / "private")
            run("wg", "set", tag, "private-key", private, "listen-port", "51820", *settings)
            self.on(side, "ip", "address", "add", f"{INNER[side]}/24", "dev", tag)
            self.on(side, "ip", "link", "set", tag, "up")
        return (self.tags[0], public[1]), (self.tags[1], public[0])

    def _private_file(self, side: int, text: str) -> None:
        with os.fdopen(os.open(self.files(side) / "private", os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
            out.write(text)

    def strongswan(self) -> tuple[tuple[Path, Path], tuple[Path, Path]]:
        """A charon at each side, with a connection that waits for PPKs; (settings, VICI socket) of both."""
        made = []
        for side in (0, 1):
            files = self.files(side)
            vici = files / "vici"
            (files / "strongswan.conf").write_text(_STRONGSWAN.format(vici=vici, log=files / "charon.log"))
            self.on(side, "ip", "address", "add", f"{INNER[side]}/32", "dev", "lo")
            script = "mount -t tmpfs none /run && exec charon-systemd"
            self.keep(side, "unshare", "-m", "sh", "-c", script, STRONGSWAN_CONF=str(files / "strongswan.conf"))
            _until(vici.exists, "charon")
            _load_ike_secret(vici)
            (files / "connection.json").write_text(json.dumps(_connection(side)))
            made.append((files / "connection.json", vici))
        return made[0], made[1]

    def stunnel(self, inside: int, outside: int) -> tuple[tuple[Path, Path], tuple[Path, Path]]:
        """A stunnel at each side: what connects to port `inside` at side a comes out at `outside` of side b's loopback.
        (secrets, pid file) of both."""
        made = []
        for side in (0, 1):
            files = self.files(side)
            secrets, pid = files / "psk.txt", files / "stunnel.pid"
            with os.fdopen(os.open(secrets, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
                out.write(f"not-yet-keyed:{os.urandom(32).hex()}\n")  # no two ends share it: nothing flows before a key
            ways = (
                f"client = yes\naccept = 127.0.0.1:{inside}\nconnect = {OUTER[1]}:8855",
                f"accept = {OUTER[1]}:8855\nconnect = 127.0.0.1:{outside}",
            )[side]
            (files / "stunnel.conf").write_text(_STUNNEL.format(pid=pid, secrets=secrets, ways=ways))
            self.keep(side, "stunnel", str(files / "stunnel.conf"))
            _until(pid.exists, "stunnel")
            made.append((secrets, pid))
        return made[0], made[1]


_STRONGSWAN = """charon-systemd {{
  load = random nonce aes sha1 sha2 hmac kdf pem pubkey openssl curve25519 gcm kernel-libipsec kernel-netlink \
socket-default vici
  make_before_break = yes
  plugins {{ vici {{ socket = unix://{vici} }} }}
  filelog {{ log {{ path = {log}
      default = 1
      flush_line = yes }} }}
}}
"""
_STUNNEL = """foreground = yes
pid = {pid}
[quoit]
sslVersionMin = TLSv1.3
ciphers = PSK
PSKsecrets = {secrets}
{ways}
"""


def _connection(side: int) -> dict[str, Any]:
    me, other = "ab"[side], "ab"[1 - side]
    child = {
        "local_ts": [f"{INNER[side]}/32"],
        "remote_ts": [f"{INNER[1 - side]}/32"],
        "esp_proposals": ["aes256gcm16"],
    }
    return {
        "version": "2",
        "local_addrs": [OUTER[side]],
        "remote_addrs": [OUTER[1 - side]],
        "encap": "yes",
        "proposals": ["aes256gcm16-prfsha256-x25519"],
        "local": {"auth": "psk", "id": me},
        "remote": {"auth": "psk", "id": other},
        "children": {"net": child},
    }


def _load_ike_secret(path: Path) -> None:
    """What authenticates the two ends to each other; the key of the traffic comes from the PPK."""
    import importlib

    vici = importlib.import_module("vici")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(path))
        session = vici.Session(connection)
        session.load_shared({"id": "ike", "type": "ike", "data": b"scene only", "owners": ["a", "b"]})


def _until(done: Any, what: str, within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not done():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come up within {within_s:g} s")
        time.sleep(0.05)


def pinged(process: subprocess.Popen[str]) -> tuple[int, int]:
    """(sent, received) of a ping that ends by itself."""
    out, _ = process.communicate(timeout=120)
    words = next(line for line in out.splitlines() if "transmitted" in line).split()
    return int(words[0]), int(words[3])


def lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What a process tells in JSON lines, as it tells it."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            yield json.loads(line)
