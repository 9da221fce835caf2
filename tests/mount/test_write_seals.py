# SPDX-License-Identifier: Apache-2.0
"""Who may write what, and what seals: rename, attribute, the close of a declared size."""
import errno
import fcntl
import json
import os
import stat
import struct
import time

from bed import check, equal, mode_of, raises, same_bytes
from messages import MIB, plaintext
from registry import add, test
from test_signals import wait_until_blocked
from write_bed import (COMMIT, ERROR, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, SIZE, STATE,
                       as_nobody, becomes_active, decrypt, file_of, has_state, mounted, never_active,
                       part_of, put, queued, renameat2, seal, seal_by_attribute, set_record, set_secret,
                       staged_files, state_of, status_of, write_all)

DATA = plaintext(2 * MIB + 5, seed=31)


def staged(bed, *options, size=None):
    """An image of which DATA lies staged as <id>.part."""
    image = mounted(bed, *options, size=size)
    write_all(part_of(bed, image), DATA)
    return image


# --- the files ---

@test
def a_queued_image_is_an_empty_file_of_mode_0600(bed):
    image = mounted(bed)
    found = os.stat(file_of(bed, image))
    equal((found.st_size, stat.filemode(found.st_mode), found.st_uid, found.st_nlink),
          (0, "-rw-------", os.getuid(), 1), "size, mode, owner, links")
    equal(os.listdir(bed.mount_point / "encrypt"), [image], "the directory")
    equal(state_of(file_of(bed, image)), "queued", "the state")
    same_bytes(file_of(bed, image).read_bytes(), b"", "its content")


@test
def only_queued_images_with_a_key_are_listed(bed):
    image = queued(bed)
    bed.image(b"active")
    bed.cloud.add_image(None, None, status="queued")
    bed.mount()
    equal(os.listdir(bed.mount_point / "encrypt"), [image], "the directory")
    equal(len(os.listdir(bed.mount_point / "decrypt")), 1, "images to read")


