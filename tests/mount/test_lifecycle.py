# SPDX-License-Identifier: Apache-2.0
"""Mounting, configuration, ending: what a person at the terminal and a service manager see."""
import errno
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

from bed import check, equal, mounted_below, raises, read_all, same_bytes
from messages import MIB, plaintext
from registry import add, test

ROOT = Path(__file__).resolve().parents[2]
DATA = plaintext(3 * MIB, seed=8)


def refused_mount(bed, *arguments, code, words=(), foreground=True):
    """The command fails with this exit code, says why in one line, and mounts nothing."""
    answer = bed.run(*bed.mount_command(*arguments, foreground=foreground), code=code)
    text = answer.stderr.decode().strip()
    equal(len(text.splitlines()), 1, f"lines of {text!r}")
    for word in words:
        check(word in text, f"the message does not say {word!r}: {text!r}")
    check(not bed.is_mounted(), "it is mounted all the same")


# --- the command line ---

@test
def help_exits_with_0_everywhere(bed):
    for words in ([], ["mount"], ["status"], ["decrypt"], ["encrypt"], ["images"], ["key"]):
        answer = bed.glancefs(*words, "--help")
        check(b"Usage" in answer.stdout or b"usage" in answer.stdout, f"--help of {words}")


@test
def mount_without_arguments_is_a_usage_error(bed):
    bed.glancefs("mount", code=2)


@test
def an_unknown_option_is_refused_by_name(bed):
    refused_mount(bed, "-o", "no_such_option=1", code=2, words=["no_such_option"])


def bad_value_is_refused(option, value):
    def run(bed):
        refused_mount(bed, "-o", f"{option}={value}", code=2, words=[option])
    return run


for option, value in (("mode", "0777"), ("mode", "0600"), ("verify", "never"), ("threads", "0"),
                      ("threads", "5"), ("max_memory", "lots"), ("max_memory", "-1"),
                      ("max_streams", "0"), ("uid", "nobody-knows"), ("key_encoding", "rot13"),
                      ("allow_other", "maybe")):
    add(f"the_value_{value}_of_{option}_is_refused", bad_value_is_refused(option, value))


@test
def allow_other_without_uid_or_gid_is_refused(bed):
    refused_mount(bed, "-o", "allow_other", code=2, words=["allow_other"])


@test
def a_missing_mount_point_is_refused(bed):
    bed.mount_point.rmdir()
    refused_mount(bed, code=3, words=[str(bed.mount_point)])
    bed.mount_point.mkdir()


@test
def a_mount_point_that_is_a_file_is_refused(bed):
    bed.mount_point.rmdir()
    bed.mount_point.write_text("")
    answer = bed.run(*bed.mount_command(), code=None)
    check(answer.returncode not in (0, 3), f"exit code {answer.returncode}")
    check(str(bed.mount_point).encode() in answer.stderr, f"it says {answer.stderr!r}")
    bed.mount_point.unlink()
    bed.mount_point.mkdir()


@test
def a_missing_cloud_directory_is_refused(bed):
    bed.cloud.path.rename(bed.tmp / "elsewhere")
    refused_mount(bed, code=3, words=[str(bed.cloud.path)])
    refused_mount(bed, code=3, words=[str(bed.cloud.path)], foreground=False)


@test
def a_cloud_of_an_unknown_kind_is_refused(bed):
    answer = bed.glancefs("mount", "--cloud", "gopher:x", "--cache", bed.cache, bed.mount_point, code=2)
    check(b"gopher" in answer.stderr, f"it says {answer.stderr!r}")


@test
def a_mount_without_cloud_or_cache_is_a_usage_error(bed):
    bed.glancefs("mount", "--config", "/dev/null", "--cache", bed.cache, bed.mount_point, code=2)
    bed.glancefs("mount", "--config", "/dev/null", "--cloud", f"local:{bed.cloud.path}",
                 bed.mount_point, code=2)


