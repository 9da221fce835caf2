# SPDX-License-Identifier: Apache-2.0
"""Keystone, Glance and Barbican over the directory of a local cloud, in a process of their own, with tokens
that live for seconds and with faults: errors, cut and reset connections, stalls, damaged bytes, lost answers,
revoked tokens. How often is in FAULTS; what happens is a matter of the seed and of who asks when.

What the real services answer is the business of tests/openstack."""
import collections
import contextlib
import datetime
import hashlib
import http.server
import json
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Dict, Iterator, Optional

PROJECT = "2970921843934c998380b5c9a96a7be4"
TOKEN_SECONDS = 10
REVOKE_SECONDS = 4  # not more often
# A request is repeated with another token only once, and may meet an outage meanwhile: within this time it is not
# refused again, though its second token may have ended, too.
REFUSE_SECONDS = 20
OUTAGE_SECONDS = 4  # longer than a request is repeated
PIECE = 1 << 16
# The stall that is longer than the stall_timeout below; the short one is endured.
SHORT_STALL, LONG_STALL, STALL_TIMEOUT = 0.4, 4.5, 3
# Of all requests of a kind, so many have this fault.
FAULTS = {
    "any": {"500": 0.02, "503": 0.02, "reset": 0.02, "short stall": 0.02, "revoke": 0.02},
    "download": {"cut": 0.08, "reset": 0.03, "short stall": 0.05, "long stall": 0.005, "damage": 0.02},
    "upload": {"lost answer": 0.08, "cut": 0.06, "500": 0.04},
}


def replace_text(path: Path, text: str) -> None:
    """Nobody sees half of it."""
    path.with_suffix(".written").write_text(text)
    path.with_suffix(".written").rename(path)