@test
def a_staged_file_is_listed_with_its_size(bed):
    image = staged(bed)
    equal(sorted(os.listdir(bed.mount_point / "encrypt")), [image, f"{image}.part"], "the directory")
    found = os.stat(part_of(bed, image))
    equal((found.st_size, stat.S_IMODE(found.st_mode)), (len(DATA), 0o600), "size and mode")
    equal(found.st_blocks, -(-len(DATA) // 512), "blocks")


@test
def the_directories_have_their_modes(bed):
    mounted(bed)
    equal(mode_of(bed.mount_point / "encrypt") & 0o077 & ~0o055, 0, "write for others")
    check(mode_of(bed.mount_point / "encrypt") & 0o700 == 0o700, "the owner cannot write")


@test
def a_mode_for_readers_does_not_open_what_is_written(bed):
    image = staged(bed, "mode=0440")
    equal(mode_of(file_of(bed, image)), 0o600, "the mode of the image")
    equal(mode_of(part_of(bed, image)), 0o600, "the mode of the part")


@test
def the_configured_owner_writes_and_nobody_else(bed):
    image = mounted(bed, "allow_other", "uid=65534", "gid=65534")
    equal(os.stat(file_of(bed, image)).st_uid, 65534, "the owner")
    bed.tmp.chmod(0o755)
    bed.tmp.parent.chmod(0o755)
    equal(as_nobody(lambda: write_all(part_of(bed, image), DATA)), 0, "writing as the owner")
    equal(as_nobody(lambda: os.rename(part_of(bed, image), file_of(bed, image))), 0, "sealing")
    becomes_active(bed, image, DATA)


@test
def somebody_else_can_neither_write_nor_seal_nor_look(bed):
    image = mounted(bed, "allow_other", "uid=0")
    bed.tmp.chmod(0o755)
    bed.tmp.parent.chmod(0o755)
    part, target = part_of(bed, image), file_of(bed, image)
    equal(as_nobody(lambda: os.close(os.open(part, os.O_WRONLY | os.O_CREAT))), errno.EACCES, "create")
    write_all(part, DATA)
    for what, call in (("open", lambda: os.open(part, os.O_WRONLY)),
                       ("read", lambda: os.open(part, os.O_RDONLY)),
                       ("rename", lambda: os.rename(part, target)),
                       ("unlink", lambda: os.unlink(part)),
                       ("commit", lambda: os.setxattr(part, COMMIT, b"1")),
                       ("truncate", lambda: os.truncate(part, 0))):
        check(as_nobody(call) in (errno.EACCES, errno.EPERM), f"{what} was not refused")
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def without_allow_other_nobody_else_sees_the_directory(bed):
    mounted(bed)
    bed.tmp.chmod(0o755)
    bed.tmp.parent.chmod(0o755)
    equal(as_nobody(lambda: os.listdir(bed.mount_point / "encrypt")), errno.EACCES, "ls")


@test
def modes_owners_and_times_can_be_set_in_vain(bed):
    """cp -p, tar and rsync set them; that must not fail, and must not open the file to others."""
    image = staged(bed)
    part = part_of(bed, image)
    os.utime(part, (1000, 2000))
    os.chmod(part, 0o600)
    os.chown(part, os.getuid(), os.getgid())
    equal(mode_of(part), 0o600, "the mode")
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def the_directory_takes_nothing_else(bed):
    image = mounted(bed)
    top = bed.mount_point / "encrypt"
    for what, call in (("a file", lambda: write_all(top / "disk.img", b"x")),
                       ("an editor's file", lambda: write_all(top / f".{image}.swp", b"x")),
                       ("a directory", lambda: os.mkdir(top / "directory")),
                       ("a link", lambda: os.symlink("x", top / f"{image}.part")),
                       ("a hard link", lambda: os.link(file_of(bed, image), part_of(bed, image))),
                       ("a pipe", lambda: os.mkfifo(part_of(bed, image)))):
        try:
            call()
            check(False, f"{what} was made")
        except OSError as error:
            check(error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EOPNOTSUPP,
                                  errno.ENOSYS), f"{what}: {error}")
    equal(os.listdir(top), [image], "the directory")


@test
def statfs_tells_the_space_for_staging(bed):
    mounted(bed)
    found = os.statvfs(bed.mount_point / "encrypt")
    beneath = os.statvfs(bed.cache)
    equal((found.f_bsize, found.f_namemax), (MIB, 255), "block size and name length")
    there = beneath.f_bavail * beneath.f_frsize
    check(there * 0.8 <= found.f_bavail * found.f_frsize <= there * 1.2 + MIB,
          f"{found.f_bavail * found.f_frsize} bytes free instead of about {there}")


@test
def files_to_write_cannot_be_mapped_shared(bed):
    image = staged(bed)
    bed.run("python3", "-c", "import mmap, os, sys\nfd = os.open(sys.argv[1], os.O_RDWR)\ntry:\n"
            "    mmap.mmap(fd, 4096)\nexcept OSError as error:\n    sys.exit(error.errno)",
            part_of(bed, image), code=errno.ENODEV)


# --- opens that are refused ---

def open_is_refused(number, *log_words, **fields):
    def run(bed):
        (bed.cloud.path / "identity.json").write_text(json.dumps({"project_id": PROJECT}))
        image = queued(bed, **{"owner": PROJECT, **fields})
        bed.mount()
        raises(number, lambda: write_all(part_of(bed, image), DATA), "open of the part")
        check(not part_of(bed, image).exists(), "the part exists")
        log = bed.log_text()
        check(image in log, f"the log does not name the image: {log!r}")
        for word in log_words:
            check(word in log, f"the log does not say {word!r}: {log!r}")
    return run


PROJECT = "fedcba9876543210fedcba9876543210"
REFUSALS = {
    "an_image_in_another_format": (errno.EOPNOTSUPP, {"os_encrypt_format": "LUKS"}),
    "an_image_without_a_key": (errno.ENOKEY, {"os_encrypt_key_id": None}),
    "an_image_of_another_project": (errno.EACCES, {"owner": "0123456789abcdef0123456789abcdef"}),
    "an_image_that_somebody_is_importing": (errno.EBUSY, {"status": "importing"}),
}
for name, (number, changes) in REFUSALS.items():
    add(f"{name}_cannot_be_written", open_is_refused(number, **changes))


@test
def an_active_image_exists_already(bed):
    image = bed.image(DATA)
    bed.mount()
    raises(errno.EEXIST, lambda: write_all(part_of(bed, image), DATA), "open of the part")
    check(not part_of(bed, image).exists(), "the part exists")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "the image")