def second_mount_is_refused(bed):
    answer = bed.run(*bed.mount_command("--cache", bed.tmp / "other", foreground=False), code=8)
    check(b"already mounted; fusermount3 -uz" in answer.stderr, f"it says {answer.stderr!r}")
    equal(mounted_below(bed.tmp), [str(bed.mount_point)], "the mounts")


@test
def a_second_mount_on_the_same_place_is_refused_and_does_not_disturb_the_first(bed):
    image = bed.image(DATA)
    bed.mount()
    second_mount_is_refused(bed)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def a_second_mount_is_refused_under_another_name_of_the_place(bed):
    place = bed.tmp / "a \\ name with\ttabs"
    place.mkdir()
    (bed.tmp / "link").symlink_to(place)
    bed.run(*bed.mount_command(foreground=False)[:-1], place)
    try:
        answer = bed.run(*bed.mount_command("--cache", bed.tmp / "other", foreground=False)[:-1],
                         bed.tmp / "link", code=8)
        check(b"already mounted" in answer.stderr, f"it says {answer.stderr!r}")
    finally:
        bed.run("fusermount3", "-u", place)


@test
def a_mount_on_a_dead_one_is_refused(bed):
    """Right after ls and stat, whose answers the kernel still remembers."""
    bed.mount()
    bed.run("ls", bed.mount_point)
    os.stat(bed.mount_point)
    bed.daemon.kill()
    bed.wait_daemon()
    second_mount_is_refused(bed)
    bed.run("fusermount3", "-uz", bed.mount_point)
    bed.mount()


@test
def a_mount_that_may_not_open_the_device_says_so_in_one_line(bed):
    device = bed.tmp / "device"
    device.touch(0)
    script = ('mount --bind "$1" /dev/fuse && shift && '
              'exec setpriv --bounding-set=-dac_override,-dac_read_search "$@"')
    answer = bed.run("unshare", "-m", "sh", "-c", script, "sh", device, *bed.mount_command(), code=4)
    text = answer.stderr.decode().strip()
    equal(len(text.splitlines()), 1, f"lines of {text!r}")
    check("/dev/fuse: Permission denied" in text, f"it says {text!r}")


@test
def the_daemon_binds_library_functions_at_its_start(bed):
    bed.mount()
    process = Path("/proc") / str(bed.daemon.pid)
    check(b"LD_BIND_NOW=1" in (process / "environ").read_bytes().split(b"\0"), "LD_BIND_NOW is not set")
    equal((process / "comm").read_text(), "glancefs\n", "the name in lists of processes")


# --- the configuration file ---

def write_config(bed, text):
    path = bed.tmp / "glancefs.conf"
    path.write_text(text)
    return path


@test
def a_configuration_file_mounts(bed):
    image = bed.image(DATA)
    config = write_config(bed, f"[glancefs]\ncloud = local:{bed.cloud.path}\ncache = {bed.cache}\n"
                               "mode = 0440\n")
    bed.mount(command=[str(bed.program), "mount", "--config", str(config), "-f",
                       str(bed.mount_point)])
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    equal(os.stat(bed.view(image)).st_mode & 0o777, 0o440, "the mode")


@test
def a_mount_option_may_name_the_configuration_file(bed):
    image = bed.image(DATA)
    config = write_config(bed, "mode = 0440\n")
    bed.mount("-o", f"nodev,config={config},nosuid")
    equal(os.stat(bed.view(image)).st_mode & 0o777, 0o440, "the mode")


@test
def the_command_line_wins_over_the_configuration_file(bed):
    image = bed.image(DATA)
    config = write_config(bed, "cloud = local:/nowhere\nmode = 0440\n")
    bed.mount("--config", str(config), "-o", "mode=0400")
    equal(os.stat(bed.view(image)).st_mode & 0o777, 0o400, "the mode")


@test
def the_environment_stands_between_file_and_command_line(bed):
    image = bed.image(DATA)
    config = write_config(bed, "mode = 0400\ncache = /nowhere\n")
    os.environ["GLANCEFS_MODE"] = "0440"
    os.environ["GLANCEFS_CACHE"] = "/nowhere"
    bed.mount("--config", str(config))
    equal(os.stat(bed.view(image)).st_mode & 0o777, 0o440, "the mode")


