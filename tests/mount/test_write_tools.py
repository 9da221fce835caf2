# SPDX-License-Identifier: Apache-2.0
"""What tools write arrives: exit code 0, the right bytes, and after the seal an active image.

How tools write differs more than one thinks: early flushes, holes, final truncates, zeros that are
written first and overwritten later. Each row is one way that people use.
"""
import os
from typing import NamedTuple, Tuple

from bed import check, equal
from messages import MIB, plaintext
from registry import add, test
from write_bed import (becomes_active, file_of, is_poisoned, mounted, never_active, part_of, seal,
                       state_of, status_of)

PLAIN = plaintext(3 * MIB + 17, seed=21)
# Data, holes wider than the default window, and a hole at the end.
SPARSE = (PLAIN[:65536] + bytes(5 * MIB - 65536) + PLAIN[:300000]).ljust(12 * MIB, b"\0")
# What a disk looks like: whole sectors, some of them zero.
DISK = PLAIN[:2 * MIB] + bytes(6 * MIB) + PLAIN[:3 * MIB] + bytes(MIB)
DENSE = plaintext(12 * MIB, seed=22)


def write_sparsely(path, data, block=4096):
    """The file has holes where the data are zeros."""
    with open(path, "wb") as stream:
        for at in range(0, len(data), block):
            if data[at:at + block].strip(b"\0"):
                stream.seek(at)
                stream.write(data[at:at + block])
        stream.truncate(len(data))


class Row(NamedTuple):
    script: str  # for sh -e, with $src, $sparse, $disk, $dense, $tmp, $part, $id, $image
    data: bytes = PLAIN
    options: Tuple[str, ...] = ()
    seals: bool = False  # the tool itself renames, as rsync does


def script_environment(bed, image):
    places = {"src": bed.tmp / "src", "sparse": bed.tmp / "sparse", "disk": bed.tmp / "disk",
              "dense": bed.tmp / "dense"}
    places["src"].write_bytes(PLAIN)
    write_sparsely(places["sparse"], SPARSE)
    write_sparsely(places["disk"], DISK)
    places["dense"].write_bytes(DENSE)
    places.update(tmp=bed.target, part=part_of(bed, image), id=file_of(bed, image), image=image,
                  views=bed.mount_point / "encrypt")
    return {**os.environ, **{name: str(value) for name, value in places.items()}}


def run_script(bed, image, script, code=0):
    return bed.run("bash", "-e", "-o", "pipefail", "-c", script, code=code,
                   env=script_environment(bed, image))


def arrives(row):
    def run(bed):
        image = mounted(bed, *row.options)
        run_script(bed, image, row.script)
        if not row.seals:
            equal(state_of(part_of(bed, image)), "staging", "the state before the seal")
            equal(os.stat(part_of(bed, image)).st_size, len(row.data), "the size before the seal")
            equal(status_of(bed, image), "queued", "the image's status before the seal")
            seal(bed, image)
        becomes_active(bed, image, row.data)
    return run