@test
def an_unknown_image_cannot_be_written(bed):
    bed.mount()
    image = "11111111-2222-4333-8444-555555555555"
    raises(errno.ENOENT, lambda: write_all(part_of(bed, image), DATA), "open of the part")
    raises(errno.ENOENT, lambda: os.open(file_of(bed, image), os.O_WRONLY), "open of the image")
    raises(errno.ENOENT, lambda: os.stat(file_of(bed, image)), "stat")


@test
def a_project_of_foreign_owners_can_be_written_for(bed):
    (bed.cloud.path / "identity.json").write_text(json.dumps({"project_id": PROJECT}))
    image = queued(bed, owner="0123456789abcdef0123456789abcdef")
    bed.mount("-o", "foreign_owners=0123456789abcdef0123456789abcdef")
    write_all(part_of(bed, image), DATA)
    seal(bed, image)
    becomes_active(bed, image, DATA)


def key_manager_refuses(status, number):
    def run(bed):
        key = bed.cloud.add_secret(glancefs_test_status=status)
        image = queued(bed, key=key)
        bed.mount()
        raises(number, lambda: write_all(part_of(bed, image), DATA), "open of the part")
        check(image in bed.log_text(), "the log does not name the image")
        check(not part_of(bed, image).exists(), "the part exists")
        set_secret(bed, key, glancefs_test_status=None)
        write_all(part_of(bed, image), DATA)
        seal(bed, image)
        becomes_active(bed, image, DATA)
    return run


for code, number in ((403, errno.EACCES), (404, errno.ENOKEY), (503, errno.EIO)):
    add(f"a_key_manager_that_answers_{code}_refuses_the_open", key_manager_refuses(code, number))


@test
def a_secret_that_is_gone_refuses_the_open(bed):
    image = mounted(bed)
    key = bed.cloud.record(image)["os_encrypt_key_id"]
    for suffix in ("json", "payload"):
        (bed.cloud.path / "secrets" / f"{key}.{suffix}").unlink()
    raises(errno.ENOKEY, lambda: write_all(part_of(bed, image), DATA), "open of the part")


@test
def an_open_that_waits_for_the_key_can_be_interrupted(bed):
    image = queued(bed, key=bed.cloud.add_secret(glancefs_test_delay_ms=60000))
    bed.mount()
    child = bed.start("dd", "if=/dev/zero", f"of={part_of(bed, image)}", "bs=1M", "count=1")
    wait_until_blocked(bed, child)
    child.terminate()
    check(child.wait(bed.seconds(5)) != 0, "dd succeeded")
    check(not part_of(bed, image).exists(), "the part exists")
    never_active(bed, image)


@test
def the_key_of_each_image_encrypts_it(bed):
    """A key that is no passphrase counts by its hexadecimal digits."""
    image = queued(bed, key=bed.cloud.add_secret(bytes(range(32)), kind="symmetric"))
    bed.mount()
    write_all(part_of(bed, image), DATA)
    seal(bed, image)
    bed.wait_for(lambda: status_of(bed, image) == "active", 30, "the image to become active")
    (bed.cloud.path / "secrets" / f"{bed.cloud.record(image)['os_encrypt_key_id']}.payload").write_bytes(
        bytes(range(32)).hex().encode())
    same_bytes(decrypt(bed, image), DATA, "what gpg decrypts")


# --- the image itself, of no declared size ---

@test
def writing_the_image_itself_without_a_declared_size_is_refused_with_advice(bed):
    image = mounted(bed)
    (bed.tmp / "src").write_bytes(DATA)
    target = file_of(bed, image)
    answer = bed.run("cp", "src", target, code=1)
    check(os.strerror(errno.EDESTADDRREQ) in answer.stderr.decode(), f"cp says {answer.stderr!r}")
    raises(errno.EDESTADDRREQ, lambda: os.open(target, os.O_WRONLY), "open")
    raises(errno.EDESTADDRREQ, lambda: os.open(target, os.O_RDWR | os.O_TRUNC), "open to truncate")
    lines = [line for line in bed.log_text().splitlines()
             if image in line and "warning: open" in line]
    check(lines, "the log does not name the image")
    for word in (".part", "user.glancefs.size", "commit=close"):
        check(word in lines[0], f"the log does not say {word!r}: {lines[0]!r}")
    equal(state_of(target), "queued", "the state")
    write_all(part_of(bed, image), DATA)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_declaration_by_attribute_lets_the_image_itself_be_written(bed):
    image = mounted(bed)
    (bed.tmp / "src").write_bytes(DATA)
    os.setxattr(file_of(bed, image), SIZE, str(len(DATA)).encode())
    equal(os.getxattr(file_of(bed, image), SIZE), str(len(DATA)).encode(), "the declared size")
    bed.run("cp", "src", file_of(bed, image))
    becomes_active(bed, image, DATA)