@test
def an_unknown_option_in_a_file_is_refused_with_its_line(bed):
    config = write_config(bed, "# a comment\n[glancefs]\nmode = 0400\nbogus = 1\n")
    refused_mount(bed, "--config", config, code=2, words=["glancefs.conf:4", "bogus"])


@test
def a_bad_value_in_a_file_is_refused_with_its_line(bed):
    config = write_config(bed, "\nmode = 0999\n")
    refused_mount(bed, "--config", config, code=2, words=["glancefs.conf:2", "mode"])


@test
def a_line_that_is_no_option_is_refused_with_its_number(bed):
    config = write_config(bed, "mode = 0400\n\nthis is no option\n")
    refused_mount(bed, "--config", config, code=2, words=["glancefs.conf:3"])


@test
def a_named_configuration_file_that_is_missing_is_refused(bed):
    refused_mount(bed, "--config", bed.tmp / "nothing.conf", code=3, words=["nothing.conf"])


def provide_what_the_example_names(bed, text):
    """The example with its files in the bed's directory, and the certificate of its signing key."""
    vectors = ROOT / "tests" / "vectors" / "signatures"
    directory = bed.tmp / "etc"
    (directory / "gnupg").mkdir(parents=True, mode=0o700)
    shutil.copy(vectors / "rsa.key", directory / "signer.pem")
    (directory / "signer.pem").chmod(0o600)
    shutil.copy(vectors / "bundle.pem", directory / "image-signers.pem")
    shutil.copy(vectors / "root.pem", directory / "cloud-ca.pem")
    secret = bed.cloud.add_secret((vectors / "rsa.pem").read_bytes(), kind="certificate")
    for name, value in (("/etc/glancefs", directory), ("/run/glancefs", bed.tmp / "run"),
                        ("00000000-0000-4000-8000-000000000000", secret)):
        check(name in text, f"{name} is not in the example any more")
        text = text.replace(name, str(value))
    return text


@test
def the_example_configuration_is_valid_with_every_option_in_force(bed):
    image = bed.image(DATA)
    text = re.sub(r"^#(\w+ = )", r"\1", (ROOT / "contrib" / "glancefs.conf").read_text(), flags=re.MULTILINE)
    text = text.replace("setuid = glancefs", f"setuid = {os.getuid()}")
    bed.mount("--config", str(write_config(bed, provide_what_the_example_names(bed, text))))
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def a_signing_certificate_that_is_for_no_signatures_is_refused(bed):
    """The issuer's is for certificates only (keyCertSign)."""
    vectors = ROOT / "tests" / "vectors" / "signatures"
    secret = bed.cloud.add_secret((vectors / "issuer.pem").read_bytes(), kind="certificate")
    key = bed.tmp / "signer.pem"
    shutil.copy(vectors / "rsa.key", key)
    key.chmod(0o600)
    refused_mount(bed, "-o", f"signing_key={key},signing_certificate={secret}", code=4,
                  words=["signing_certificate", "not for signatures"])


# --- daemonised ---

def mount_in_the_background(bed, *arguments):
    answer = bed.run(*bed.mount_command(*arguments, foreground=False), limit=20)
    equal(answer.stderr, b"", "what it says")
    check(bed.is_mounted(), "the command returned before the mount was there")


@test
def a_daemonised_mount_returns_when_it_is_ready(bed):
    image = bed.image(DATA)
    mount_in_the_background(bed)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    bed.unmount()
    bed.wait_for(lambda: not bed.is_mounted(), 10, "the mount to go")


@test
def a_daemonised_mount_takes_relative_paths(bed):
    image = bed.image(DATA)
    bed.run(bed.program, "mount", "--cloud", "local:cloud", "--cache", "cache", "mount", limit=20)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    bed.unmount()


@test
def a_daemonised_mount_that_fails_says_so_on_the_terminal(bed):
    refused_mount(bed, "-o", "max_memory=1K", code=2, foreground=False, words=["max_memory"])


