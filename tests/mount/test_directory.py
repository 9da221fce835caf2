# SPDX-License-Identifier: Apache-2.0
"""What ls, stat, find, df and getfattr see, and that nothing in the mount can be changed."""
import ctypes
import errno
import json
import os
import stat
import time
import uuid

from bed import check, equal, mode_of, raises, same_bytes
from messages import MIB, plaintext
from registry import add, test, test_with

DATA = plaintext(MIB + 700, seed=7)


# --- the tree ---

@test
def the_mount_holds_decrypt_and_status(bed):
    bed.mount()
    names = sorted(os.listdir(bed.mount_point))
    check({"decrypt", "status"} <= set(names), f"the mount holds {names}")
    check(stat.S_ISDIR(os.stat(bed.mount_point / "decrypt").st_mode), "decrypt is no directory")
    check(stat.S_ISREG(os.stat(bed.mount_point / "status").st_mode), "status is no file")


@test
def an_empty_cloud_lists_nothing(bed):
    bed.mount()
    equal(os.listdir(bed.mount_point / "decrypt"), [], "the list")


def add_many_images(bed, count):
    key = bed.cloud.add_secret()
    data = bed.gpg.encrypt(DATA[:10], b"x", "--s2k-count", "65536")
    return {bed.cloud.add_image(data, key, decrypt_size=10) for _ in range(count)}


@test_with(limit=120)
def five_thousand_images_are_listed(bed):
    images = add_many_images(bed, 5000)
    bed.mount()
    decrypt = bed.mount_point / "decrypt"
    equal(set(os.listdir(decrypt)), images, "the list")
    found = bed.run("find", decrypt, "-type", "f").stdout.decode().split()
    equal({path.rsplit("/", 1)[1] for path in found}, images, "what find found")
    lines = bed.run("ls", "-l", decrypt).stdout.decode().splitlines()[1:]
    equal(len(lines), 5000, "lines of ls -l")
    equal({line.split()[4] for line in lines}, {"10"}, "the sizes")


@test_with(limit=120)
def a_list_read_in_small_steps_is_complete(bed):
    images = add_many_images(bed, 700)
    bed.mount()
    seen = []
    with os.scandir(bed.mount_point / "decrypt") as entries:
        for entry in entries:
            seen.append(entry.name)
            check(entry.is_file(follow_symlinks=False), f"{entry.name} is no file")
    equal(len(seen), len(set(seen)), "names that came once")
    equal(set(seen), images, "the list")


@test
def ls_answers_while_the_record_of_a_listed_image_is_slow(bed):
    quick, slow = bed.image(DATA), bed.image(DATA, glancefs_test_delay_ms=6000)
    bed.mount()
    waiting = bed.start("stat", bed.view(slow))
    time.sleep(0.3)
    started = time.monotonic()
    listed = bed.run("ls", bed.mount_point / "decrypt").stdout.decode().split()
    seconds = time.monotonic() - started
    check(waiting.poll() is None, "the record was not slow")
    equal(sorted(listed), sorted([quick, slow]), "the list")
    check(seconds < 2, f"ls took {seconds:.1f} s")
    equal(waiting.wait(bed.seconds(20)), 0, "the exit code of stat")


@test
def a_new_image_appears(bed):
    bed.mount("-o", "record_ttl=0")
    decrypt = bed.mount_point / "decrypt"
    equal(os.listdir(decrypt), [], "the list")
    image = bed.image(DATA)
    equal(os.listdir(decrypt), [image], "the list")
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def an_image_that_was_not_listed_can_be_opened(bed):
    bed.mount()
    image = bed.image(DATA)
    same_bytes(bed.run("cat", bed.view(image)).stdout, DATA, "cat's output")


@test
def names_in_other_spellings_are_not_there(bed):
    image = bed.image(DATA, image="abcdefab-cdef-abcd-efab-cdefabcdefab")
    bed.mount()
    os.stat(bed.view(image))
    for name in (image.replace("-", ""), image + ".part", "{" + image + "}", " " + image):
        raises(errno.ENOENT, lambda n=name: os.stat(bed.view(n)), f"stat of {name}")


@test
def other_top_level_names_are_not_there(bed):
    bed.mount()
    for name in (".hidden", "nothing", str(uuid.uuid4())):
        raises(errno.ENOENT, lambda n=name: os.stat(bed.mount_point / n), f"stat of {name}")


