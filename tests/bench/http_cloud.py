# SPDX-License-Identifier: Apache-2.0
"""Keystone, Glance and Barbican in one process, as far as one image that is only read asks of them: fast
enough that what fetches is measured, not what serves. What the real services answer is the business of
tests/openstack."""
import http.server
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Dict

PROJECT, TOKEN = "2970921843934c998380b5c9a96a7be4", "a-token"
SENT_AT_ONCE = 1 << 22


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "HttpCloud"

    def answer(self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, answer: object, status: int = 200, **headers: str) -> None:
        self.answer(json.dumps(answer).encode(), status, **headers)

    def do_POST(self) -> None:  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self.path.endswith("/auth/tokens"):
            self.answer_json({}, 404)
            return
        endpoints = [{"type": kind, "endpoints": [{"interface": "public", "region_id": "RegionOne",
                                                   "region": "RegionOne", "url": self.server.url}]}
                     for kind in ("image", "key-manager")]
        self.answer_json({"token": {"methods": ["application_credential"], "issued_at": "2024-05-06T07:08:09.0Z",
                                    "expires_at": "2099-05-06T07:08:09.0Z", "user": {"id": "5083", "name": "demo"},
                                    "project": {"id": PROJECT, "name": "demo"}, "catalog": endpoints}},
                         201, X_Subject_Token=TOKEN)

    def do_GET(self) -> None:  # pylint: disable=invalid-name
        words = self.path.split("?")[0].strip("/").split("/")
        if words[:2] == ["v2", "images"] and len(words) == 4:
            self.send_data(words[2])
        elif words[:2] == ["v2", "images"] and len(words) == 3 and words[2] in self.server.records:
            self.answer_json(self.server.records[words[2]])
        elif words[-1] == "payload":
            self.answer(self.server.secrets[words[2]], kind="application/octet-stream")
        elif words[:2] == ["v1", "secrets"]:
            self.answer_json({"secret_ref": self.server.url + self.path, "name": "key", "status": "ACTIVE",
                              "secret_type": "passphrase", "algorithm": None, "bit_length": None, "mode": None,
                              "content_types": {"default": "application/octet-stream"}, "expiration": None,
                              "created": "2024-05-06T07:08:09", "updated": "2024-05-06T07:08:09"})
        else:
            self.answer_json({"code": 404}, 404, x_openstack_request_id="req-" + str(uuid.uuid4()))

    def send_data(self, image: str) -> None:
        path = self.server.files[image]
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=([0-9]+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(size - begin))
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.end_headers()
        self.wfile.flush()
        with open(path, "rb") as data:
            while begin < size:
                begin += os.sendfile(self.connection.fileno(), data.fileno(), begin, min(SENT_AT_ONCE, size - begin))

    def log_message(self, *_: object) -> None:  # pylint: disable=arguments-differ
        """Nobody reads it."""


class HttpCloud(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.records: Dict[str, dict] = {}
        self.files: Dict[str, Path] = {}
        self.secrets: Dict[str, bytes] = {}

    def add_image(self, stored: Path, sha512: str, passphrase: bytes, decrypt_size: int) -> str:
        image, key = str(uuid.uuid4()), str(uuid.uuid4())
        self.records[image] = {
            "id": image, "name": "bench", "status": "active", "visibility": "private", "owner": PROJECT,
            "disk_format": "raw", "container_format": "encrypted", "min_disk": 0, "min_ram": 0, "protected": False,
            "os_hidden": False, "tags": [], "created_at": "2024-05-06T07:08:09Z",
            "updated_at": "2024-05-06T07:08:09Z", "size": stored.stat().st_size, "checksum": None,
            "os_hash_algo": "sha512", "os_hash_value": sha512, "os_encrypt_format": "GPG",
            "os_encrypt_type": "symmetric", "os_encrypt_cipher": "AES256", "os_encrypt_key_id": key,
            "os_decrypt_container_format": "bare", "os_decrypt_size": str(decrypt_size)}
        self.files[image], self.secrets[key] = stored, passphrase
        return image

    def data_url(self, image: str) -> str:
        return f"{self.url}/v2/images/{image}/file"

    def write_configuration(self, path: Path) -> Path:
        path.write_text(f"cloud = openstack\nos_auth_url = {self.url}/v3\nos_region_name = RegionOne\n"
                        f"os_application_credential_id = bench\nos_application_credential_secret = bench\n",
                        encoding="ascii")
        path.chmod(0o600)
        return path


class ServedCloud:
    """The server in a process of its own, so that it takes no time of the one that measures."""

    def __init__(self, cloud: HttpCloud):
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                cloud.serve_forever()
            finally:
                os._exit(0)

    def close(self) -> None:
        os.kill(self.pid, 15)
        os.waitpid(self.pid, 0)
