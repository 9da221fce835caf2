# SPDX-License-Identifier: Apache-2.0
"""The running services as the tests see them: their processes, their API, their users."""
import base64
import hashlib
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse
import uuid
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from bed import Failure, check

HERE = Path(__file__).resolve().parent
PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
PASSPHRASE = b"correct horse battery staple"


class Account(NamedTuple):
    user: str
    project: str
    password: str


class Stack:
    """The directory that cloud.sh made."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.settings = dict(line.split("=", 1)
                             for line in (directory / "settings").read_text().split())

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.settings[service + '_port']}"

    def account(self, user: str = "demo") -> Account:
        project = "demo" if user.startswith("demo") else user
        return Account(user, project, self.settings[project + "_password"])

    def api(self, user: str = "demo", image_service: str = "glance") -> "Api":
        return Api(self, self.account(user), image_service)

    # --- processes ---

    def pid(self, service: str) -> int:
        return int((self.directory / "run" / f"{service}.pid").read_text().split()[0])

    def kill(self, service: str) -> None:
        """SIGKILL, and until it is dead; cloud.sh starts each service in a session of its own."""
        pid = self.pid(service)
        os.killpg(pid, signal.SIGKILL)
        wait_until(lambda: is_dead(pid), 10, f"{service} to die")

    def restart(self, service: str) -> None:
        self.run("restart", service)

    def run(self, command: str, *arguments: str) -> None:
        answer = subprocess.run([str(HERE / "cloud.sh"), command, str(self.directory), *arguments],
                                capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        check(answer.returncode == 0, f"cloud.sh {command}: {answer.stderr}")

    def stored_file(self, image: str, image_service: str = "glance") -> Path:
        return self.directory / image_service / "images" / image


def is_dead(pid: int) -> bool:
    """It is nobody's business to reap it here: a zombie is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


class Answer(NamedTuple):
    status: int
    headers: Dict[str, str]
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)


def request(method: str, url: str, body: Optional[bytes] = None,
            headers: Optional[Dict[str, str]] = None) -> Answer:
    """One request, for whoever wants to judge the status by itself."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body,
                           headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()},
                      answer.read())
    finally:
        connection.close()


class Api:
    """What one user does with the services; images and secrets in the form that Bed knows."""

    def __init__(self, stack: Stack, account: Account, image_service: str = "glance"):
        self.stack, self.account = stack, account
        self.glance = stack.url(image_service) + "/v2"
        self.barbican = stack.url("barbican") + "/v1"
        self.keystone = stack.url("keystone") + "/v3"
        self.name = "openstack:test"
        self.image_service = image_service
        self.log_in()

    def log_in(self) -> None:
        user = {"name": self.account.user, "domain": {"id": "default"}, "password": self.account.password}
        scope = {"project": {"name": self.account.project, "domain": {"id": "default"}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        answer = request("POST", self.keystone + "/auth/tokens",
                         json.dumps({"auth": {"identity": identity, "scope": scope}}).encode(),
                         {"Content-Type": "application/json"})
        check(answer.status == 201, f"login as {self.account.user}: {answer.status} {answer.body!r}")
        self.token = answer.headers["x-subject-token"]
        token = answer.json()["token"]
        self.user_id, self.project_id = token["user"]["id"], token["project"]["id"]

    def call(self, method: str, url: str, body: object = None, kind: str = "application/json",
             **headers: str) -> Answer:
        """Fails with anything but a 2xx."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        sent = {"X-Auth-Token": self.token, "Accept": "application/json", **headers}
        if data is not None:
            sent["Content-Type"] = kind
        answer = request(method, url, data, sent)
        if not 200 <= answer.status < 300:
            raise Failure(f"{method} {url}: {answer.status} {answer.body!r}")
        return answer

    # --- secrets ---

    def add_secret(self, payload: bytes = PASSPHRASE, kind: str = "passphrase", **fields: object) -> str:
        body = {"name": "test", "secret_type": kind, "payload": base64.b64encode(payload).decode(),
                "payload_content_type": "application/octet-stream", "payload_content_encoding": "base64",
                **fields}
        return self.call("POST", self.barbican + "/secrets", body).json()["secret_ref"].split("/")[-1]

    def payload(self, secret: str) -> bytes:
        return self.call("GET", f"{self.barbican}/secrets/{secret}/payload",
                         Accept="application/octet-stream").body

    def remove_secret(self, secret: str) -> None:
        self.call("DELETE", f"{self.barbican}/secrets/{secret}")

    def set_acl(self, secret: str, project_access: bool, users: List[str] = ()) -> None:
        self.call("PUT", f"{self.barbican}/secrets/{secret}/acl",
                  {"read": {"users": list(users), "project-access": project_access}})

    def consumers(self, secret: str) -> List[dict]:
        found = self.call("GET", f"{self.barbican}/secrets/{secret}/consumers").json()["consumers"]
        return [{key: one[key] for key in ("service", "resource_type", "resource_id")} for one in found]

    # --- images ---

    def add_image(self, data: Optional[bytes], key: Optional[str], decrypt_size: Optional[int] = None,
                  **fields: object) -> str:
        """An active image of these stored bytes; without any, a queued one. A field given as None is
        left out."""
        record = {"name": "test image", "disk_format": "raw", "container_format": "encrypted",
                  "visibility": "private", "os_encrypt_format": "GPG", "os_encrypt_type": "symmetric",
                  "os_encrypt_cipher": "AES256", "os_decrypt_container_format": "bare",
                  "os_encrypt_key_id": key,
                  "os_decrypt_size": None if decrypt_size is None else str(decrypt_size), **fields}
        record.pop("status", None)
        image = self.call("POST", self.glance + "/images",
                          {name: value for name, value in record.items() if value is not None}).json()["id"]
        if data is not None:
            self.upload(image, data)
        return image

    def upload(self, image: str, data: bytes) -> None:
        self.call("PUT", f"{self.glance}/images/{image}/file", data, "application/octet-stream")

    def record(self, image: str) -> dict:
        return self.call("GET", f"{self.glance}/images/{image}").json()

    def status(self, image: str) -> str:
        return self.record(image)["status"]

    def download(self, image: str) -> bytes:
        return self.call("GET", f"{self.glance}/images/{image}/file").body

    def set_properties(self, image: str, **properties: str) -> None:
        self.call("PATCH", f"{self.glance}/images/{image}",
                  [{"op": "add", "path": f"/{name}", "value": value}
                   for name, value in properties.items()], PATCH_TYPE)

    def act(self, image: str, action: str) -> None:
        """deactivate or reactivate"""
        self.call("POST", f"{self.glance}/images/{image}/actions/{action}", b"")

    def remove(self, image: str) -> None:
        self.call("DELETE", f"{self.glance}/images/{image}")


