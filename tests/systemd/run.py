#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The units of contrib/systemd: run.py --glancefs PROGRAM.

What systemd says of them; and the service at work under the same restrictions, made with unshare,
setpriv, prlimit and seccomp, since no systemd runs where the tests do. Needs root.
"""
import argparse
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Callable, List, Optional

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "mount"))

from bed import Bed, Failure, check, equal, same_bytes  # noqa: E402
from messages import plaintext  # noqa: E402
from unit_file import UNITS, Unit  # noqa: E402
from write_bed import file_of, has_state, part_of, queued  # noqa: E402

SERVICE = Unit("glancefs@.service")
MOUNTER = Unit("glancefs-mount@.service")
MOST_EXPOSED = 1.5
USER = pwd.getpwnam("nobody")  # stands for the unit's own user
DATA = plaintext(3_000_000)

# ProtectSystem=strict, ProtectHome, PrivateTmp, PrivateDevices, ProtectKernelTunables. $1: what the
# service may write; then the command.
NAMESPACE = r"""
set -e
for path in $1; do mount --bind "$path" "$path"; done
for path in /home /root /tmp /var/tmp; do mount -t tmpfs none "$path"; done
mkdir /tmp/dev
for node in null zero full random urandom tty; do
    touch /tmp/dev/$node && mount --bind /dev/$node /tmp/dev/$node
