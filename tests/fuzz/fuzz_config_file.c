/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration files (INI). */
#include "config_checks.h"
#include "fuzz_main.h"
#include "support/temp_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* One file for all inputs, removed at the end. */
static struct temp_dir *dir;
static char *path;
static int fd = -1;

static void remove_file(void)
{
    (void)close(fd);
    free(path);
    temp_dir_free(dir);
}

static void create_file(void)
{
    fuzz_allocations_succeed();
    dir = temp_dir_new();
    path = temp_dir_join(dir, "glancefs.conf");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    FUZZ_ASSERT(fd >= 0 && atexit(remove_file) == 0);
    fuzz_allocations_may_fail();
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct error err = ERROR_INIT;

    if (dir == NULL)
        create_file();
    /* Cut last: some filesystems sync what was empty in between. */
    FUZZ_ASSERT(pwrite(fd, data, size, 0) == (ssize_t)size && ftruncate(fd, (off_t)size) == 0);
    if (config_new(&config, &err) < 0)
        return;
    if (config_load_file(config, path, &err) < 0)
        config_check_refusal(&err, data, size, "\n");
    config_check_valid(config);
}