class Admin(Api):
    """Makes users and what belongs to them."""

    def __init__(self, stack: Stack):
        super().__init__(stack, Account("admin", "admin", stack.settings["admin_password"]))

    def _id_of(self, kind: str, name: str) -> str:
        return self.call("GET", f"{self.keystone}/{kind}s?name={name}").json()[f"{kind}s"][0]["id"]

    def add_project(self, name: str) -> str:
        body = {"project": {"name": name, "domain_id": "default"}}
        return self.call("POST", self.keystone + "/projects", body).json()["project"]["id"]

    def add_user(self, project: str, *roles: str) -> Account:
        """A user of an existing project, with these roles there."""
        account = Account(f"user-{uuid.uuid4().hex}", project, uuid.uuid4().hex)
        body = {"user": {"name": account.user, "domain_id": "default", "password": account.password}}
        self.call("POST", self.keystone + "/users", body)
        for role in roles:
            self.call("PUT", self._grant(account, role))
        return account

    def add_tenant(self) -> Account:
        """A user who is alone in a new project and may do there what members may."""
        name = f"project-{uuid.uuid4().hex}"
        self.add_project(name)
        return self.add_user(name, "member", "creator")

    def take_role(self, account: Account, role: str) -> None:
        self.call("DELETE", self._grant(account, role))

    def _grant(self, account: Account, role: str) -> str:
        return (f"{self.keystone}/projects/{self._id_of('project', account.project)}"
                f"/users/{self._id_of('user', account.user)}/roles/{self._id_of('role', role)}")

    def set_enabled(self, account: Account, enabled: bool) -> None:
        self.call("PATCH", f"{self.keystone}/users/{self._id_of('user', account.user)}",
                  {"user": {"enabled": enabled}})


def add_application_credential(api: Api, **fields: object) -> Dict[str, str]:
    """id and secret of a new application credential."""
    body = {"application_credential": {"name": uuid.uuid4().hex, **fields}}
    made = api.call("POST", f"{api.keystone}/users/{api.user_id}/application_credentials", body).json()
    return {name: made["application_credential"][name] for name in ("id", "secret")}


def sha512(data: bytes) -> str:
    return hashlib.sha512(data).hexdigest()


def wait_until(condition, limit: float, what: str) -> None:
    end = time.monotonic() + limit
    while not condition():
        check(time.monotonic() < end, f"waited in vain for {what}")
        time.sleep(0.05)