done
ln -s /proc/self/fd /tmp/dev/fd
mount --rbind /tmp/dev /dev
mount -o remount,bind,ro /
mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys
shift
exec "$@"
"""


# --- the service at work ---

class ServiceBed(Bed):
    """A bed whose daemon is the service."""

    def __init__(self, program: Path, directory: Path):
        super().__init__(program, directory, directory, 1)
        self.program = directory / "glancefs"
        shutil.copy(program, self.program)
        # Like the program, what restricts it must not lie where the service sees nothing.
        self.filtered = directory / "tests" / "systemd" / "filtered.py"
        shutil.copytree(HERE, self.filtered.parent)
        shutil.copytree(UNITS, directory / "contrib" / "systemd")
        self.socket = directory / "mount.socket"
        self.notify = directory / "notify.socket"
        self.config = directory / "glancefs.conf"
        self.config.write_text(f"cloud = {self.cloud.name}\nmax_memory = 8M\n", encoding="utf-8")
        self.cache.mkdir(mode=0o700)
        self.runtime = directory / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.mounter: Optional[subprocess.Popen] = None
        directory.chmod(0o711)
        self.program.chmod(0o755)
        self.config.chmod(0o644)  # LoadCredential= gives the service its own copy

    def expand(self, line: str) -> List[str]:
        """A command of a unit, with the places of this bed."""
        places = {"%d/glancefs.conf": self.config, "/etc/glancefs/%i.conf": self.config,
                  "%C/glancefs/%i": self.cache, "/run/glancefs-mount/%i.socket": self.socket,
                  "/mnt/glancefs/%i": self.mount_point, "/usr/bin/glancefs": self.program}
        for written, place in places.items():
            line = line.replace(written, str(place))
        check("%" not in line, f"{line}: not all of it is known here")
        return line.lstrip("-+").split()

    def give_to_service(self) -> None:
        for path in (self.cache, self.runtime, self.cloud.path, *self.cloud.path.rglob("*")):
            os.chown(path, USER.pw_uid, USER.pw_gid)

    def start_mounter(self) -> None:
        """As systemd does when somebody connects to the socket of the socket unit."""
        kept = ",".join("+" + name[len("CAP_"):].lower()
                        for name in MOUNTER.value("CapabilityBoundingSet").split())
        with open(self.log, "ab") as log:
            self.mounter = subprocess.Popen(
                ["systemd-socket-activate", "--seqpacket", "-l", str(self.socket), "setpriv",
                 "--inh-caps=-all", f"--bounding-set=-all,{kept}", str(self.filtered),
                 MOUNTER.name, *self.expand(MOUNTER.value("ExecStart"))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(self.mounter)
        self.wait_for(self.socket.exists, 10, "the socket")
        os.chown(self.socket, USER.pw_uid, USER.pw_gid)
        self.socket.chmod(0o600)

    def restricted(self, command: List[str]) -> List[str]:
        """The command under the restrictions of the service."""
        ids = [f"--reuid={USER.pw_uid}", f"--regid={USER.pw_gid}", "--clear-groups"]
        drop = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        return ["unshare", "--mount", "--ipc", "--propagation", "slave", "sh", "-c", NAMESPACE, "sh",
                f"{self.cache} {self.runtime} {self.cloud.path}", "setpriv", *ids, "unshare", "--user",
                "--map-current-user", "--keep-caps", "setpriv", *drop, "prlimit", "--core=0",
                f"--nofile={SERVICE.value('LimitNOFILE')}", str(self.filtered), SERVICE.name,
                *command]

    def serve(self) -> None:
        """Both units; returns when the service said that it is ready."""
        self.give_to_service()
        self.start_mounter()
        self.notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
            notified.bind(str(self.notify))
            self.notify.chmod(0o666)
            notified.settimeout(self.seconds(20))
            with open(self.log, "ab") as log:
                self.daemon = subprocess.Popen(
                    self.restricted(self.expand(SERVICE.value("ExecStart"))), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, cwd="/",
                    env={"NOTIFY_SOCKET": str(self.notify), "PATH": os.environ["PATH"],
                         "XDG_RUNTIME_DIR": str(self.runtime)})
            try:
                equal(notified.recv(100), b"READY=1", "what it tells systemd")
            except TimeoutError as late:
                raise Failure(f"it is not ready: {self.log_text()}") from late
        equal(self.mounter.wait(self.seconds(10)), 0, "the mounter's exit code")

    def stop_post(self) -> None:
        for line in SERVICE.values("ExecStopPost"):
            self.run(*self.expand(line))


def the_service_reads_and_writes_images(bed: ServiceBed) -> None:
    image, target = bed.image(DATA), queued(bed)
    bed.serve()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    part_of(bed, target).write_bytes(DATA)
    part_of(bed, target).rename(file_of(bed, target))
    has_state(bed, file_of(bed, target), "active")


def the_service_has_gpg_read_and_write_images(bed: ServiceBed) -> None:
    with open(bed.config, "a", encoding="utf-8") as config:
        config.write("engine = gpgme\n")
    the_service_reads_and_writes_images(bed)
    equal(bed.stop(), 0, "the exit code")
    equal([path for path in bed.runtime.rglob("*") if path.is_socket()], [], "sockets that are left")


def the_service_is_nobody_and_in_its_sandbox(bed: ServiceBed) -> None:
    bed.serve()
    with open(f"/proc/{bed.daemon.pid}/status", encoding="utf-8") as lines:
        found = dict(line.rstrip("\n").split(":\t", 1) for line in lines)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        equal(int(found[name], 16), 0, name)
    equal(found["Uid"].split(), [str(USER.pw_uid)] * 4, "the user")
    equal(found["NoNewPrivs"], "1", "no_new_privs")
    equal(found["Seccomp_filters"], "3", "filters: the unit's two and its own")
    check("lacks Landlock" not in bed.log_text(), f"the log: {bed.log_text()!r}")


def the_service_leaves_its_mount_to_stop_post(bed: ServiceBed) -> None:
    bed.serve()
    equal(bed.stop(), 0, "the exit code")
    check(bed.is_mounted(), "it is not mounted any more")
    bed.stop_post()
    check(not bed.is_mounted(), "it is still mounted")


def a_killed_service_starts_again(bed: ServiceBed) -> None:
    image = bed.image(DATA)
    bed.serve()
    bed.daemon.kill()
    bed.daemon.wait()
    bed.stop_post()
    bed.socket.unlink()
    bed.serve()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


def a_wrong_configuration_is_not_tried_again(bed: ServiceBed) -> None:
    bed.config.write_text("no_such_option = 1\n", encoding="utf-8")
    answer = bed.run(*bed.restricted(bed.expand(SERVICE.value("ExecStart"))), code=None)
    check(str(answer.returncode) in SERVICE.value("RestartPreventExitStatus").split(),
          f"it would be started again after {answer.returncode}: {answer.stderr!r}")


def only_the_user_of_the_service_gets_a_mount(bed: ServiceBed) -> None:
    bed.start_mounter()
    other = pwd.getpwnam("daemon")
    answer = bed.run("setpriv", f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups",
                     sys.executable, "-c", "import socket, sys\n"
                     "socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(sys.argv[1])",
                     bed.socket, code=1)
    check(b"PermissionError" in answer.stderr, f"it says {answer.stderr!r}")
    check(not bed.is_mounted(), "it is mounted")


# --- what systemd says ---

def copy_units(directory: Path, program: Path) -> List[Path]:
    """As instances, naming a program that is there and no manual that is not."""
    copies = []
    for source in sorted(UNITS.iterdir()):
        text = source.read_text(encoding="utf-8").replace("/usr/bin/glancefs", str(program))
        copies.append(directory / source.name.replace("@.", "@test."))
        copies[-1].write_text(re.sub(r"(?m)^Documentation=.*\n", "", text), encoding="utf-8")
    return copies


def systemd_understands_every_line(bed: ServiceBed) -> None:
    answer = bed.run("systemd-analyze", "verify", *copy_units(bed.tmp, bed.program))
    equal((answer.stdout + answer.stderr).decode(), "", "what systemd-analyze says")


def the_service_is_hardly_exposed(bed: ServiceBed) -> None:
    copies = copy_units(bed.tmp, bed.program)
    service = next(path for path in copies if path.name == "glancefs@test.service")
    text = bed.run("systemd-analyze", "security", "--offline=true", "--no-pager", service).stdout.decode()
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
    check(found, f"systemd-analyze says {text!r}")
    check(float(found.group(1)) <= MOST_EXPOSED, f"the exposure is {found.group(1)}")


def nothing_of_the_service_runs_as_root_but_the_unmounting(_bed: ServiceBed) -> None:
    commands = [(key, value) for key, value in SERVICE.settings if key.startswith("Exec")]
    privileged = [key for key, value in commands if value.lstrip("-@:")[:1] in ("+", "!")]
    equal(privileged, ["ExecStopPost"], "commands with privileges")
    equal(SERVICE.value("User"), "glancefs", "the user")


TESTS = [systemd_understands_every_line, the_service_is_hardly_exposed,
         nothing_of_the_service_runs_as_root_but_the_unmounting, the_service_reads_and_writes_images,
         the_service_has_gpg_read_and_write_images, the_service_is_nobody_and_in_its_sandbox,
         the_service_leaves_its_mount_to_stop_post, a_killed_service_starts_again,
         a_wrong_configuration_is_not_tried_again, only_the_user_of_the_service_gets_a_mount]


def finish(bed: ServiceBed) -> None:
    """The bed expects a daemon to unmount; this one cannot."""
    if bed.daemon is not None and bed.daemon.poll() is None:
        bed.daemon.send_signal(signal.SIGTERM)
        bed.daemon.wait(20)
    bed.daemon = None
    if bed.is_mounted():
        bed.run("fusermount3", "-uz", bed.mount_point)
    bed.close()


def run_one(function: Callable, program: Path) -> bool:
    # Not below /tmp, which the service has for itself.
    directory = Path(tempfile.mkdtemp(prefix="glancefs-systemd-", dir="/var/lib"))
    reason = None
    bed = ServiceBed(program, directory)
    try:
        function(bed)
    except Failure as failure:
        reason = str(failure)
    except Exception:  # pylint: disable=broad-except
        reason = traceback.format_exc()
    try:
        finish(bed)
    except (Failure, subprocess.TimeoutExpired) as failure:
        reason = f"{reason}; then {failure}" if reason else str(failure)
    if reason is None:
        print(f"ok   {function.__name__}", flush=True)
    else:
        print(f"FAIL {function.__name__}: {reason}\n  the log: {bed.log_text()}", flush=True)
    bed.gpg.stop()
    shutil.rmtree(directory, ignore_errors=True)
    return reason is None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glancefs", type=Path, required=True, help="the program to test")
    parser.add_argument("--only", help="only tests whose name contains this")
    arguments = parser.parse_args()
    chosen = [test for test in TESTS if not arguments.only or arguments.only in test.__name__]
    passed = sum(run_one(test, arguments.glancefs.resolve()) for test in chosen)
    print(f"{passed} passed, {len(chosen) - passed} failed")
    return 0 if passed == len(chosen) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
