/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/consumer_registry.h"

#include "base/file_sink.h"
#include "base/file_source.h"
#include "base/log.h"
#include "base/uuid.h"
#include "cache/cache_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONSUMERS "consumers"

#define SEPARATOR '_'
/* "<use>_<image-id>_<secret-id>", with the NUL. */
#define NAME_BYTES 96

DEFINE_CLEANUP(DIR, closedir)

/* An entry's content is the text that says whose it is, to be compared and never parsed. */
struct consumer_registry {
    struct image_service *images;
    struct key_manager *keys;
    int dir_fd;
    char *owner;
    char cache_type[SECRET_CONSUMER_TEXT_BYTES + 1]; /* resource_type of CONSUMER_IMAGE_CACHE */
};

/* One entry, as its file's name tells. */
struct entry {
    enum consumer_use use;
    char image_id[UUID_TEXT_BYTES];
    char secret_id[UUID_TEXT_BYTES];
};

static const char *const use_names[] = {
    [CONSUMER_IMAGE] = "image", [CONSUMER_IMAGE_CACHE] = "cache"};

/* --- the registry --- */

static int name_ourselves(struct consumer_registry *registry,
                          const struct consumer_registry_parts *parts, struct error *err)
{
    char host[HOST_NAME_MAX + 1] = "";

    if (gethostname(host, sizeof host - 1) < 0)
        return error_set_errno(err, errno, "host name");
    (void)snprintf(registry->cache_type, sizeof registry->cache_type, "image-cache:%s", host);
    if (asprintf(&registry->owner, "%s\n%s\n", parts->cloud, parts->project_id) >= 0)
        return 0;
    registry->owner = NULL;
    return error_set(err, ERROR_EXHAUSTED, "out of memory");
}

int consumer_registry_new(const struct consumer_registry_parts *parts,
                          struct consumer_registry **ret, struct error *err)
{
    CLEANUP(consumer_registry_free)
    struct consumer_registry *registry = calloc(1, sizeof *registry);

    if (registry == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    registry->images = parts->images;
    registry->keys = parts->keys;
    registry->dir_fd = -1;
    if (name_ourselves(registry, parts, err) < 0 ||
        cache_directory_open_subdirectory(parts->cache_path, CONSUMERS, &registry->dir_fd, err) < 0)
        return -1;
    *ret = steal(&registry);
    return 0;
}

void consumer_registry_free(struct consumer_registry *registry)
{
    if (registry == NULL)
        return;
    if (registry->dir_fd >= 0)
        (void)close(registry->dir_fd);
    free(registry->owner);
    free(registry);
}

static struct secret_consumer consumer_of(const struct consumer_registry *registry,
                                          enum consumer_use use, const char *image_id)
{
    if (use == CONSUMER_IMAGE)
        return (struct secret_consumer){"image", "image", image_id};
    return (struct secret_consumer){"compute", registry->cache_type, image_id};
}

/* --- entries --- */

static void entry_name(enum consumer_use use, const char *image_id, const char *secret_id,
                       char ret[NAME_BYTES])
{
    (void)snprintf(ret, NAME_BYTES, "%s%c%s%c%s", use_names[use], SEPARATOR, image_id, SEPARATOR,
                   secret_id);
}

static bool parse_use(const char *name, size_t length, enum consumer_use *ret)
{
    for (size_t i = 0; i < sizeof use_names / sizeof use_names[0]; i++) {
        if (strlen(use_names[i]) == length && strncmp(name, use_names[i], length) == 0) {
            *ret = (enum consumer_use)i;
            return true;
        }
    }
    return false;
}

/* False for what is no entry of ours: it is let be. */
static bool parse_name(const char *name, struct entry *ret)
{
    const size_t use_length = strcspn(name, "_");
    const char *ids = name + use_length + 1;

    if (!parse_use(name, use_length, &ret->use) ||
        strlen(name) != use_length + 2 * (size_t)UUID_TEXT_BYTES ||
        ids[UUID_TEXT_BYTES - 1] != SEPARATOR)
        return false;
    (void)snprintf(ret->image_id, sizeof ret->image_id, "%s", ids);
    (void)snprintf(ret->secret_id, sizeof ret->secret_id, "%s", ids + UUID_TEXT_BYTES);
    return uuid_is_valid(ret->image_id) && uuid_is_valid(ret->secret_id);
}

static bool is_ours(const struct consumer_registry *registry, const char *name)
{
    CLEANUP(memory_free) char *owner = NULL;
    struct error ignored = ERROR_INIT;
    const size_t expected = strlen(registry->owner);
    size_t size;

    return file_read_all(registry->dir_fd, name, expected, &owner, &size, &ignored) == 0 &&
           size == expected && memcmp(owner, registry->owner, size) == 0;
}

static int remember(const struct consumer_registry *registry, const char *name, struct error *err)
{
    if (is_ours(registry, name))
        return 0;
    if (file_publish(registry->dir_fd, name, 0600, registry->owner, strlen(registry->owner), err) <
        0)
        return error_prefix(err, "consumers");
    return 0;
}

int consumer_registry_add(struct consumer_registry *registry, enum consumer_use use,
                          const char *image_id, const char *secret_id, struct cancel *cancel,
                          struct error *err)
{
    const struct secret_consumer consumer = consumer_of(registry, use, image_id);
    char name[NAME_BYTES];

    if (!uuid_is_valid(image_id) || !uuid_is_valid(secret_id))
        return error_set(err, ERROR_INVALID, "a consumer's image and secret have UUIDs");
    entry_name(use, image_id, secret_id, name);
    if (remember(registry, name, err) < 0)
        return -1;
    return key_manager_add_consumer(registry->keys, secret_id, &consumer, cancel, err);
}

/* --- sweep --- */

static int withdraw(const struct consumer_registry *registry, const struct entry *entry,
                    const char *name, struct cancel *cancel, struct error *err)
{
    const struct secret_consumer consumer = consumer_of(registry, entry->use, entry->image_id);

    if (key_manager_remove_consumer(registry->keys, entry->secret_id, &consumer, cancel, err) < 0)
        return -1;
    if (unlinkat(registry->dir_fd, name, 0) < 0)
        return error_set_errno(err, errno, "consumers: remove %s", name);
    return 0;
}

static int sweep_entry(const struct consumer_registry *registry, const char *name,
                       struct cancel *cancel, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct entry entry;

    if (!parse_name(name, &entry) || !is_ours(registry, name) ||
        image_service_get(registry->images, entry.image_id, cancel, &record, err) == 0)
        return 0;
    return err->kind == ERROR_NOT_FOUND ? withdraw(registry, &entry, name, cancel, err) : -1;
}

/* While a service is out, the next entry would only wait as long again. */
static bool is_outage(const struct error *err)
{
    return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT ||
           err->kind == ERROR_CANCELLED || err->kind == ERROR_LOGIN;
}

/* A stream of its own over the directory; NULL when there is none. */
static DIR *open_stream(int dir_fd)
{
    CLEANUP(fd_close) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream != NULL)
        (void)steal_fd(&fd);
    return stream;
}

void consumer_registry_sweep(struct consumer_registry *registry, struct cancel *cancel)
{
    CLEANUP(closedir) DIR *directory = open_stream(registry->dir_fd);
    const struct dirent *file;

    while (directory != NULL && (file = readdir(directory)) != NULL) {
        struct error err = ERROR_INIT;

        if (sweep_entry(registry, file->d_name, cancel, &err) == 0)
            continue;
        log_debug("consumers: %s: %s", file->d_name, err.message);
        if (is_outage(&err))
            break;
    }
}