@test
def a_declaration_while_it_is_written_counts_at_the_seal(bed):
    image = mounted(bed)
    part = part_of(bed, image)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT)
    put(fd, DATA[:1000])
    os.setxattr(part, SIZE, str(len(DATA)).encode())
    put(fd, DATA[1000:-1], 1000)
    os.close(fd)
    raises(errno.EINVAL, lambda: os.rename(part, file_of(bed, image)), "rename")
    fd = os.open(part, os.O_WRONLY)
    put(fd, DATA[-1:], len(DATA) - 1)
    os.close(fd)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_part_of_the_declared_size_is_not_sealed_by_closing(bed):
    image = staged(bed, size=len(DATA))
    equal(state_of(part_of(bed, image)), "staging", "the state after the close")
    never_active(bed, image)


@test
def a_declaration_that_contradicts_the_record_is_refused(bed):
    image = mounted(bed, size=len(DATA))
    raises(errno.EINVAL, lambda: os.setxattr(file_of(bed, image), SIZE, b"5"), "setxattr")
    os.setxattr(file_of(bed, image), SIZE, str(len(DATA)).encode())


@test
def a_declaration_that_contradicts_what_is_there_is_refused(bed):
    image = staged(bed)
    raises(errno.EINVAL, lambda: os.setxattr(part_of(bed, image), SIZE, b"5"), "setxattr")
    seal(bed, image)
    becomes_active(bed, image, DATA)


def declaration_is_no_number(text):
    def run(bed):
        image = mounted(bed)
        raises(errno.EINVAL, lambda: os.setxattr(file_of(bed, image), SIZE, text), "setxattr")
    return run


for name, text in {"a_sign": b"+5", "nothing": b"", "hexadecimal": b"0x10", "too_much": b"9" * 30,
                   "a_unit": b"1G", "a_nul": b"5\0"}.items():
    add(f"a_declared_size_with_{name}_is_refused", declaration_is_no_number(text))


@test
def a_truncate_is_no_declaration(bed):
    image = mounted(bed)
    with open(part_of(bed, image), "wb") as stream:
        stream.truncate(len(DATA))
        stream.write(DATA)
    equal(state_of(part_of(bed, image)), "staging", "the state after the close")
    never_active(bed, image)


@test
def a_file_written_by_two_handles_is_not_sealed_by_closing(bed):
    image = mounted(bed, size=len(DATA))
    write_all(file_of(bed, image), DATA[:MIB], os.O_WRONLY)
    fd = os.open(file_of(bed, image), os.O_WRONLY)
    put(fd, DATA[MIB:], MIB)
    os.close(fd)
    equal(state_of(file_of(bed, image)), "staging", "the state after the second close")
    os.setxattr(file_of(bed, image), COMMIT, b"1")
    becomes_active(bed, image, DATA)


@test
def closing_one_of_two_descriptors_does_not_seal(bed):
    image = mounted(bed, size=len(DATA))
    fd = os.open(file_of(bed, image), os.O_WRONLY)
    copy = os.dup(fd)
    put(fd, DATA)
    os.close(fd)
    equal(state_of(file_of(bed, image)), "staging", "the state")
    os.pwrite(copy, b"CHANGED", 0)
    os.close(copy)
    becomes_active(bed, image, b"CHANGED" + DATA[7:])


# --- seal by rename ---

@test
def a_rename_seals(bed):
    image = staged(bed)
    os.rename(part_of(bed, image), file_of(bed, image))
    check(not part_of(bed, image).exists(), "the part is still there")
    check(state_of(file_of(bed, image)) in ("sealed", "uploading", "active"), "the state")
    becomes_active(bed, image, DATA)
    has_state(bed, file_of(bed, image), "active")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "what decrypt/ shows")


@test
def mv_n_leaves_the_file(bed):
    image = staged(bed)
    bed.run("mv", "-n", part_of(bed, image), file_of(bed, image), code=None)
    equal(state_of(part_of(bed, image)), "staging", "the state")
    never_active(bed, image)


