# SPDX-License-Identifier: Apache-2.0
"""What needs no root of its own: what cmake --install puts where, the package's control data, manual
pages, the AppArmor profile, completion."""
import os
import re
import subprocess
from pathlib import Path
from typing import Dict, List

from check import expect, run

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted((PROJECT / "contrib" / "man").glob("*.[158]"))


class Staging:
    """A build, its package, and a directory for each test to install in."""

    def __init__(self, build: Path, package: Path, work: Path):
        self.build, self.package, self.work = build, package, work

    def install(self, name: str, prefix: str = "/usr", destdir: bool = True) -> Path:
        place = self.work / name
        environment = {**os.environ, "DESTDIR": str(place)} if destdir else dict(os.environ)
        run(["cmake", "--install", self.build, "--prefix", prefix if destdir else f"{place}{prefix}"],
            env=environment)
        return place

    def complete(self, shell: str, *lines: str, **environment: str) -> Dict[str, List[str]]:
        """What completion offers at the end of each line."""
        answer = run([PROJECT / "tests/packaging" / COMPLETERS[shell],
                      PROJECT / f"contrib/completion/glancefs.{shell}", *lines],
                     env={"PATH": f"{self.build}/src/cli:{os.environ['PATH']}", **environment})
        return {line: words.split() for line, words in zip(lines, answer.splitlines())}


# What plays the shell that asks a completion.
COMPLETERS = {"bash": "complete.sh", "zsh": "complete.zsh"}


def tree(place: Path) -> List[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir())


def an_installation_follows_the_fhs(staging: Staging) -> None:
    place = staging.install("fhs")
    found = tree(place)
    wanted = {"usr/bin/glancefs", "etc/glancefs/glancefs.conf", "etc/apparmor.d/glancefs",
              "usr/share/bash-completion/completions/glancefs",
              "usr/share/zsh/vendor-completions/_glancefs", "usr/lib/sysusers.d/glancefs.conf",
              "usr/lib/tmpfiles.d/glancefs.conf", "usr/share/doc/glancefs/README.md",
              "usr/share/doc/glancefs/examples/snapshot-to-glance"}
    wanted |= {f"usr/share/man/man{page.suffix[1:]}/{page.name}" for page in PAGES}
    wanted |= {f"usr/lib/systemd/system/{unit.name}"
               for unit in (PROJECT / "contrib" / "systemd").glob("*.service")}
    expect(wanted <= set(found), f"missing are {sorted(wanted - set(found))}")
    program = place / "usr/bin/glancefs"
    expect(run([program, "--version"]) == run([staging.build / "src/cli/glancefs", "--version"]),
           "it is another program")


def an_installation_keeps_an_edited_configuration(staging: Staging) -> None:
    edited = staging.install("twice") / "etc/glancefs/glancefs.conf"
    edited.write_text("# edited\n")
    staging.install("twice")
    expect(edited.read_text() == "# edited\n", "the edit is gone")


def another_prefix_holds_everything(staging: Staging) -> None:
    place = staging.install("prefix", "/opt/glancefs", destdir=False)
    stray = [name for name in tree(place) if not name.startswith("opt/glancefs/")]
    expect(not stray, f"outside of the prefix are {stray}")
    expect((place / "opt/glancefs/etc/glancefs/glancefs.conf").exists(), "no configuration is there")


def the_package_names_its_dependencies(staging: Staging) -> None:
    depends = run(["dpkg-deb", "--field", staging.package, "Depends"])
    needed = run(["ldd", staging.build / "src/cli/glancefs"])
    for package, library in (("fuse3", ""), ("libfuse3-3", "libfuse3"), ("libgcrypt20", "libgcrypt"),
                             ("libcurl4", "libcurl"), ("libssl3", "libcrypto"), ("libc6", "libc")):
        expect(library in needed, f"the program does not need {library}")
        expect(re.search(rf"\b{package}\b", depends), f"{package} is not in {depends}")


def what_the_package_puts_in_etc_is_a_conffile(staging: Staging) -> None:
    place = staging.work / "contents"
    run(["dpkg-deb", "--raw-extract", staging.package, place])
    named = (place / "DEBIAN/conffiles").read_text().split()
    there = ["/" + name for name in tree(place) if name.startswith("etc/")]
    expect(sorted(named) == there, f"conffiles are {named}, in /etc are {there}")


def nobody_but_root_may_write_what_is_installed(staging: Staging) -> None:
    for line in run(["dpkg-deb", "--contents", staging.package]).splitlines():
        mode, owner, *_, name = line.split()
        expect(owner == "root/root" and mode[1:] in ("rwxr-xr-x", "rw-r--r--"), f"{name} is {owner} {mode}")


def the_changelog_is_of_this_version(staging: Staging) -> None:
    version = run(["dpkg-deb", "--field", staging.package, "Version"]).strip()
    first = (PROJECT / "contrib/packaging/changelog").read_text().splitlines()[0]
    expect(f"({version})" in first, f"the package is {version}, its changelog begins with {first}")


def its_scripts_refuse_what_they_do_not_know(staging: Staging) -> None:
    for name in ("postinst", "prerm", "postrm"):
        run([PROJECT / "contrib/packaging" / name, "nonsense"], expected=1)


