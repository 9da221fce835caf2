# SPDX-License-Identifier: Apache-2.0
"""glancefs decrypt and encrypt with terminals, pipes and signals."""
import os
import signal
import subprocess
import time
from pathlib import Path

from programs import Failed
from terminal import run_on_terminal

CODE_FAILED = 1
CODE_DENIED = 4
CODE_CORRUPT = 5
CODE_INTERRUPTED = 130
PASSPHRASE = b"correct horse battery staple"
MIB = 1024 * 1024


def expect(condition: bool, what: str) -> None:
    if not condition:
        raise Failed(what)


def make_message(bench, message: Path, size: int = 8192) -> None:
    result = bench.glancefs.encrypt(bench.plain[size], bench.key)
    expect(result.code == 0, result.message)
    message.write_bytes(result.output)


def passphrase_on_a_terminal(bench, message: Path) -> None:
    plain, output = bench.plain[8192], message.with_suffix(".out")
    ended = run_on_terminal([bench.glancefs.path, "encrypt", "--output", str(message), str(plain)],
                            [PASSPHRASE + b"\n"] * 2, prompt=b": ")
    expect(ended.code == 0, f"encrypt: {ended}")
    expect(PASSPHRASE not in ended.screen, "the passphrase was shown")
    ended = run_on_terminal([bench.glancefs.path, "decrypt", "--output", str(output), str(message)],
                            [PASSPHRASE + b"\n"], prompt=b": ")
    expect(ended.code == 0, f"decrypt: {ended}")
    expect(output.read_bytes() == plain.read_bytes(), "other plaintext came out")
    ended = run_on_terminal([bench.glancefs.path, "decrypt", "--output", str(output), str(message)],
                            [b"wrong\n"], prompt=b": ")
    expect(ended.code == CODE_CORRUPT, f"wrong passphrase: {ended}")


def passphrases_that_differ(bench, message: Path) -> None:
    ended = run_on_terminal([bench.glancefs.path, "encrypt", "--output", str(message), str(bench.plain[8192])],
                            [PASSPHRASE + b"\n", b"another\n"], prompt=b": ")
    expect(ended.code == CODE_DENIED and b"differ" in ended.screen, str(ended))
    expect(not message.exists(), "an output file was left")


def interrupted_prompt(bench, message: Path) -> None:
    """Control-C, as the terminal sends it."""
    make_message(bench, message)
    ended = run_on_terminal([bench.glancefs.path, "decrypt", str(message)], [b"half a passphr\x03"], prompt=b": ")
    expect(ended.code == CODE_INTERRUPTED, str(ended))


def without_a_terminal(bench, message: Path) -> None:
    make_message(bench, message)
    result = subprocess.run([bench.glancefs.path, "decrypt", str(message)], stdin=subprocess.DEVNULL,
                            capture_output=True, start_new_session=True, timeout=30)
    expect(result.returncode == CODE_DENIED and b"--key-file" in result.stderr, str(result))


def interrupted_by(number: int):
    """While it waits for more input: it ends at once and leaves no temporary file."""
    def test(bench, message: Path) -> None:
        make_message(bench, message, 5 * MIB + 12345)
        folder = message.with_suffix(".folder")
        folder.mkdir()
        command = [bench.glancefs.path, "decrypt", "--key-file", str(bench.key),
                   "--output", str(folder / "plain"), "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            child.stdin.write(message.read_bytes()[:3 * MIB])
            child.stdin.flush()
            deadline = time.monotonic() + 20
            while not any(folder.iterdir()) and time.monotonic() < deadline:
                time.sleep(0.01)
            expect(any(folder.iterdir()), "nothing was begun")
            started = time.monotonic()
            child.send_signal(number)
            code = child.wait(20)
            took = time.monotonic() - started
            expect(code == CODE_INTERRUPTED, f"exit code {code}: {child.stderr.read()!r}")
            expect(took < 2, f"it took {took:.1f} s")
        expect(not any(folder.iterdir()), "a file was left")
    return test


def interrupted_while_nobody_reads(bench, message: Path) -> None:
    make_message(bench, message, 5 * MIB + 12345)
    with subprocess.Popen([bench.glancefs.path, "decrypt", "--key-file", str(bench.key), str(message)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.read(1)
        time.sleep(0.2)
        child.send_signal(signal.SIGTERM)
        expect(child.wait(20) == CODE_INTERRUPTED, str(child.returncode))


def broken_pipe(bench, message: Path) -> None:
    make_message(bench, message, 5 * MIB + 12345)
    with subprocess.Popen([bench.glancefs.path, "decrypt", "--key-file", str(bench.key), str(message)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.read(10)
        child.stdout.close()
        errors = child.stderr.read()
        expect(child.wait(20) == CODE_FAILED and errors == b"glancefs decrypt: write: Broken pipe\n", repr(errors))


def full_disk(bench, message: Path) -> None:
    make_message(bench, message)
    for command, source in (("decrypt", message), ("encrypt", bench.plain[8192])):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([bench.glancefs.path, command, "--key-file", str(bench.key), str(source)],
                                    stdout=full, stderr=subprocess.PIPE, timeout=30)
        expect(result.returncode == CODE_FAILED and b"No space left" in result.stderr, str(result))


def input_from_a_fifo(bench, message: Path) -> None:
    make_message(bench, message, 65537)
    fifo = message.with_suffix(".fifo")
    os.mkfifo(fifo)
    with subprocess.Popen(["cp", str(message), str(fifo)]) as writer:
        result = bench.glancefs.decrypt(fifo, bench.key)
        writer.wait(20)
    expect(result.code == 0 and result.output == bench.plain[65537].read_bytes(), result.message)


def progress_on_a_terminal(bench, message: Path) -> None:
    """Input that takes its time: a bar appears and is gone at last."""
    make_message(bench, message, 5 * MIB + 12345)
    script = 'p=$1; m=$2; k=$3; { head -c 3000000 "$m"; sleep 0.8; tail -c +3000001 "$m"; } | ' \
             '"$p" decrypt --key-file "$k" --output "$m.out" -'
    ended = run_on_terminal(["sh", "-c", script, "sh", bench.glancefs.path, str(message), str(bench.key)], [])
    expect(ended.code == 0 and b"decrypt" in ended.screen and b"MiB" in ended.screen, str(ended))
    expect(ended.screen.endswith(b"\r\x1b[K"), "the bar was left on the screen")


TESTS = {
    "command-passphrase-on-a-terminal": passphrase_on_a_terminal,
    "command-passphrases-that-differ": passphrases_that_differ,
    "command-interrupted-prompt": interrupted_prompt,
    "command-without-a-terminal": without_a_terminal,
    "command-interrupted-by-sigint": interrupted_by(signal.SIGINT),
    "command-interrupted-by-sigterm": interrupted_by(signal.SIGTERM),
    "command-interrupted-while-nobody-reads": interrupted_while_nobody_reads,
    "command-broken-pipe": broken_pipe,
    "command-full-disk": full_disk,
    "command-input-from-a-fifo": input_from_a_fifo,
    "command-progress-on-a-terminal": progress_on_a_terminal,
}