@test
def rename_flags_are_kept(bed):
    image = staged(bed)
    part, target = part_of(bed, image), file_of(bed, image)
    raises(errno.EEXIST, lambda: renameat2(part, target, RENAME_NOREPLACE), "NOREPLACE")
    raises(errno.EINVAL, lambda: renameat2(part, target, RENAME_EXCHANGE), "EXCHANGE")
    raises(errno.EINVAL, lambda: renameat2(part, target, RENAME_WHITEOUT), "WHITEOUT")
    equal(state_of(part), "staging", "the state")
    renameat2(part, target, 0)
    becomes_active(bed, image, DATA)


@test
def other_renames_are_refused(bed):
    image = staged(bed)
    other = queued(bed)
    part = part_of(bed, image)
    for target in (file_of(bed, other), part_of(bed, other), bed.mount_point / "encrypt" / "x",
                   bed.mount_point / "decrypt" / image):
        try:
            os.rename(part, target)
            check(False, f"it was renamed to {target.name}")
        except OSError as error:
            check(error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV), str(error))
    raises(errno.ENOENT, lambda: os.rename(part_of(bed, other), file_of(bed, other)), "nothing there")
    raises(errno.EXDEV, lambda: os.rename(part, bed.target / "x"), "out of the mount")
    equal(state_of(part), "staging", "the state")
    seal(bed, image)
    becomes_active(bed, image, DATA)
    equal(status_of(bed, other), "queued", "the other image's status")


# --- seal by attribute ---

@test
def setfattr_seals(bed):
    image = staged(bed)
    bed.run("setfattr", "-n", COMMIT, "-v", "1", part_of(bed, image))
    becomes_active(bed, image, DATA)


@test
def setfattr_with_the_right_size_seals(bed):
    image = staged(bed)
    bed.run("setfattr", "-n", COMMIT, "-v", f"size={len(DATA)}", part_of(bed, image))
    becomes_active(bed, image, DATA)


@test
def the_command_commit_seals(bed):
    image = staged(bed)
    bed.glancefs("commit", part_of(bed, image))
    becomes_active(bed, image, DATA)


@test
def the_command_commit_checks_the_size(bed):
    image = staged(bed)
    answer = bed.glancefs("commit", part_of(bed, image), "--size", "5", code=None)
    check(answer.returncode != 0 and answer.stderr, f"it says {answer.stderr!r}")
    equal(state_of(part_of(bed, image)), "staging", "the state")
    bed.glancefs("commit", part_of(bed, image), "--size", len(DATA))
    becomes_active(bed, image, DATA)


@test
def the_command_commit_refuses_what_is_not_ours(bed):
    (bed.tmp / "plain").write_bytes(b"x")
    answer = bed.glancefs("commit", bed.tmp / "plain", code=None)
    check(answer.returncode != 0 and b"plain" in answer.stderr, f"it says {answer.stderr!r}")
    bed.glancefs("commit", bed.tmp / "nothing", code=None)
    bed.glancefs("commit", code=2)


@test
def a_truncated_file_can_be_committed_as_zeros(bed):
    image = mounted(bed)
    write_all(part_of(bed, image), b"")
    os.truncate(part_of(bed, image), 5 * MIB)
    seal(bed, image)
    becomes_active(bed, image, bytes(5 * MIB))


@test
def an_empty_image_is_sealed_only_by_saying_so(bed):
    image = mounted(bed)
    write_all(part_of(bed, image), b"")
    raises(errno.ENODATA, lambda: os.rename(part_of(bed, image), file_of(bed, image)), "rename")
    raises(errno.ENODATA, lambda: os.setxattr(part_of(bed, image), COMMIT, b"1"), "commit")
    os.setxattr(part_of(bed, image), COMMIT, b"size=0")
    becomes_active(bed, image, b"")


@test
def a_queued_image_that_nobody_wrote_cannot_be_sealed(bed):
    image = mounted(bed)
    raises(errno.ENODATA, lambda: os.setxattr(file_of(bed, image), COMMIT, b"1"), "commit")
    never_active(bed, image)


@test
def a_seal_of_another_size_is_refused(bed):
    image = staged(bed)
    for value in (b"size=5", b"size=", b"size=x", b"2", b"", b"1 ", b"1" * 100):
        raises(errno.EINVAL, lambda: os.setxattr(part_of(bed, image), COMMIT, value), f"{value!r}")
    equal(state_of(part_of(bed, image)), "staging", "the state")
    seal(bed, image)
    becomes_active(bed, image, DATA)


