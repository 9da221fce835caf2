# SPDX-License-Identifier: Apache-2.0
"""The commands that need no mount: exit codes and bytes that scripts may rely on."""
import json
import os
import signal
import subprocess

from bed import PASSPHRASE, check, equal, mode_of, same_bytes
from messages import MIB, QUICK, compressible, flip, plaintext, unprotected
from registry import add, test

DATA = plaintext(2 * MIB + 99, seed=9)


def write_key(bed, key=PASSPHRASE):
    path = bed.tmp / "key"
    path.write_bytes(key)
    return path


def write_message(bed, data=DATA, change=None, options=("-z0",)):
    stored = bed.gpg.encrypt(data, PASSPHRASE, *QUICK, *options)
    path = bed.tmp / "message.gpg"
    path.write_bytes(change(stored) if change else stored)
    return path


# --- decrypt ---

@test
def decrypt_writes_the_plaintext_to_standard_output(bed):
    answer = bed.glancefs("decrypt", "--key-file", write_key(bed), write_message(bed))
    same_bytes(answer.stdout, DATA, "the output")


@test
def decrypt_reads_standard_input(bed):
    with open(write_message(bed), "rb") as stream:
        answer = bed.glancefs("decrypt", "--key-file", write_key(bed), "-", stdin=stream)
    same_bytes(answer.stdout, DATA, "the output")


@test
def decrypt_reads_a_pipe(bed):
    message, key = write_message(bed, compressible(3 * MIB), options=("-z6",)), write_key(bed)
    answer = bed.run("sh", "-c", f"cat {message} | {bed.program} decrypt --key-file {key} - | cat")
    same_bytes(answer.stdout, compressible(3 * MIB), "the output")


@test
def decrypt_into_a_file_publishes_it_whole(bed):
    target = bed.target / "plain"
    bed.glancefs("decrypt", "--key-file", write_key(bed), "--output", target, write_message(bed))
    same_bytes(target.read_bytes(), DATA, "the file")
    equal(os.listdir(bed.target), ["plain"], "the target directory")
    equal(mode_of(target) & 0o077, 0, "what others may do with it")


def decrypt_refuses(change, code, key=PASSPHRASE):
    def run(bed):
        message, target = write_message(bed, change=change), bed.target / "plain"
        answer = bed.glancefs("decrypt", "--key-file", write_key(bed, key), "--output", target, message,
                              code=code)
        equal(os.listdir(bed.target), [], "the target directory")
        equal(len(answer.stderr.decode().strip().splitlines()), 1, f"lines of {answer.stderr!r}")
        bed.glancefs("decrypt", "--key-file", bed.tmp / "key", message, code=code)
    return run


for name, change, code in (
        ("a_flipped_byte", lambda m: flip(m, MIB), 5),
        ("a_flipped_last_byte", lambda m: flip(m, len(m) - 1), 5),
        ("a_cut_message", lambda m: m[:-1], 5),
        ("an_empty_file", lambda m: b"", 5),
        ("trailing_bytes", lambda m: m + b"x", 5),
        ("text", lambda m: b"hello, world\n", 5)):
    add(f"decrypt_refuses_{name}", decrypt_refuses(change, code))
add("decrypt_refuses_a_wrong_passphrase", decrypt_refuses(None, 5, key=b"wrong"))
add("decrypt_refuses_an_empty_key_file", decrypt_refuses(None, 4, key=b""))


@test
def decrypt_refuses_a_message_without_integrity_protection(bed):
    message = write_message(bed, change=unprotected)
    answer = bed.glancefs("decrypt", "--key-file", write_key(bed), message, code=None)
    check(answer.returncode in (5, 6), f"exit code {answer.returncode}")
    same_bytes(answer.stdout, b"", "the output")


@test
def decrypt_keeps_an_old_file_when_it_fails(bed):
    target = bed.target / "plain"
    target.write_bytes(b"old")
    bed.glancefs("decrypt", "--key-file", write_key(bed, b"wrong"), "--output", target,
                 write_message(bed), code=5)
    same_bytes(target.read_bytes(), b"old", "the file")


@test
def decrypt_of_a_missing_file_is_not_found(bed):
    bed.glancefs("decrypt", "--key-file", write_key(bed), bed.tmp / "nothing", code=3)
    bed.glancefs("decrypt", "--key-file", bed.tmp / "nothing", write_message(bed), code=3)


@test
def decrypt_takes_key_or_data_from_standard_input_not_both(bed):
    bed.glancefs("decrypt", "--key-file", "-", "-", code=2)


@test
def decrypt_does_not_succeed_when_its_reader_leaves(bed):
    message, key = write_message(bed), write_key(bed)
    answer = bed.run("bash", "-c", f"{bed.program} decrypt --key-file {key} {message} | head -c 10 "
                                   "> /dev/null; echo ${PIPESTATUS[0]}")
    check(int(answer.stdout) != 0, "it vouched for bytes that nobody took")