class Cut(Exception):
    """The connection ends here."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "FaultyCloud"

    # --- answers ---

    def answer(self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, answer: object, status: int = 200, **headers: str) -> None:
        self.answer(json.dumps(answer).encode(), status, x_openstack_request_id="req-" + str(uuid.uuid4()), **headers)

    def refuse(self, status: int) -> None:
        self.answer_json({"code": status, "title": "refused", "description": "refused"}, status)

    def body(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length", "0"))
        while left > 0:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise Cut
            left -= len(piece)
            yield piece

    def cut(self) -> None:
        """With a reset, as a process that dies leaves it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Cut

    # --- each request ---

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (Cut, OSError):
            self.close_connection = True

    def serve(self) -> None:
        words = self.path.split("?")[0].strip("/").split("/")
        if words[0] == "soak":
            self.control(words[1])
        elif words[-2:] == ["auth", "tokens"]:
            self.meets(self.server.fault("any"))
            self.log_in()
        elif not self.server.admits(self.headers.get("X-Auth-Token", ""), f"{self.command} {self.path}"):
            self.drain()
            self.refuse(401)
        elif words[:2] == ["v2", "images"]:
            self.serve_image(words[2:])
        elif words[:2] == ["v1", "secrets"]:
            self.meets(self.server.fault("any"))
            self.serve_secret(words[2:])
        else:
            self.drain()
            self.refuse(404)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def drain(self) -> None:
        for _ in self.body():
            pass

    def meets(self, fault: Optional[str]) -> None:
        """A fault that does not depend on what is asked for."""
        if fault in ("500", "503"):
            self.drain()
            self.refuse(int(fault))
            raise Cut
        if fault == "reset":
            self.cut()
        if fault == "short stall":
            time.sleep(SHORT_STALL)
        if fault == "revoke":
            self.server.revoke()

    def control(self, what: str) -> None:
        if what == "calm":
            self.server.is_calm = True
        if what == "outage":
            self.server.outage_end = time.monotonic() + OUTAGE_SECONDS
        with self.server.lock:
            self.answer(json.dumps(self.server.counts).encode())

    # --- Keystone ---

    def log_in(self) -> None:
        self.drain()
        token, issued, expires = self.server.issue()
        endpoints = [{"type": kind, "endpoints": [{"interface": "public", "region_id": "RegionOne",
                                                   "region": "RegionOne", "url": self.server.url}]}
                     for kind in ("image", "key-manager")]
        self.answer_json({"token": {"methods": ["application_credential"], "issued_at": issued, "expires_at": expires,
                                    "user": {"id": "5083", "name": "demo"}, "catalog": endpoints,
                                    "project": {"id": PROJECT, "name": "demo"}}}, 201, X_Subject_Token=token)

    # --- Barbican ---

    def serve_secret(self, words) -> None:
        content = b"".join(self.body())
        path = self.server.directory / "secrets" / f"{words[0]}.json"
        if not path.exists():
            self.refuse(404)
        elif words[1:] == ["payload"]:
            self.answer(path.with_suffix(".payload").read_bytes(), kind="application/octet-stream")
        elif words[1:] == ["consumers"]:
            self.change_consumer(path, json.loads(content))
        else:
            self.answer_json(json.loads(path.read_text()))

    def change_consumer(self, path: Path, consumer: dict) -> None:
        with self.server.lock:
            secret = json.loads(path.read_text())
            others = [one for one in secret.get("consumers", []) if one != consumer]
            was_there = len(others) < len(secret.get("consumers", []))
            secret["consumers"] = others + ([consumer] if self.command == "POST" else [])
            replace_text(path, json.dumps(secret))
        if self.command == "DELETE" and not was_there:
            self.refuse(404)
        else:
            self.answer_json(secret)

    # --- Glance ---

    def serve_image(self, words) -> None:
        if not words:
            self.meets(self.server.fault("any"))
            self.answer_json({"images": [json.loads(path.read_text()) for path in
                                         sorted((self.server.directory / "images").glob("*.json"))]})
        elif self.server.record(words[0]) is None:
            self.drain()
            self.refuse(404)
        elif words[1:] == ["file"]:
            (self.take_data if self.command == "PUT" else self.send_data)(words[0])
        else:
            self.meets(self.server.fault("any"))
            if self.command == "PATCH":
                self.patch(words[0])
            else:
                self.answer_json(self.server.record(words[0]))

    def patch(self, image: str) -> None:
        changes = json.loads(b"".join(self.body()))
        with self.server.lock:
            record = self.server.record(image)
            record.update((change["path"][1:], change["value"]) for change in changes)
            self.server.write_record(image, record)
        self.answer_json(record)

    def send_data(self, image: str) -> None:
        fault = self.server.fault("download")
        self.meets(fault)
        data = (self.server.directory / "images" / f"{image}.data").read_bytes()
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        body = bytearray(data[begin:])
        middle = len(body) // 2
        if fault == "damage":
            body[middle] ^= 1
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(body[:middle])
        if fault == "cut":
            self.cut()
        if fault == "long stall":
            time.sleep(LONG_STALL)
        self.wfile.write(body[middle:])

    def take_data(self, image: str) -> None:
        """As Glance does: queued, saving, active; queued again when the data do not come in full."""
        fault = self.server.fault("upload")
        self.meets(fault)
        with self.server.lock:
            record = self.server.record(image)
            was_queued = record["status"] == "queued"
            if was_queued:
                self.server.write_record(image, {**record, "status": "saving"})
        if not was_queued:
            self.drain()
            self.refuse(409)
            return
        data = b""
        try:
            data = self.whole_body(fault)
        finally:
            if not data:
                self.finish_upload(image, status="queued")
        self.store(image, data)
        if fault == "lost answer":
            self.cut()
        self.answer(b"", 204)

    def whole_body(self, fault: Optional[str]) -> bytes:
        pieces = []
        for piece in self.body():
            pieces.append(piece)
            if fault == "cut":
                self.cut()
        return b"".join(pieces)

    def store(self, image: str, data: bytes) -> None:
        (self.server.directory / "images" / f"{image}.data").write_bytes(data)
        self.finish_upload(image, status="active", size=len(data), checksum=hashlib.md5(data).hexdigest(),
                           os_hash_algo="sha512", os_hash_value=hashlib.sha512(data).hexdigest())

    def finish_upload(self, image: str, **fields: object) -> None:
        with self.server.lock:
            self.server.write_record(image, {**self.server.record(image), **fields})

    def log_message(self, *_: object) -> None:  # pylint: disable=arguments-differ
        """Nobody reads it."""