TOOLS = {
    "cp": Row("cp $src $part"),
    "cp_a": Row("cp -a $src $part"),
    "cp_of_a_sparse_file": Row("cp $sparse $part", SPARSE),
    "cp_sparse_always": Row("cat $sparse >$tmp/full; cp --sparse=always $tmp/full $part", SPARSE),
    "cp_sparse_never": Row("cp --sparse=never $sparse $part", SPARSE),
    "cat_into_a_redirect": Row("cat $src >$part"),
    "two_commands_into_one_redirect":
        Row("(head -c 1000000 $src; tail -c +1000001 $src) >$part"),
    "two_redirects_that_append":
        Row("head -c 1000000 $src >$part; tail -c +1000001 $src >>$part"),
    "a_redirect_that_starts_anew": Row("cat $dense >$part; cat $src >$part"),
    "printf": Row("printf hello >$part", b"hello"),
    "dd": Row("dd if=$src of=$part bs=64K"),
    "dd_with_large_blocks": Row("dd if=$src of=$part bs=8M"),
    "dd_with_small_blocks": Row("dd if=$src of=$part bs=777"),
    "dd_seek": Row("dd if=$src of=$part bs=1M seek=2", bytes(2 * MIB) + PLAIN),
    "dd_seek_farther_than_the_window":
        Row("dd if=$src of=$part bs=1M seek=9", bytes(9 * MIB) + PLAIN),
    "dd_notrunc": Row("dd if=$src of=$part bs=1M conv=notrunc"),
    "dd_in_two_runs": Row("dd if=$src of=$part bs=1M count=2; "
                          "dd if=$src of=$part bs=1M skip=2 seek=2 conv=notrunc"),
    "dd_sparse": Row("dd if=$sparse of=$part bs=64K conv=sparse", SPARSE),
    "dd_fsync": Row("dd if=$src of=$part bs=1M conv=fsync"),
    "dd_fdatasync": Row("dd if=$src of=$part bs=1M conv=fdatasync"),
    "dd_direct": Row("dd if=$src of=$part bs=1M oflag=direct"),
    "dd_from_a_pipe": Row("cat $src | dd of=$part bs=1M"),
    "dd_into_a_truncated_file":
        Row("truncate -s 12M $part; dd if=$disk of=$part bs=1M conv=notrunc,sparse", DISK),
    "rsync": Row("rsync $src $id", seals=True),
    "rsync_archive": Row("rsync -a $src $id", seals=True),
    "rsync_sparse": Row("rsync --sparse $sparse $id", SPARSE, seals=True),
    "rsync_preallocate": Row("rsync --preallocate $src $id", seals=True),
    "rsync_inplace": Row("rsync --inplace $src $part"),
    "rsync_inplace_sparse": Row("rsync --inplace --sparse $sparse $part", SPARSE),
    "tar": Row("tar -C $tmp/.. -cf $tmp/a --transform s,src,$image.part, src; "
               "tar -C $views -xf $tmp/a"),
    "tar_of_a_sparse_file": Row("tar -C $tmp/.. -cSf $tmp/a --transform s,sparse,$image.part, sparse; "
                                "tar -C $views -xSf $tmp/a", SPARSE),
    "tar_to_stdout": Row("tar -C $tmp/.. -cf $tmp/a src; tar -xOf $tmp/a >$part"),
    "tee": Row("tee $part <$src >$tmp/out; cmp $src $tmp/out"),
    "install": Row("install $src $part"),
    "install_with_a_mode": Row("install -m 600 $src $part"),
    "mv_from_another_filesystem": Row("cp $src $tmp/x; mv $tmp/x $part; test ! -e $tmp/x"),
    "curl": Row("curl --silent --show-error --output $part file://$src"),
    "pv": Row("pv -q $src >$part"),
    "gzip": Row("gzip -c $src | gzip -dc >$part"),
    "python_write": Row("python3 -c 'import os; e = os.environ; "
                        "open(e[\"part\"], \"wb\").write(open(e[\"src\"], \"rb\").read())'"),
    "python_copyfile": Row("python3 -c 'import os, shutil; e = os.environ; "
                           "shutil.copyfile(e[\"src\"], e[\"part\"])'"),
    "python_copy2": Row("python3 -c 'import os, shutil; e = os.environ; "
                        "shutil.copy2(e[\"src\"], e[\"part\"])'"),
    "qemu_img_convert": Row("qemu-img convert -f raw -O raw $disk $part", DISK),
    "qemu_img_convert_of_a_dense_disk": Row("qemu-img convert -f raw -O raw $dense $part", DENSE),
    "qemu_img_convert_n":
        Row("truncate -s 12M $part; qemu-img convert -n -f raw -O raw $disk $part", DISK),
    "qemu_img_convert_S_0": Row("qemu-img convert -S 0 -f raw -O raw $disk $part", DISK),
    "qemu_img_convert_t_none": Row("qemu-img convert -t none -f raw -O raw $disk $part", DISK),
    "qemu_img_convert_preallocation_falloc":
        Row("qemu-img convert -f raw -O raw -o preallocation=falloc $disk $part", DISK),
    "qemu_img_convert_preallocation_full":
        Row("qemu-img convert -f raw -O raw -o preallocation=full $disk $part", DISK,
            ("write_window=64M",)),
    "qemu_img_convert_W":
        Row("qemu-img convert -W -m 8 -f raw -O raw $dense $part", DENSE, ("write_window=64M",)),
    "qemu_img_convert_from_qcow2": Row("qemu-img convert -f raw -O qcow2 $disk $tmp/q; "
                                       "qemu-img convert -f qcow2 -O raw $tmp/q $part", DISK),
    "qemu_img_convert_from_compressed_qcow2":
        Row("qemu-img convert -c -f raw -O qcow2 $disk $tmp/q; "
            "qemu-img convert -f qcow2 -O raw $tmp/q $part", DISK),
}
for name, entry in TOOLS.items():
    add(f"what_{name}_writes_arrives", arrives(entry))


# --- what cannot be taken is refused for good, whatever the tool thinks of it ---