@test
def a_daemonised_mount_lets_go_of_the_terminal(bed):
    """A pipe at its output closes: the daemon must not keep it open."""
    answer = bed.run("sh", "-c", '"$@" 2>&1 | cat', "sh", *bed.mount_command(foreground=False), limit=20)
    equal(answer.stdout, b"", "what it says")
    check(bed.is_mounted(), "it is not mounted")
    bed.unmount()


@test
def a_daemonised_mount_logs_to_a_file_at_its_standard_error(bed):
    image = bed.image(DATA, os_encrypt_key_id=None)
    with open(bed.log, "ab") as log:
        bed.start(*bed.mount_command(foreground=False), stderr=log).wait(bed.seconds(20))
    raises(errno.ENOKEY, lambda: bed.view(image).read_bytes(), "the open")
    check(image in bed.log_text(), f"the log: {bed.log_text()!r}")
    bed.unmount()


@test
def the_form_that_fstab_uses_mounts(bed):
    image = bed.image(DATA)
    bed.run(bed.program, "mount", f"local:{bed.cloud.path}", bed.mount_point, "-o",
            f"rw,nosuid,nodev,cache={bed.cache}", limit=20)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    bed.unmount()


@test
def a_read_only_mount_reads_and_refuses_every_write(bed):
    image = bed.image(DATA)
    bed.mount("-o", "ro,nodev")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")
    check(os.statvfs(bed.mount_point).f_flag & os.ST_RDONLY, "the mount is not read-only")
    raises(errno.EROFS, lambda: (bed.mount_point / "encrypt" / f"{image}.part").touch(), "creation")


@test
def of_ro_and_rw_the_last_counts(bed):
    bed.mount("-o", "ro,rw")
    check(not os.statvfs(bed.mount_point).f_flag & os.ST_RDONLY, "the mount is read-only")


@test
def the_mount_is_named_after_its_cloud(bed):
    bed.mount()
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        line = next(line for line in mounts if f" {bed.mount_point} " in line).split()
    check(line[0].startswith("local:"), f"the source is {line[0]}")


# --- ending ---

@test
def sigterm_ends_an_idle_mount(bed):
    bed.mount()
    equal(bed.stop(), 0, "the exit code")
    check(not bed.is_mounted(), "it is still mounted")


@test
def sigint_ends_an_idle_mount(bed):
    bed.mount()
    bed.daemon.send_signal(signal.SIGINT)
    equal(bed.wait_daemon(), 0, "the exit code")
    check(not bed.is_mounted(), "it is still mounted")


@test
def unmounting_ends_the_daemon(bed):
    bed.mount()
    bed.unmount()
    equal(bed.wait_daemon(), 0, "the exit code")