def seal_of_another_than_the_declared_size(bed):
    image = mounted(bed, size=len(DATA) + 1)
    write_all(part_of(bed, image), DATA)
    raises(errno.EINVAL, lambda: os.rename(part_of(bed, image), file_of(bed, image)), "rename")
    raises(errno.EINVAL, lambda: os.setxattr(part_of(bed, image), COMMIT, b"1"), "commit")
    never_active(bed, image)


add("a_seal_of_another_than_the_declared_size_is_refused", seal_of_another_than_the_declared_size)


@test
def a_seal_while_a_writer_is_open_is_busy(bed):
    image = mounted(bed)
    part = part_of(bed, image)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT)
    put(fd, DATA)
    raises(errno.EBUSY, lambda: os.rename(part, file_of(bed, image)), "rename")
    raises(errno.EBUSY, lambda: os.setxattr(part, COMMIT, b"1"), "commit")
    raises(errno.EBUSY, lambda: os.setxattr(fd, COMMIT, b"1"), "commit of the descriptor")
    os.close(fd)
    os.rename(part, file_of(bed, image))
    becomes_active(bed, image, DATA)


@test
def a_reader_is_not_in_the_way_of_the_seal(bed):
    image = staged(bed)
    fd = os.open(part_of(bed, image), os.O_RDONLY)
    same_bytes(os.pread(fd, 1000, 0), DATA[:1000], "what it reads")
    seal(bed, image)
    raises(errno.EOPNOTSUPP, lambda: os.pread(fd, 1000, 0), "a read after the seal")
    os.close(fd)
    becomes_active(bed, image, DATA)


@test
def what_is_sealed_is_written_once(bed):
    image = staged(bed)
    set_record(bed, image, glancefs_test_delay_ms=500)
    os.rename(part_of(bed, image), file_of(bed, image))
    for call in (lambda: os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT),
                 lambda: os.open(file_of(bed, image), os.O_WRONLY | os.O_TRUNC)):
        raises(errno.EEXIST, call, "another writer")
    raises(errno.EBUSY, lambda: os.unlink(file_of(bed, image)), "unlink")
    set_record(bed, image, glancefs_test_delay_ms=None)
    becomes_active(bed, image, DATA)
    raises(errno.EEXIST, lambda: os.open(part_of(bed, image), os.O_WRONLY | os.O_CREAT), "a writer")


@test
def an_interrupted_seal_goes_on(bed):
    """Whoever waited for it is gone; the file is sealed all the same."""
    image = mounted(bed)
    write_all(part_of(bed, image), b"")
    os.truncate(part_of(bed, image), 100 * MIB)
    child = bed.start("mv", part_of(bed, image), file_of(bed, image))
    wait_until_blocked(bed, child)
    time.sleep(0.05)
    child.terminate()
    child.wait(bed.seconds(10))
    becomes_active(bed, image, bytes(100 * MIB), limit=60)


# --- attributes ---

@test
def attributes_tell_state_size_and_error(bed):
    image = mounted(bed, size=7)
    target = file_of(bed, image)
    equal(sorted(name for name in os.listxattr(target) if name.startswith("user.glancefs.")),
          [SIZE, STATE], "the attributes of a queued image")
    equal(os.getxattr(target, SIZE), b"7", "the declared size")
    raises(errno.ENODATA, lambda: os.getxattr(target, COMMIT), "the commit attribute")
    raises(errno.ENODATA, lambda: os.getxattr(target, ERROR), "the error")
    raises(errno.ENODATA, lambda: os.getxattr(target, "user.other"), "another attribute")
    raises(errno.EOPNOTSUPP, lambda: os.setxattr(target, STATE, b"active"), "setting the state")
    raises(errno.EOPNOTSUPP, lambda: os.setxattr(target, "user.other", b"x"), "setting another")


@test
def the_commit_attribute_is_never_listed(bed):
    image = staged(bed)
    check(COMMIT not in os.listxattr(part_of(bed, image)), "it is listed")
    raises(errno.ENODATA, lambda: os.getxattr(part_of(bed, image), COMMIT), "the commit attribute")


