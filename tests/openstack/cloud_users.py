#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the projects, users, roles and endpoints of the test cloud whose settings file is named.

demo and demo2 are members of one project who may make keys; demomember may use images there, and no
keys; demoobs may read both; alt is a member of another project. What is there already is left.
"""
import json
import sys
import urllib.request
from pathlib import Path
from typing import Dict, Tuple


class Keystone:
    def __init__(self, url: str, password: str):
        self.url, self.token = url, None
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        headers, _ = self.call("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        self.token = headers["X-Subject-Token"]

    def call(self, method: str, path: str, body: dict = None) -> Tuple[dict, dict]:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text else {}

    def ensure(self, kind: str, query: str, **fields: str) -> str:
        """The id of what this query finds, or of a new one with these fields."""
        found = self.call("GET", f"/{kind}s?{query}")[1][f"{kind}s"]
        return (found[0] if found else self.call("POST", f"/{kind}s", {kind: fields})[1][kind])["id"]

    def named(self, kind: str, name: str, **fields: str) -> str:
        return self.ensure(kind, f"name={name}", name=name, **fields)

    def grant(self, project: str, user: str, role: str) -> None:
        self.call("PUT", f"/projects/{project}/users/{user}/roles/{role}")

    def endpoint(self, service: str, region: str, url: str) -> None:
        for interface in ("public", "internal", "admin"):
            self.ensure("endpoint", f"service_id={service}&region_id={region}&interface={interface}",
                        service_id=service, region=region, interface=interface, url=url)


def read_settings(path: Path) -> Dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().split())


def main() -> None:
    settings = read_settings(Path(sys.argv[1]))
    url = {name: f"http://127.0.0.1:{settings[name + '_port']}"
           for name in ("keystone", "barbican", "glance", "glance2")}
    keystone = Keystone(url["keystone"] + "/v3", settings["admin_password"])

    # Barbican's own default policy knows "creator" and "observer"; "member" alone may do nothing there.
    roles = {name: keystone.named("role", name)
             for name in ("admin", "member", "reader", "creator", "observer")}
    projects = {name: keystone.named("project", name, domain_id="default")
                for name in ("service", "demo", "alt")}
    for name, password, project, granted in (
            ("glance", "service", "service", ("admin",)),
            ("barbican", "service", "service", ("admin",)),
            ("demo", "demo", "demo", ("member", "creator")),
            ("demo2", "demo", "demo", ("member", "creator")),
            ("demomember", "demo", "demo", ("member",)),
            ("demoobs", "demo", "demo", ("reader", "observer")),
            ("alt", "alt", "alt", ("member", "creator"))):
        user = keystone.named("user", name, domain_id="default", password=settings[password + "_password"])
        for role in granted:
            keystone.grant(projects[project], user, roles[role])

    images = keystone.ensure("service", "type=image", type="image", name="glance")
    keys = keystone.ensure("service", "type=key-manager", type="key-manager", name="barbican")
    for region, glance in (("RegionOne", "glance"), ("RegionTwo", "glance2")):
        keystone.endpoint(images, region, url[glance])
        keystone.endpoint(keys, region, url["barbican"])


if __name__ == "__main__":
    main()
