"""A small server of the transit engine's encrypt, decrypt and rewrap, over TLS on loopback.

It is no Vault and no OpenBao: neither can be had from a package registry, so these tests never spoke to one. It answers
as their documentation and their sources say: `vault:v<version>:<base64 of nonce, ciphertext, tag>` of AES-256-GCM, and
errors as {"errors": [...]}: 400 for what does not open, 403 for tokens and policies, 404 for paths without an engine,
503 when sealed. Faults are set as attributes.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import http.server
import json
import os
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quoit.adapters.crypto.pki import Authority

MOUNT = "transit"
TOO_OLD = "ciphertext or signature version is disallowed by policy (too old)"


class Refusal(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        self.status = status
        self.errors = errors


class TransitKey:
    """Versions of one key; version n is `versions[n - 1]`."""

    def __init__(self) -> None:
        self.versions = [os.urandom(32)]
        self.min_decryption_version = 1

    def encrypt(self, plaintext: str) -> str:
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(self.versions[-1]).encrypt(nonce, base64.b64decode(plaintext), None)
        return f"vault:v{len(self.versions)}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, ciphertext: str) -> str:
        try:
            prefix, version, sealed = ciphertext.split(":")
            number, raw = int(version.removeprefix("v")), base64.b64decode(sealed, validate=True)
        except (ValueError, binascii.Error):
            raise Refusal(400, "invalid ciphertext: no prefix") from None
        if prefix != "vault":
            raise Refusal(400, "invalid ciphertext: no prefix")
        if number > len(self.versions):
            raise Refusal(400, "invalid ciphertext: version is too new")
        if number < self.min_decryption_version:
            raise Refusal(400, TOO_OLD)
        if len(raw) < 12:
            raise Refusal(400, "invalid ciphertext length")
        try:
            return base64.b64encode(AESGCM(self.versions[number - 1]).decrypt(raw[:12], raw[12:], None)).decode()
        except InvalidTag:
            raise Refusal(400, "cipher: message authentication failed") from None


class TransitServer:
    """Runs from its making to `close`. `keys`: by name. `token`: the one that is let in; it may do `may`."""

    def __init__(self, directory: Path) -> None:
        self.keys: dict[str, TransitKey] = {}
        self.token = "hvs." + base64.urlsafe_b64encode(os.urandom(24)).decode()
        self.may = {"encrypt", "decrypt", "rewrap"}
        self.sealed = False
        self.sealed_for = 0
        """So many requests are answered as if it were sealed."""
        self.redirect_to: str | None = None
        self.stall_s = 0.0
        self.drip = False
        """Answer a byte at a time, so that no single read takes long."""
        self.raw_answer: tuple[int, bytes] | None = None
        self.asked: list[tuple[str, str, str | None]] = []
        """(path, token, namespace) of each request."""
        self._connections: set[socket.socket] = set()
        authority = Authority(directory / "pki", "transit")
        leaf = authority.issue_kme("transit", ["127.0.0.1"], ["localhost"])
        self.ca_file = authority.root_pem
        self.token_file = directory / "token"
        self.write_token(self.token)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.chain, leaf.key)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients leave as they like
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def write_token(self, token: str, mode: int = 0o600) -> None:
        self.token_file.write_text(token + "\n")
        self.token_file.chmod(mode)

    def uri(self, name: str, more: str = "") -> str:
        """Of a key, made if there is none of that name."""
        self.keys.setdefault(name, TransitKey())
        files = f"token-file={self.token_file}&ca-file={self.ca_file}"
        return f"vault+https://127.0.0.1:{self.port}/{MOUNT}/{name}?{files}{more}"

    def close(self) -> None:
        """End it, and cut who is connected."""
        self._server.shutdown()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join(10)

    def answer(self, path: str, token: str, namespace: str | None, body: bytes) -> dict[str, Any]:
        """What a request is answered with. Raises `Refusal`."""
        self.asked.append((path, token, namespace))
        if self.sealed or self.sealed_for > 0:
            self.sealed_for -= 1
            raise Refusal(503, "Vault is sealed")
        if token != self.token:
            raise Refusal(403, f"permission denied for {token}")  # a careless one, so that its words are not repeated
        words = path.removeprefix("/v1/").split("/")
        if len(words) != 3 or words[0] != MOUNT or words[1] not in ("encrypt", "decrypt", "rewrap"):
            raise Refusal(404, f'no handler for route "{path}". route entry not found.')
        _, operation, name = words
        key = self.keys.get(name)
        if operation not in self.may or (key is None and operation == "encrypt"):
            raise Refusal(403, "1 error occurred:\n\t* permission denied\n\n")  # it would be `create`
        if key is None:
            raise Refusal(400, "encryption key not found")
        members = json.loads(body)
        if operation == "encrypt":
            return {"ciphertext": key.encrypt(members["plaintext"]), "key_version": len(key.versions)}
        plaintext = key.decrypt(members["ciphertext"])
        if operation == "decrypt":
            return {"plaintext": plaintext}
        return {"ciphertext": key.encrypt(plaintext), "key_version": len(key.versions)}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self) -> None:
                super().setup()
                server._connections.add(self.request)

            def finish(self) -> None:
                server._connections.discard(self.request)
                with contextlib.suppress(OSError):
                    super().finish()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = self.headers["X-Vault-Token"] or ""
                try:
                    data = server.answer(self.path, token, self.headers["X-Vault-Namespace"], body)
                    status, content = 200, json.dumps({"request_id": "1", "renewable": False, "data": data}).encode()
                except Refusal as refusal:
                    status, content = refusal.status, json.dumps({"errors": list(refusal.errors)}).encode()
                status, content = server.raw_answer or (status, content)
                time.sleep(server.stall_s)
                self.send_response(307 if server.redirect_to else status)
                if server.redirect_to:
                    self.send_header("Location", server.redirect_to)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                for piece in [content[i : i + 1] for i in range(len(content))] if server.drip else [content]:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(0.2 if server.drip else 0)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
