# SPDX-License-Identifier: Apache-2.0
"""The bed of one test against real services: a mount of its own whose identity, region, endpoints and
certificates come from a clouds.yaml of its own, and proxies that it may put in between."""
import json
import os
import subprocess
from pathlib import Path
from typing import Dict, Optional

from bed import Bed, equal, same_bytes
from fault_proxy import FaultProxy
from stack import Account, Admin, Api, Stack, sha512, wait_until
from write_bed import part_of, seal, write_all

# Time limits that a test can wait for.
SMALL_LIMITS = "connect_timeout=2,stall_timeout=2,request_timeout=4,retries=1"
# Longer than any call may take under them: five attempts of a download, growing pauses, and libcurl's
# mean of the speed, which notices a stall some seconds late.
BOUND = 40

OVERRIDES = {"image": "image_endpoint_override", "key-manager": "key_manager_endpoint_override"}


class CloudBed(Bed):
    def __init__(self, *arguments: object):
        self.stack = Stack(Path(os.environ["OPENSTACK_STACK"]))
        super().__init__(*arguments)
        self.account = self.cloud.account
        self.entry: Dict[str, object] = {"region_name": "RegionOne", "auth": {
            "auth_url": self.stack.url("keystone") + "/v3", "user_domain_id": "default",
            "project_domain_id": "default"}}
        self.proxies: Dict[str, FaultProxy] = {}
        for name in [name for name in os.environ if name.startswith("OS_")]:
            del os.environ[name]
        os.environ["HOME"] = str(self.tmp)
        self.has_own_clouds = True  # OS_CLIENT_CONFIG_FILE names our clouds.yaml

    def open_cloud(self) -> Api:
        return self.stack.api()

    def act_as(self, account: Account, image_service: str = "glance") -> Api:
        """The mount, and what the test does by default, is this user's from now on."""
        self.account = account
        self.cloud = Api(self.stack, account, image_service)
        return self.cloud

    def admin(self) -> Admin:
        return Admin(self.stack)

    # --- the mount's configuration ---

    def write_clouds(self) -> None:
        """Password and project as they are now, unless the test wrote other ones into the entry."""
        auth = self.entry["auth"]
        if "application_credential_secret" not in auth:
            auth.setdefault("username", self.account.user)
            auth.setdefault("password", self.account.password)
            auth.setdefault("project_name", self.account.project)
        if self.has_own_clouds:
            os.environ["OS_CLIENT_CONFIG_FILE"] = str(self.tmp / "clouds.yaml")
        (self.tmp / "clouds.yaml").write_text(yaml({"clouds": {"test": self.entry}}))

    def mount(self, *arguments: str, command=None) -> None:
        self.write_clouds()
        super().mount(*arguments, command=command)

    def glancefs(self, *arguments: object, **options: object) -> subprocess.CompletedProcess:
        self.write_clouds()
        return super().glancefs(*arguments, **options)

    def proxy(self, service: str) -> FaultProxy:
        """What the mount talks to instead of `identity`, `image` or `key-manager`."""
        if service not in self.proxies:
            name = {"identity": "keystone", "image": self.cloud.image_service,
                    "key-manager": "barbican"}[service]
            self.proxies[service] = FaultProxy(self.stack.url(name))
            if service == "identity":
                self.entry["auth"]["auth_url"] = self.proxies[service].url + "/v3"
            else:
                self.entry[OVERRIDES[service]] = self.proxies[service].url
        return self.proxies[service]

    def short_tokens(self) -> None:
        """Tokens of the mount live for ten seconds."""
        self.entry["auth"]["auth_url"] = self.stack.url("keystone10") + "/v3"

    # --- reading ---

    def read(self, image: str) -> bytes:
        with open(self.view(image), "rb", buffering=0) as stream:
            parts = iter(lambda: stream.read(1 << 20), b"")
            return b"".join(parts)

    def reads(self, image: str, data: bytes) -> None:
        """cp takes exactly this out of the mount."""
        target = self.target / "copy"
        self.run("cp", self.view(image), target)
        same_bytes(target.read_bytes(), data, f"the copy of {image}")
        target.unlink()

    def right_or_refused(self, image: str, data: bytes) -> Optional[int]:
        """The errno of the refusal, or None when all bytes came and were right."""
        try:
            found = self.read(image)
        except OSError as error:
            return error.errno
        same_bytes(found, data, f"what was read of {image}")
        return None

    def openstack(self, *arguments: object, program: str = "openstack", **options: object) -> str:
        """What the command-line client prints, as the mount's user."""
        self.write_clouds()
        environment = {
            **os.environ, "OS_AUTH_URL": self.stack.url("keystone") + "/v3", "OS_USERNAME": self.account.user,
            "OS_PASSWORD": self.account.password, "OS_PROJECT_NAME": self.account.project,
            "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": "RegionOne", "OS_IDENTITY_API_VERSION": "3"}
        return self.run(f"/usr/bin/{program}", *arguments, env=environment, **options).stdout.decode().strip()

    # --- writing ---

    def queued(self, size: Optional[int] = None, key: Optional[str] = None, **fields: object) -> str:
        """A queued image that names a key; `size` declares os_decrypt_size."""
        return self.cloud.add_image(None, key or self.cloud.add_secret(), size, **fields)

    def write(self, image: str, data: bytes) -> None:
        """Writes and seals; the upload goes on in the background."""
        write_all(part_of(self, image), data)
        seal(self, image)

    def decrypt(self, stored: bytes, passphrase: bytes) -> bytes:
        """What gpg makes of it."""
        key = self.tmp / "passphrase"
        key.write_bytes(passphrase)
        return self.run("gpg", "--homedir", self.gpg.home, "--batch", "--quiet", "--no-symkey-cache",
                        "--pinentry-mode", "loopback", "--passphrase-file", key, "--decrypt",
                        stdin=None, input=stored).stdout

    def becomes_active(self, image: str, data: bytes, limit: float = 40) -> None:
        """The image becomes active with a complete message of exactly this plaintext."""
        wait_until(lambda: self.cloud.status(image) == "active", self.seconds(limit),
                   "the image to become active")
        self.holds(image, data)

    def holds(self, image: str, data: bytes) -> None:
        """The active image is a complete message of exactly this plaintext."""
        record, stored = self.cloud.record(image), self.cloud.download(image)
        equal(record["size"], len(stored), "the record's size")
        equal(record["os_hash_value"], sha512(stored), "the record's hash")
        equal(record["os_decrypt_size"], str(len(data)), "the record's os_decrypt_size")
        passphrase = self.cloud.payload(record["os_encrypt_key_id"])
        same_bytes(self.decrypt(stored, passphrase), data, "what gpg decrypts")


def yaml(value: Dict[str, object], indent: str = "") -> str:
    """Nested maps as a person would write them."""
    lines = ""
    for name, inner in value.items():
        if isinstance(inner, dict):
            lines += f"{indent}{name}:\n{yaml(inner, indent + '  ')}"
        else:
            lines += f"{indent}{name}: {json.dumps(inner)}\n"
    return lines