def manual_pages_are_well_formed(_: Staging) -> None:
    expect(len(PAGES) == 4, f"there are {len(PAGES)} pages")
    for page in PAGES:
        told = subprocess.run(["mandoc", "-T", "lint", "-W", "style", str(page)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False).stdout
        # Whether a page that is referred to is installed here tells nothing about this one.
        faults = [line for line in told.splitlines() if "referenced manual not found" not in line]
        expect(not faults, "\n".join(faults))
        told = run(["man", "--warnings", "--encoding=UTF-8", "--local-file", page], env={"LC_ALL": "C.UTF-8",
                   "PATH": os.environ["PATH"], "MANWIDTH": "80"})
        expect(": warning: " not in told, f"{page.name}: {told[:300]}")


def the_apparmor_profile_is_sound(_: Staging) -> None:
    run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", "--skip-read-cache", "--warn=all",
         PROJECT / "contrib/apparmor/glancefs"])


def check_offers(staging: Staging, shell: str) -> None:
    told = run([staging.build / "src/cli/glancefs", "--help"]).split("Commands:\n")[1].split("\n\n")[0]
    commands = [line.split()[0] for line in told.splitlines()]
    expect(len(commands) > 8, f"--help names the commands {commands}")
    lines = [f"glancefs {command} --" for command in commands]
    offers = staging.complete(shell, "glancefs ", *lines)
    expect(offers["glancefs "] == [*commands, "--help", "--version"], f"commands: {offers['glancefs ']}")
    for command, line in zip(commands, lines):
        told = run([staging.build / "src/cli/glancefs", "mount" if command == "attach" else command, "--help"])
        flags = re.findall(r"^  (?:-\w, )?(--[a-z-]+)\b", told, re.MULTILINE)
        flags += [f"--{name}" for name in re.findall(r"^  (\w+)=\S+$", told, re.MULTILINE)]
        expect("--help" in flags and sorted(offers[line]) == sorted(flags), f"{line}: {offers[line]}")


def completion_offers_what_help_tells(staging: Staging) -> None:
    for shell in COMPLETERS:
        check_offers(staging, shell)


def completion_knows_where_it_is(staging: Staging) -> None:
    here = staging.work / "somewhere"
    here.mkdir()
    (here / "file").touch()
    wanted = {
        "glancefs upl": ["upload", "uploads"],
        "glancefs mount --verify ": ["first", "stream"],
        "glancefs mount --verify=s": ["stream"],
        "glancefs mount -o mode=0440,ver": ["0440,verify="],
        "glancefs mount -o mode=0440,verify=s": ["stream"],
        "glancefs mount -o mode=0440,allow_other,allow_o": ["0440,allow_other,allow_other="],
        "glancefs mount -o cloud=": ["local:", "openstack"],
        f"glancefs mount -o cloud=local:{here}": [str(here)],
        f"glancefs mount --cloud local:/x --cache {here}": [str(here)],
        f"glancefs mount {here}/": [],
        f"glancefs decrypt {here}/f": [f"{here}/file"],
        "glancefs encrypt --aead ": ["none", "ocb", "gcm", "librepgp-ocb"],
        "glancefs encrypt --engine g": ["gpgme"],
        "glancefs images s": ["show"],
        f"glancefs images add --json {here}/f": [f"{here}/file"],
        "glancefs nonsense ": [],
    }
    for line, words in staging.complete("bash", *wanted).items():
        expect(words == wanted[line], f"{line!r}: {words} instead of {wanted[line]}")
    for line, words in staging.complete("zsh", *wanted).items():
        # It offers whole words where readline cuts them.
        typed = line.rsplit(" ", 1)[1]
        expect(len(words) == len(wanted[line]) and
               all(word.startswith(typed) and word.endswith(end) for word, end in zip(words, wanted[line])),
               f"{line!r}: zsh has {words}, bash {wanted[line]}")


def completion_asks_the_cloud_for_images(staging: Staging) -> None:
    cloud = staging.work / "cloud"
    cloud.mkdir(mode=0o700)
    (staging.work / "disk").write_bytes(b"plain")
    image = run([staging.build / "src/cli/glancefs", "upload", "--cloud", f"local:{cloud}",
                 staging.work / "disk"]).splitlines()[-1]
    line = f"glancefs images show {image[:4]}"
    for shell in COMPLETERS:
        offers = staging.complete(shell, line, GLANCEFS_CLOUD=f"local:{cloud}")
        expect(offers[line] == [image], f"{shell}: {offers} instead of {image}")


TESTS = [an_installation_follows_the_fhs, an_installation_keeps_an_edited_configuration,
         another_prefix_holds_everything, the_package_names_its_dependencies,
         what_the_package_puts_in_etc_is_a_conffile, nobody_but_root_may_write_what_is_installed,
         the_changelog_is_of_this_version, its_scripts_refuse_what_they_do_not_know,
         manual_pages_are_well_formed, the_apparmor_profile_is_sound, completion_offers_what_help_tells,
         completion_knows_where_it_is, completion_asks_the_cloud_for_images]