class FaultyCloud(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, directory: Path, seed: int):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.directory = directory
        self.dice = random.Random(f"{seed} faults of the services")
        self.lock = threading.RLock()
        self.is_calm = False
        self.tokens: Dict[str, float] = {}  # and when they end
        self.refusals: Dict[str, float] = {}  # of requests, and when
        self.last_revocation = 0.0
        self.outage_end = 0.0
        self.counts: Dict[str, int] = collections.Counter()

    def handle_error(self, *_: object) -> None:  # pylint: disable=arguments-differ
        reason = sys.exc_info()[1]
        if not isinstance(reason, (Cut, OSError)):
            self.count(f"broken: {reason!r}", "service")

    def count(self, what: str, kind: str) -> None:
        with self.lock:
            self.counts[f"{kind}: {what}"] += 1

    def fault(self, kind: str) -> Optional[str]:
        with self.lock:
            self.counts[f"{kind}: requests"] += 1
            number = self.dice.random()
        if time.monotonic() < self.outage_end and not self.is_calm:
            self.count("503 of an outage", kind)
            return "503"
        for name, share in FAULTS[kind].items():
            if number < share and not self.is_calm:
                self.count(name, kind)
                return name
            number -= share
        return None

    # --- tokens ---

    def issue(self) -> tuple:
        now = datetime.datetime.now(datetime.timezone.utc)
        token, end = uuid.uuid4().hex, now + datetime.timedelta(seconds=TOKEN_SECONDS)
        with self.lock:
            self.counts["token: issued"] += 1
            self.tokens[token] = time.monotonic() + TOKEN_SECONDS
        return token, now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), end.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def admits(self, token: str, request: str) -> bool:
        now = time.monotonic()
        with self.lock:
            if self.tokens.get(token, 0) > now:
                return True
            if token in self.tokens and now < self.refusals.get(request, now - REFUSE_SECONDS) + REFUSE_SECONDS:
                self.counts["token: admitted for once"] += 1
                return True
            self.refusals[request] = now
            self.counts["token: refused"] += 1
            return False

    def revoke(self) -> None:
        with self.lock:
            now = time.monotonic()
            if now > self.last_revocation + REVOKE_SECONDS:
                self.last_revocation = now
                self.tokens = dict.fromkeys(self.tokens, now)

    # --- records, in the form that the local cloud has ---

    def record(self, image: str) -> Optional[dict]:
        with contextlib.suppress(FileNotFoundError):
            return json.loads((self.directory / "images" / f"{image}.json").read_text())
        return None

    def write_record(self, image: str, record: dict) -> None:
        replace_text(self.directory / "images" / f"{image}.json", json.dumps(record))


class ServedCloud:
    """The services in a process of their own. Fork before there are threads."""

    def __init__(self, directory: Path, seed: int):
        cloud = FaultyCloud(directory, seed)
        self.url = cloud.url
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                cloud.serve_forever()
            finally:
                os._exit(0)
        cloud.server_close()

    def _control(self, what: str) -> Dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/soak/{what}", timeout=30) as answer:
            return json.loads(answer.read())

    def counts(self) -> Dict[str, int]:
        return self._control("counts")

    def outage(self) -> None:
        """For some seconds all of them answer 503."""
        self._control("outage")

    def calm(self) -> None:
        """No faults from now on; tokens still expire."""
        self._control("calm")

    def write_configuration(self, path: Path, *lines: str) -> None:
        path.write_text("\n".join((
            "cloud = openstack", f"os_auth_url = {self.url}/v3", "os_region_name = RegionOne",
            "os_application_credential_id = soak", "os_application_credential_secret = soak",
            f"stall_timeout = {STALL_TIMEOUT}", "connect_timeout = 5", "request_timeout = 20", *lines, "")),
            encoding="ascii")
        path.chmod(0o600)

    def close(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
