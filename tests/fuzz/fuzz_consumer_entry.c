/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of CACHE/consumers, which other hosts may have written: the first line is the file's name,
 * the rest its content. Only an entry of ours is withdrawn, with texts that Barbican can hold.
 */
#include "base/uuid.h"
#include "fuzz_main.h"
#include "glancefs/consumer_registry.h"
#include "support/temp_dir.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER "local:/srv/cloud\n5f0c3a7e\n"

/* One registry for all inputs, removed with its directory at the end: opening it syncs. */
static struct consumer_registry *registry;
static struct temp_dir *dir;
static int consumers_fd = -1;

static unsigned withdrawals;

static int know_no_image(struct image_service *service, const char *id, struct cancel *cancel,
                         struct image_record **ret, struct error *err)
{
    (void)service, (void)cancel, (void)ret;
    FUZZ_ASSERT(uuid_is_valid(id));
    return error_set(err, ERROR_NOT_FOUND, "no image %s", id);
}

static int withdraw(struct key_manager *manager, const char *secret_id,
                    const struct secret_consumer *consumer, struct cancel *cancel,
                    struct error *err)
{
    (void)manager, (void)cancel, (void)err;
    FUZZ_ASSERT(uuid_is_valid(secret_id) && uuid_is_valid(consumer->resource_id));
    FUZZ_ASSERT(strlen(consumer->resource_type) > 0 &&
                strlen(consumer->resource_type) <= SECRET_CONSUMER_TEXT_BYTES);
    FUZZ_ASSERT(strchr(consumer->resource_type, '\n') == NULL);
    FUZZ_ASSERT(strcmp(consumer->service, "image") == 0 ||
                strcmp(consumer->service, "compute") == 0);
    withdrawals++;
    return 0;
}

static void remove_dir(void)
{
    consumer_registry_free(registry);
    (void)close(consumers_fd);
    temp_dir_free(dir);
}

static void open_registry(void)
{
    static const struct image_service_ops image_ops = {.get = know_no_image};
    static const struct key_manager_ops key_ops = {.remove_consumer = withdraw};
    static struct image_service images = {.ops = &image_ops};
    static struct key_manager keys = {.ops = &key_ops};
    const struct consumer_registry_parts parts = {.cache_path = temp_dir_path(dir),
                                                  .cloud = "local:/srv/cloud",
                                                  .project_id = "5f0c3a7e",
                                                  .images = &images,
                                                  .keys = &keys};
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(consumer_registry_new(&parts, &registry, &err) == 0);
}

static void set_up(void)
{
    fuzz_allocations_succeed();
    dir = temp_dir_new();
    FUZZ_ASSERT(atexit(remove_dir) == 0);
    open_registry();
    consumers_fd = openat(temp_dir_fd(dir), "consumers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_ASSERT(consumers_fd >= 0);
    fuzz_allocations_may_fail();
}

static bool write_entry(const char *name, const uint8_t *content, size_t size)
{
    CLEANUP(fd_close)
    int fd = openat(consumers_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0)
        FUZZ_ASSERT(write(fd, content, size) == (ssize_t)size);
    return fd >= 0;
}

static void sweep(const char *name, const uint8_t *content, size_t size)
{
    const bool is_ours = size >= sizeof OWNER - 1 && memcmp(content, OWNER, sizeof OWNER - 1) == 0;

    withdrawals = 0;
    consumer_registry_sweep(registry, NULL);
    FUZZ_ASSERT(is_ours || withdrawals == 0);
    FUZZ_ASSERT(withdrawals > 0 || faccessat(consumers_fd, name, F_OK, 0) == 0);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    const size_t length = end == NULL ? 0 : (size_t)(end - data);
    char name[NAME_MAX + 1];

    if (dir == NULL)
        set_up();
    if (length == 0 || length > NAME_MAX || memchr(data, '/', length) != NULL ||
        memchr(data, '\0', length) != NULL)
        return;
    (void)snprintf(name, sizeof name, "%.*s", (int)length, (const char *)data);
    data += length + 1;
    size -= length + 1;
    if (!write_entry(name, data, size))
        return;
    sweep(name, data, size);
    (void)unlinkat(consumers_fd, name, 0);
}