# --- stat ---

@test
def stat_tells_the_declared_size_before_the_first_open(bed):
    image = bed.image(DATA)
    bed.mount()
    facts = os.stat(bed.view(image))
    equal(facts.st_size, len(DATA), "st_size")
    equal(facts.st_blocks, (len(DATA) + 511) // 512, "st_blocks")
    equal(facts.st_blksize, MIB, "st_blksize")
    equal(facts.st_nlink, 1, "st_nlink")
    equal(stat.S_IMODE(facts.st_mode), 0o400, "the mode")
    check(stat.S_ISREG(facts.st_mode), "the view is no regular file")


def undeclared_size(*options):
    def run(bed):
        image = bed.image(DATA, *options, declared=False)
        bed.mount()
        before = os.stat(bed.view(image))
        check(before.st_size >= len(DATA) or options, f"st_size {before.st_size} is too small")
        check(before.st_size > 0, "st_size is 0")
        equal(before.st_blocks, (before.st_size + 511) // 512, "st_blocks before")
        with open(bed.view(image), "rb", buffering=0) as stream:
            equal(os.fstat(stream.fileno()).st_size, len(DATA), "st_size of the open file")
            equal(os.stat(bed.view(image)).st_size, len(DATA), "st_size while it is open")
            equal(os.stat(bed.view(image)).st_blocks, (len(DATA) + 511) // 512, "st_blocks")
            same_bytes(stream.read(), DATA, "the bytes")
    return run


add("stat_tells_the_exact_size_once_an_image_is_open", undeclared_size())
add("stat_tells_the_exact_size_once_a_compressed_image_is_open", undeclared_size("-z6"))


@test
def tar_and_rsync_of_an_image_without_declared_size_are_whole(bed):
    image = bed.image(DATA, declared=False)
    bed.mount()
    bed.run("rsync", bed.view(image), bed.target / "rsync")
    same_bytes((bed.target / "rsync").read_bytes(), DATA, "rsync's copy")
    bed.run("tar", "-C", bed.mount_point / "decrypt", "-cf", bed.target / "tar", image)
    bed.run("tar", "-C", bed.target, "-xf", bed.target / "tar")
    same_bytes((bed.target / image).read_bytes(), DATA, "tar's copy")


@test
def an_empty_image_has_size_zero(bed):
    image = bed.image(b"")
    bed.mount()
    facts = os.stat(bed.view(image))
    equal((facts.st_size, facts.st_blocks), (0, 0), "st_size and st_blocks")


@test
def the_times_are_those_of_the_record(bed):
    image = bed.image(DATA, updated_at="2024-05-06T07:08:09Z")
    bed.mount()
    equal(int(os.stat(bed.view(image)).st_mtime), 1714979289, "st_mtime")


@test
def the_owner_is_who_mounts(bed):
    image = bed.image(DATA)
    bed.mount()
    facts = os.stat(bed.view(image))
    equal((facts.st_uid, facts.st_gid), (os.getuid(), os.getgid()), "owner and group")


@test
def uid_gid_and_mode_follow_the_options(bed):
    image = bed.image(DATA)
    bed.mount("-o", "uid=1234,gid=4321,mode=0440")
    facts = os.stat(bed.view(image))
    equal((facts.st_uid, facts.st_gid), (1234, 4321), "owner and group")
    equal(stat.S_IMODE(facts.st_mode), 0o440, "the mode")


@test
def the_mount_has_its_safe_flags(bed):
    bed.mount()
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        line = next(line for line in mounts if f" {bed.mount_point} " in line).split()
    equal(line[2], "fuse.glancefs", "the type")
    options = set(line[3].split(","))
    wanted = {"nosuid", "nodev", "noexec", "default_permissions"}
    equal(wanted & options, wanted, "the mount's flags")
    check("allow_other" not in options, "others may enter")


def as_user(bed, user, *command):
    return bed.run("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command,
                   code=None)


def open_the_way(bed):
    """Lets other users come as far as the mount point."""
    for path in (bed.tmp.parent, bed.tmp):
        path.chmod(0o755)


@test
def another_user_cannot_enter(bed):
    image = bed.image(DATA)
    open_the_way(bed)
    bed.mount()
    answer = as_user(bed, 1234, "cat", bed.view(image))
    equal((answer.returncode, answer.stdout), (1, b""), "what another user gets")


@test
def with_allow_other_only_the_named_user_reads(bed):
    image = bed.image(DATA)
    open_the_way(bed)
    bed.mount("-o", "allow_other,uid=1234")
    same_bytes(as_user(bed, 1234, "cat", bed.view(image)).stdout, DATA, "what the named user gets")
    answer = as_user(bed, 1235, "cat", bed.view(image))
    equal((answer.returncode, answer.stdout), (1, b""), "what another user gets")
    check(b"Permission denied" in answer.stderr, f"cat says {answer.stderr!r}")


@test
def with_mode_0440_the_group_reads(bed):
    image = bed.image(DATA)
    open_the_way(bed)
    bed.mount("-o", "allow_other,uid=1234,gid=4321,mode=0440")
    answer = bed.run("setpriv", "--reuid=1235", "--regid=4321", "--clear-groups", "cat",
                     bed.view(image))
    same_bytes(answer.stdout, DATA, "what the group gets")
    equal(as_user(bed, 1235, "cat", bed.view(image)).returncode, 1, "cat of another user")


# --- extended attributes ---

@test
def getfattr_shows_the_properties(bed):
    image = bed.image(DATA, name="my image", my_property="a value")
    bed.mount()
    view = bed.view(image)
    names = os.listxattr(view)
    for name in ("id", "status", "size", "os_hash_value", "os_encrypt_key_id", "my_property"):
        check(f"user.glance.{name}" in names, f"user.glance.{name} is not in {names}")
    equal(os.getxattr(view, "user.glance.id"), image.encode(), "the id")
    equal(os.getxattr(view, "user.glance.status"), b"active", "the status")
    equal(os.getxattr(view, "user.glance.name"), b"my image", "the name")
    equal(os.getxattr(view, "user.glance.my_property"), b"a value", "an own property")
    shown = bed.run("getfattr", "-d", view).stdout.decode()
    check('user.glance.my_property="a value"' in shown, f"getfattr shows {shown!r}")
    check(all(name.startswith("user.glance.") for name in names), f"foreign names in {names}")


@test
def absent_attributes_are_no_data(bed):
    image = bed.image(DATA)
    bed.mount()
    for name in ("user.glance.nothing", "user.other", "security.selinux",
                 "system.posix_acl_access", "trusted.x"):
        raises(errno.ENODATA, lambda n=name: os.getxattr(bed.view(image), n), f"getxattr {name}")


@test
def a_buffer_too_small_for_an_attribute_is_erange(bed):
    image = bed.image(DATA)
    bed.mount()
    libc = ctypes.CDLL(None, use_errno=True)
    path = str(bed.view(image)).encode()
    equal(libc.getxattr(path, b"user.glance.id", None, 0), 36, "the size of the id")
    small = ctypes.create_string_buffer(10)
    equal(libc.getxattr(path, b"user.glance.id", small, 10), -1, "getxattr into 10 bytes")
    equal(ctypes.get_errno(), errno.ERANGE, "its errno")


@test
def ls_l_of_views_is_quiet(bed):
    bed.image(DATA)
    bed.mount()
    answer = bed.run("ls", "-la", bed.mount_point / "decrypt")
    equal(answer.stderr, b"", "what ls complains of")


# --- the filesystem ---

@test
def statfs_answers(bed):
    bed.mount()
    facts = os.statvfs(bed.mount_point)
    equal(facts.f_namemax, 255, "f_namemax")
    check(facts.f_blocks > 0 and facts.f_bsize > 0, f"statvfs says {facts}")
    bed.run("df", bed.mount_point)


@test
def the_status_file_is_json(bed):
    image = bed.image(DATA)
    bed.mount()
    path = bed.mount_point / "status"
    with open(bed.view(image), "rb", buffering=0) as stream:
        stream.read(1000)
        text = path.read_bytes()
    facts = json.loads(text)
    for name in ("version", "cache", "streams"):
        check(name in facts, f"{name} is not in {facts}")
    check(any(one.get("image") == image for one in facts["streams"]), f"streams: {facts['streams']}")


@test
def the_status_file_has_its_length_and_copies(bed):
    bed.mount()
    path = bed.mount_point / "status"
    with open(path, "rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        text = stream.read()
    check(size >= len(text) > 2, f"st_size is {size}, the text has {len(text)} bytes")
    for command in (["cp"], ["rsync"]):
        bed.run(*command, path, bed.target / command[0])
        json.loads((bed.target / command[0]).read_text())
    check(mode_of(path) & 0o222 == 0, "the status file is writable")


@test
def the_status_command_shows_the_mount(bed):
    bed.mount()
    json.loads(bed.glancefs("status", "--json", bed.mount_point).stdout)
    check(bed.glancefs("status", bed.mount_point).stdout.strip(), "nothing for people")
    bed.glancefs("status", bed.target, code=3)


@test
def a_stat_after_a_change_of_the_record_follows_within_record_ttl(bed):
    image = bed.image(DATA, name="old")
    bed.mount("-o", "record_ttl=1")
    equal(os.getxattr(bed.view(image), "user.glance.name"), b"old", "the name")
    bed.cloud.write_record(image, {**bed.cloud.record(image), "name": "new"})
    time.sleep(1.1)
    equal(os.getxattr(bed.view(image), "user.glance.name"), b"new", "the name")


# --- nothing can be changed ---

REFUSALS = (errno.EACCES, errno.EROFS, errno.EPERM, errno.EOPNOTSUPP)


def change_is_refused(change):
    def run(bed):
        image = bed.image(DATA)
        bed.mount()
        (bed.target / "own").write_bytes(b"own")
        before = os.stat(bed.view(image))
        try:
            change(bed, bed.view(image))
        except OSError as error:
            check(error.errno in REFUSALS, f"refused with {error}")
        else:
            check(False, "it was allowed")
        after = os.stat(bed.view(image))
        for field in ("st_mode", "st_uid", "st_gid", "st_size", "st_mtime", "st_ino"):
            equal(getattr(after, field), getattr(before, field), field)
        equal(os.listdir(bed.mount_point / "decrypt"), [image], "the list")
        same_bytes(bed.view(image).read_bytes(), DATA, "the bytes afterwards")
    return run


def opens_with(flags):
    return lambda bed, view: os.close(os.open(view, flags))


NEW_ID = "99999999-2222-3333-4444-555555555555"
CHANGES = {
    "open_for_writing": opens_with(os.O_WRONLY),
    "open_for_reading_and_writing": opens_with(os.O_RDWR),
    "open_with_o_trunc": opens_with(os.O_RDONLY | os.O_TRUNC),
    "open_for_appending": opens_with(os.O_WRONLY | os.O_APPEND),
    "open_for_writing_with_o_trunc": opens_with(os.O_WRONLY | os.O_TRUNC),
    "creat_of_a_new_name": lambda bed, view: os.close(
        os.open(view.parent / NEW_ID, os.O_CREAT | os.O_WRONLY, 0o600)),
    "creat_at_the_top": lambda bed, view: os.close(
        os.open(bed.mount_point / "new", os.O_CREAT | os.O_WRONLY, 0o600)),
    "truncate": lambda bed, view: os.truncate(view, 0),
    "unlink": lambda bed, view: os.unlink(view),
    "rename": lambda bed, view: os.rename(view, view.parent / NEW_ID),
    "rename_over_it": lambda bed, view: os.rename(bed.mount_point / "status", view),
    "mkdir": lambda bed, view: os.mkdir(view.parent / NEW_ID),
    "rmdir_of_decrypt": lambda bed, view: os.rmdir(view.parent),
    "symlink": lambda bed, view: os.symlink("/etc/passwd", view.parent / NEW_ID),
    "link": lambda bed, view: os.link(view, view.parent / NEW_ID),
    "mknod": lambda bed, view: os.mknod(view.parent / NEW_ID, 0o600 | stat.S_IFREG),
    "chmod": lambda bed, view: os.chmod(view, 0o777),
    "chown": lambda bed, view: os.chown(view, 1, 1),
    "utime": lambda bed, view: os.utime(view, (1, 1)),
    "setxattr": lambda bed, view: os.setxattr(view, "user.glance.name", b"x"),
    "setxattr_of_a_foreign_name": lambda bed, view: os.setxattr(view, "user.other", b"x"),
    "removexattr": lambda bed, view: os.removexattr(view, "user.glance.name"),
    "unlink_of_status": lambda bed, view: os.unlink(bed.mount_point / "status"),
    "writing_status": lambda bed, view: os.close(os.open(bed.mount_point / "status", os.O_WRONLY)),
}
for name, change in CHANGES.items():
    add(f"{name}_is_refused", change_is_refused(change))