def attributed_source(bed):
    """A file that bears our own attributes, as a copy of one of our files might."""
    source = bed.tmp / "src"
    source.write_bytes(DATA)
    os.setxattr(source, COMMIT, b"1")
    os.setxattr(source, STATE, b"active")
    os.setxattr(source, "user.glance.status", b"active")
    return source


@test
def cp_a_of_a_file_with_our_attributes_does_not_seal(bed):
    image = mounted(bed)
    bed.run("cp", "-a", attributed_source(bed), part_of(bed, image), code=None)
    equal(state_of(part_of(bed, image)), "staging", "the state")
    equal(status_of(bed, image), "queued", "the image's status")
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def cp_that_must_preserve_foreign_attributes_says_that_it_cannot(bed):
    image = mounted(bed)
    answer = bed.run("cp", "--preserve=xattr", attributed_source(bed), part_of(bed, image), code=1)
    check(os.strerror(errno.EOPNOTSUPP) in answer.stderr.decode() or
          os.strerror(errno.EBUSY) in answer.stderr.decode(), f"cp says {answer.stderr!r}")
    never_active(bed, image)


@test
def rsync_with_attributes_does_not_seal_before_its_rename(bed):
    """It copies attributes onto the temporary file; only its rename may seal, with all bytes."""
    image = mounted(bed)
    bed.run("rsync", "-X", attributed_source(bed), file_of(bed, image), code=None)
    if status_of(bed, image) != "queued" or state_of(file_of(bed, image)) != "queued":
        becomes_active(bed, image, DATA)
    else:
        never_active(bed, image)


@test
def a_copy_of_a_view_with_its_attributes_can_be_written(bed):
    source = bed.image(DATA)
    image = mounted(bed)
    bed.run("cp", "-a", bed.view(source), part_of(bed, image), code=None)
    seal(bed, image)
    becomes_active(bed, image, DATA)


# --- locks, odd opens ---

@test
def a_lock_of_the_file_changes_nothing(bed):
    """qemu-img and others lock what they write."""
    image = mounted(bed)
    fd = os.open(part_of(bed, image), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))
    except OSError as error:
        check(error.errno in (errno.ENOSYS, errno.EOPNOTSUPP), str(error))
    put(fd, DATA)
    os.close(fd)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def o_excl_of_the_queued_image_exists_and_of_the_part_creates(bed):
    image = mounted(bed, size=len(DATA))
    raises(errno.EEXIST, lambda: os.open(file_of(bed, image), os.O_WRONLY | os.O_CREAT | os.O_EXCL),
           "O_EXCL of the image")
    write_all(part_of(bed, image), DATA, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    seal(bed, image)
    becomes_active(bed, image, DATA)


@test
def a_part_that_nobody_created_is_absent(bed):
    image = mounted(bed)
    raises(errno.ENOENT, lambda: os.open(part_of(bed, image), os.O_WRONLY), "open")
    raises(errno.ENOENT, lambda: os.stat(part_of(bed, image)), "stat")
    raises(errno.ENOENT, lambda: os.unlink(part_of(bed, image)), "unlink")
    raises(errno.ENOENT, lambda: os.truncate(part_of(bed, image), 0), "truncate")


@test
def too_little_locked_memory_is_refused_at_open(bed):
    image = queued(bed)
    bed.mount("-o", "max_memory=16M", "-o", "write_window=64M")
    raises(errno.EAGAIN, lambda: write_all(part_of(bed, image), DATA), "open of the part")
    equal(status_of(bed, image), "queued", "the image's status")


@test
def the_status_tells_of_what_is_written_and_sent(bed):
    image = staged(bed)

    def uploads():
        status = json.loads((bed.mount_point / "status").read_text())
        return {one["image_id"]: one for one in status["uploads"]}
    equal(uploads()[image]["state"], "staging", "the state in the status")
    set_record(bed, image, glancefs_test_status=503)
    seal_by_attribute(bed, image)
    check(uploads()[image]["state"] in ("sealed", "uploading"), f"the status is {uploads()}")
    set_record(bed, image, glancefs_test_status=None)
    becomes_active(bed, image, DATA)


@test
def nothing_stays_in_the_staging_directory_after_the_upload(bed):
    image = staged(bed)
    seal(bed, image)
    becomes_active(bed, image, DATA)
    bed.wait_for(lambda: not staged_files(bed), 10, "the staging directory to be empty")