@test
def decrypt_ends_at_sigint_and_leaves_nothing(bed):
    target = bed.target / "plain"
    reader, writer = os.pipe()
    child = subprocess.Popen([bed.program, "decrypt", "--key-file", write_key(bed), "--output", target,
                              "-"], stdin=reader, stderr=subprocess.PIPE)
    bed.children.append(child)
    os.write(writer, write_message(bed).read_bytes()[:4096])

    def waits():
        with open(f"/proc/{child.pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(") ", 1)[1][0] == "S" and len(
                os.listdir(f"/proc/{child.pid}/task")) > 1
    bed.wait_for(waits, 10, "decrypt to wait for more")
    child.send_signal(signal.SIGINT)
    equal(child.wait(bed.seconds(10)), 130, "the exit code")
    equal(os.listdir(bed.target), [], "the target directory")
    os.close(reader)
    os.close(writer)


# --- encrypt ---

@test
def what_encrypt_writes_gpg_reads(bed):
    (bed.tmp / "plain").write_bytes(DATA)
    key = write_key(bed)
    bed.glancefs("encrypt", "--key-file", key, "--output", bed.tmp / "out.gpg", bed.tmp / "plain")
    answer = bed.run("gpg", "--homedir", bed.gpg.home, "--batch", "--quiet", "--no-symkey-cache",
                     "--pinentry-mode", "loopback", "--passphrase-file", key, "--decrypt",
                     bed.tmp / "out.gpg")
    same_bytes(answer.stdout, DATA, "what gpg reads")


@test
def encrypt_and_decrypt_are_mirrors_through_pipes(bed):
    (bed.tmp / "plain").write_bytes(DATA)
    key = write_key(bed, b"any\0bytes\n\xff")
    answer = bed.run("sh", "-c", f"{bed.program} encrypt --key-file {key} - < {bed.tmp / 'plain'} | "
                                 f"{bed.program} decrypt --key-file {key} -")
    same_bytes(answer.stdout, DATA, "the bytes")


@test
def encrypt_never_writes_the_same_message_twice(bed):
    (bed.tmp / "plain").write_bytes(b"same")
    key = write_key(bed)
    first, second = (bed.glancefs("encrypt", "--key-file", key, bed.tmp / "plain").stdout
                     for _ in range(2))
    check(first != second, "two messages are equal")


# --- the program itself ---

@test
def an_unknown_command_is_a_usage_error(bed):
    answer = bed.glancefs("no-such-command", code=2)
    check(b"no-such-command" in answer.stderr, f"it says {answer.stderr!r}")
    bed.glancefs(code=2)


@test
def the_version_is_told(bed):
    check(bed.glancefs("--version").stdout.startswith(b"glancefs "), "no version")


@test
def an_unknown_argument_is_a_usage_error_everywhere(bed):
    for command in ("mount", "status", "decrypt", "encrypt", "images", "key"):
        bed.glancefs(command, "--no-such-option", code=2)


# --- images and keys of a local cloud ---

@test
def an_image_that_does_not_exist_is_not_found(bed):
    cloud = f"local:{bed.cloud.path}"
    bed.glancefs("images", "show", "--cloud", cloud, "11111111-2222-3333-4444-555555555555", code=3)


@test
def an_image_id_is_taken_once(bed):
    command = ["images", "add", "--cloud", f"local:{bed.cloud.path}", "--id",
               "11111111-2222-3333-4444-555555555555", write_message(bed)]
    bed.glancefs(*command)
    bed.glancefs(*command, code=8)


@test
def images_add_keeps_every_property(bed):
    cloud = f"local:{bed.cloud.path}"
    image = bed.glancefs("images", "add", "--cloud", cloud, "--name", "n", "--property", "a=b=c",
                         "--decrypt-size", "7", write_message(bed)).stdout.decode().strip()
    record = json.loads(bed.glancefs("images", "show", "--cloud", cloud, "--json", image).stdout)
    equal((record["name"], record["a"], record["os_decrypt_size"], record["status"]),
          ("n", "b=c", "7", "active"), "the record")


@test
def an_empty_key_is_not_imported(bed):
    answer = bed.glancefs("key", "import", "--cloud", f"local:{bed.cloud.path}", "/dev/null", code=None)
    check(answer.returncode != 0, "it was imported")
    equal(os.listdir(bed.cloud.path / "secrets"), [], "the secrets")


@test
def a_secret_is_stored_for_its_owner_only(bed):
    key = bed.glancefs("key", "create", "--cloud", f"local:{bed.cloud.path}").stdout.decode().strip()
    for suffix in (".json", ".payload"):
        equal(mode_of(bed.cloud.path / "secrets" / (key + suffix)), 0o600, "the mode")