@test
def unmounting_under_a_reader_is_busy(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    bed.run("fusermount3", "-u", bed.mount_point, code=1)
    same_bytes(read_all(fd), DATA, "the stream")
    os.close(fd)


@test
def a_lazy_unmount_lets_a_reader_finish(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    head = os.read(fd, 1000)
    bed.run("fusermount3", "-uz", bed.mount_point)
    same_bytes(head + read_all(fd), DATA, "the stream")
    os.close(fd)
    equal(bed.wait_daemon(), 0, "the exit code")


@test
def sigterm_lets_a_reader_finish(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    head = os.read(fd, 1000)
    bed.daemon.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    same_bytes(head + read_all(fd), DATA, "the stream")
    os.close(fd)
    equal(bed.wait_daemon(40), 0, "the exit code")
    check(not bed.is_mounted(), "it is still mounted")


@test
def a_second_sigterm_ends_a_busy_mount(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    bed.daemon.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    bed.daemon.send_signal(signal.SIGTERM)
    equal(bed.wait_daemon(), 0, "the exit code")
    check(not bed.is_mounted(), "it is still mounted")
    try:
        os.read(fd, 10)
    except OSError:
        pass
    raises(errno.ENOTCONN, lambda: os.close(fd), "close")


@test
def sigterm_ends_a_mount_whose_readers_wait(bed):
    image = bed.image(DATA)
    secret = bed.cloud.path / "secrets" / f"{bed.cloud.record(image)['os_encrypt_key_id']}.json"
    secret.write_text(json.dumps({**json.loads(secret.read_text()), "glancefs_test_delay_ms": 60000}))
    bed.mount()
    child = bed.start("cat", bed.view(image))
    time.sleep(0.5)
    equal(bed.stop(), 0, "the exit code")
    check(child.wait(bed.seconds(20)) != 0, "the waiting reader succeeded")


@test
def after_kill_9_the_place_can_be_mounted_again(bed):
    image = bed.image(DATA)
    bed.mount()
    fd = os.open(bed.view(image), os.O_RDONLY)
    os.read(fd, 1000)
    bed.daemon.kill()
    bed.wait_daemon()
    raises(errno.ENOTCONN, lambda: os.stat(bed.view(image)), "stat after the death")
    try:
        read_all(fd)
        check(False, "the stream ended as if nothing had happened")
    except OSError:
        pass
    raises(errno.ENOTCONN, lambda: os.close(fd), "close")
    bed.run("fusermount3", "-uz", bed.mount_point)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def two_thousand_opens_leak_no_descriptor_and_no_memory(bed):
    image = bed.image(b"x" * 100)
    bed.mount()
    view = bed.view(image)

    def descriptors():
        return len(os.listdir(f"/proc/{bed.daemon.pid}/fd"))

    def resident_kib():
        with open(f"/proc/{bed.daemon.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    # Until each thread of the pools has had its turn and malloc has an arena for each.
    for _ in range(300 if bed.slowness == 1 else 50):
        view.read_bytes()
    before = descriptors(), resident_kib()
    for _ in range(2000 if bed.slowness == 1 else 200):
        view.read_bytes()
    bed.wait_for(lambda: descriptors() <= before[0], 10, "the descriptors to be given back")
    check(bed.slowness > 1 or resident_kib() - before[1] < 2048,
          f"grew from {before[1]} to {resident_kib()} KiB")


@test
def the_daemon_cannot_be_dumped(bed):
    bed.mount()
    with open(f"/proc/{bed.daemon.pid}/limits", encoding="ascii") as limits:
        core = next(line for line in limits if line.startswith("Max core file size"))
    equal(core.split()[4:6], ["0", "0"], "the core limit")


# --- a cloud made by the commands ---

@test
def a_cloud_made_by_the_commands_is_served(bed):
    (bed.tmp / "key").write_bytes(b"the passphrase")
    (bed.tmp / "plain").write_bytes(DATA)
    cloud = ["--cloud", f"local:{bed.cloud.path}"]
    key = bed.glancefs("key", "import", *cloud, "--name", "k", "--type", "passphrase",
                       bed.tmp / "key").stdout.decode().strip()
    bed.glancefs("encrypt", "--key-file", bed.tmp / "key", "--output", bed.tmp / "stored",
                 bed.tmp / "plain")
    image = bed.glancefs("images", "add", *cloud, "--name", "i", "--key", key, "--decrypt-size",
                         len(DATA), bed.tmp / "stored").stdout.decode().strip()
    listed = json.loads(bed.glancefs("images", "list", *cloud, "--json").stdout)
    check(image in json.dumps(listed), f"the list is {listed}")
    shown = json.loads(bed.glancefs("images", "show", *cloud, "--json", image).stdout)
    equal(shown["os_encrypt_key_id"], key, "the key of the image")
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def a_created_key_is_served(bed):
    cloud = ["--cloud", f"local:{bed.cloud.path}"]
    key = bed.glancefs("key", "create", *cloud, "--type", "symmetric").stdout.decode().strip()
    payload = (bed.cloud.path / "secrets" / f"{key}.payload").read_bytes()
    stored = bed.gpg.encrypt(b"data", payload.hex().encode(), "--s2k-count", "65536")
    image = bed.cloud.add_image(stored, key)
    bed.mount()
    same_bytes(bed.run("cat", bed.view(image)).stdout, b"data", "cat's output")