def ends_refused(script, *options):
    def run(bed):
        image = mounted(bed, "write_window=1M", *options)
        answer = run_script(bed, image, script, code=None)
        print(f"exit code {answer.returncode}")
        is_poisoned(bed, image)
    return run


REFUSED = {
    "qcow2": "qemu-img convert -f raw -O qcow2 $dense $part",
    "compressed_qcow2": "qemu-img convert -c -f raw -O qcow2 $dense $part",
    "vmdk": "qemu-img convert -f raw -O vmdk $dense $part",
    "preallocation_full_wider_than_the_window":
        "qemu-img convert -f raw -O raw -o preallocation=full $dense $part",
}
for name, line in REFUSED.items():
    add(f"qemu_img_convert_to_{name}_ends_refused", ends_refused(line))


@test
def qemu_img_convert_to_qcow2_ends_refused_under_commit_close_too(bed):
    image = mounted(bed, "write_window=1M", "commit=close")
    run_script(bed, image, "qemu-img convert -f raw -O qcow2 $dense $part", code=None)
    is_poisoned(bed, image)


@test
def qemu_img_convert_W_through_a_small_window_arrives_or_is_refused(bed):
    """Its order depends on its threads: either the bytes are right or there is no image."""
    image = mounted(bed, "write_window=1M")
    run_script(bed, image, "qemu-img convert -W -m 8 -f raw -O raw $dense $part", code=None)
    if state_of(part_of(bed, image)) == "poisoned":
        is_poisoned(bed, image)
    else:
        seal(bed, image)
        becomes_active(bed, image, DENSE)


@test
def rsync_to_the_part_names_a_file_that_cannot_be(bed):
    """Its temporary file would be .<id>.part.XXXXXX, which names no image."""
    image = mounted(bed)
    answer = run_script(bed, image, "rsync $src $part", code=None)
    check(answer.returncode != 0, "rsync succeeded")
    never_active(bed, image)


# --- declared sizes: closing the complete file seals ---

def seals_by_closing(script, data=PLAIN):
    def run(bed):
        image = mounted(bed, size=len(data))
        run_script(bed, image, script)
        becomes_active(bed, image, data)
    return run


DECLARED = {
    "cp": ("cp $src $id", PLAIN),
    "cat": ("cat $src >$id", PLAIN),
    "two_commands": ("(head -c 1000000 $src; tail -c +1000001 $src) >$id", PLAIN),
    "dd": ("dd if=$src of=$id bs=1M", PLAIN),
    "dd_notrunc": ("dd if=$src of=$id bs=1M conv=notrunc,fsync", PLAIN),
    "tee": ("tee $id <$src >/dev/null", PLAIN),
    "install": ("install $src $id", PLAIN),
    "curl": ("curl --silent --show-error --output $id file://$src", PLAIN),
    "rsync_inplace": ("rsync --inplace $src $id", PLAIN),
    "tar": ("tar -C $tmp/.. -cf $tmp/a --transform s,src,$image, src; tar -C $views -xf $tmp/a", PLAIN),
    "mv_from_another_filesystem": ("cp $src $tmp/x; mv $tmp/x $id", PLAIN),
    "qemu_img_convert_S_0": ("qemu-img convert -S 0 -f raw -O raw $disk $id", DISK),
}
for name, (line, content) in DECLARED.items():
    add(f"{name}_of_the_declared_size_seals_by_closing", seals_by_closing(line, content))


@test
def a_part_of_the_declared_size_waits_for_its_rename(bed):
    image = mounted(bed, size=len(PLAIN))
    run_script(bed, image, "cp $src $part; sleep 0.2; mv $part $id")
    becomes_active(bed, image, PLAIN)


@test
def qemu_img_convert_of_the_declared_size_with_holes_waits_for_a_seal(bed):
    """It closed a file of zeros before and wrote only the data since: not every byte is its own."""
    image = mounted(bed, size=len(DISK))
    run_script(bed, image, "qemu-img convert -f raw -O raw $disk $id")
    equal(state_of(file_of(bed, image)), "staging", "the state after the close")
    os.setxattr(file_of(bed, image), "user.glancefs.commit", b"1")
    becomes_active(bed, image, DISK)


# --- commit=close: for those who want plain cp ---

def is_active_after_closing(script, data=PLAIN):
    def run(bed):
        image = mounted(bed, "commit=close")
        run_script(bed, image, script)
        becomes_active(bed, image, data)
    return run


for name in ("cp", "cat", "two_commands", "dd", "tee", "curl"):
    line, content = DECLARED[name]
    add(f"under_commit_close_{name}_seals_by_closing", is_active_after_closing(line, content))
