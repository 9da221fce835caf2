/* SPDX-License-Identifier: Apache-2.0 */
#include "space_fixture.h"

#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* --- the disk --- */

/* What __wrap_fstatvfs64 and __wrap_fallocate64 go by. */
static struct {
    char path[4096];
    uint64_t bytes; /* 0: the true disk */
    int statvfs_errnum;
    int allocation_errnum;
    atomic_uint failing_allocations;
} disk;

static _Thread_local uint64_t counted_bytes;

static int count_blocks(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path, (void)type, (void)walk;
    counted_bytes += (uint64_t)status->st_blocks * 512;
    return 0;
}

int __real_fstatvfs64(int fd, struct statvfs *ret);
int __wrap_fstatvfs64(int fd, struct statvfs *ret);

int __wrap_fstatvfs64(int fd, struct statvfs *ret)
{
    uint64_t left;

    if (disk.statvfs_errnum != 0) {
        errno = disk.statvfs_errnum;
        return -1;
    }
    if (__real_fstatvfs64(fd, ret) < 0 || disk.bytes == 0)
        return disk.bytes == 0 ? 0 : -1;
    counted_bytes = 0;
    (void)nftw(disk.path, count_blocks, 16, FTW_PHYS);
    left = disk.bytes > counted_bytes ? disk.bytes - counted_bytes : 0;
    ret->f_blocks = disk.bytes / ret->f_frsize;
    ret->f_bavail = left / ret->f_frsize;
    return 0;
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size);

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size)
{
    if (atomic_load(&disk.failing_allocations) == 0)
        return __real_fallocate64(fd, mode, offset, size);
    atomic_fetch_sub(&disk.failing_allocations, 1);
    errno = disk.allocation_errnum;
    return -1;
}

void space_fixture_set_disk(struct space_fixture *fixture, uint64_t bytes)
{
    (void)snprintf(disk.path, sizeof disk.path, "%s", fixture->path);
    disk.bytes = bytes;
}

void space_fixture_fail_allocations(int errnum, unsigned count)
{
    disk.allocation_errnum = errnum;
    atomic_store(&disk.failing_allocations, count);
}

void space_fixture_fail_statvfs(int errnum)
{
    disk.statvfs_errnum = errnum;
}

/* --- the cache --- */

int space_fixture_open(void **state)
{
    struct space_fixture *fixture = calloc(1, sizeof *fixture);
    struct error err = ERROR_INIT;

    if (fixture == NULL)
        return -1;
    fixture->dir = temp_dir_new();
    fixture->path = temp_dir_join(fixture->dir, "cache");
    if (cache_layout_open(fixture->path, CACHE_COMMAND, &fixture->layout, &err) < 0) {
        print_error("%s\n", err.message);
        return -1;
    }
    fixture->space.layout = fixture->layout;
    *state = fixture;
    return 0;
}

int space_fixture_close(void **state)
{
    struct space_fixture *fixture = *state;

    space_fixture_set_disk(fixture, 0);
    space_fixture_fail_statvfs(0);
    space_fixture_fail_allocations(0, 0);
    cache_layout_free(fixture->layout);
    temp_dir_free(fixture->dir);
    free(fixture->path);
    free(fixture);
    return 0;
}

struct object_metadata space_fixture_metadata(unsigned number, uint64_t size)
{
    struct object_metadata ret = {.size = size, .hash_algo = "sha256"};

    (void)snprintf(ret.image_id, sizeof ret.image_id, "%08x-2222-4333-8444-555555555555", number);
    (void)snprintf(ret.hash_value, sizeof ret.hash_value, "%064x", number);
    return ret;
}

static void fill(int fd, uint64_t size)
{
    static const char bytes[4096] = "x";

    for (uint64_t offset = 0; offset < size; offset += sizeof bytes) {
        const size_t length = size - offset < sizeof bytes ? (size_t)(size - offset) : sizeof bytes;

        assert_int_equal(pwrite(fd, bytes, length, (off_t)offset), length);
    }
}

void space_fixture_put(struct space_fixture *fixture, unsigned number, uint64_t size,
                       int64_t last_used_ns)
{
    const struct object_metadata metadata = space_fixture_metadata(number, size);
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    partial = space_fixture_begin(fixture, number, size);
    assert_succeeds(object_store_grant(partial, &metadata, &err));
    fill(partial->data_fd, size);
    assert_succeeds(
        object_store_publish(fixture->layout, partial, &metadata, last_used_ns, NULL, &err));
}

struct partial_object *space_fixture_begin(struct space_fixture *fixture, unsigned number,
                                           uint64_t size)
{
    const struct object_metadata metadata = space_fixture_metadata(number, size);
    struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(object_store_begin(fixture->layout, &metadata, NULL, NULL, &partial, &err));
    return partial;
}

static void name_of(unsigned number, char ret[CACHE_OBJECT_NAME_BYTES])
{
    const struct object_metadata metadata = space_fixture_metadata(number, 0);

    object_metadata_name(&metadata, ret);
}

int space_fixture_read(struct space_fixture *fixture, unsigned number, int64_t now_ns)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    struct error err = ERROR_INIT;
    int fd = -1;

    name_of(number, name);
    assert_succeeds(object_store_open(fixture->layout, name, now_ns, &fd, NULL, &err));
    return fd;
}

bool space_fixture_has(const struct space_fixture *fixture, enum cache_place place, unsigned number)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    struct stat status;

    name_of(number, name);
    return fstatat(fixture->layout->place_fds[place], name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

uint64_t space_fixture_sum(const struct cache_layout *layout)
{
    CLEANUP(stored_object_list_free) struct stored_object_list *list = NULL;
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;

    if (cache_layout_lock(layout, NULL, &lock, &err) < 0 ||
        object_store_list(layout, NULL, NULL, &list, &err) < 0)
        return UINT64_MAX;
    return space_policy_sum(list);
}
