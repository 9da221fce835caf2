/* SPDX-License-Identifier: Apache-2.0 */
/* CACHE/format: only this version's text, byte for byte, lets anybody in. */
#include "cache/cache_layout.h"
#include "fuzz_main.h"
#include "support/temp_dir.h"

#include <fcntl.h>
#include <string.h>

#define FORMAT_TEXT "glancefs-cache 1\n"

/* One cache for all inputs, removed at the end. */
static struct temp_dir *dir;
static int fd = -1;

static void remove_cache(void)
{
    (void)close(fd);
    temp_dir_free(dir);
}

static void create_cache(void)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = NULL;
    struct error err = ERROR_INIT;

    fuzz_allocations_succeed();
    dir = temp_dir_new();
    FUZZ_ASSERT(cache_layout_open(temp_dir_path(dir), CACHE_COMMAND, &layout, &err) == 0);
    fd = openat(temp_dir_fd(dir), "format", O_RDWR | O_CLOEXEC);
    FUZZ_ASSERT(fd >= 0 && atexit(remove_cache) == 0);
    fuzz_allocations_may_fail();
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = NULL;
    const bool is_ours = size == sizeof FORMAT_TEXT - 1 && memcmp(data, FORMAT_TEXT, size) == 0;
    struct error err = ERROR_INIT;

    if (dir == NULL)
        create_cache();
    FUZZ_ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size && ftruncate(fd, (off_t)size) == 0);
    if (cache_layout_open(temp_dir_path(dir), CACHE_OBSERVER, &layout, &err) == 0) {
        FUZZ_ASSERT(is_ours);
        return;
    }
    FUZZ_ASSERT(!is_ours || fuzz_allocations_fail());
    FUZZ_ASSERT(err.kind == ERROR_CORRUPT || err.kind == ERROR_UNSUPPORTED ||
                fuzz_allocations_fail());
    fuzz_assert_plain(&err);
}
