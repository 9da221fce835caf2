/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/consumer_registry.h"

#include "base/clock.h"
#include "base/file_sink.h"
#include "base/file_source.h"
#include "base/log.h"
#include "base/uuid.h"
#include "cache/cache_directory.h"
#include "cache/file_lock.h"
#include "glancefs/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONSUMERS "consumers"

#define SEPARATOR '_'
/* "<use>_<image-id>_<secret-id>", with the NUL. */
#define NAME_BYTES 96

/* The lock on the entries is held for a few disk accesses. Nobody writes one without it. */
#define LOCK_WAIT_NS (5 * NANOSECONDS_PER_SECOND)

/* Hosts that one entry can name. */
#define ENTRY_BYTES (16 * KIB)

/*
 * An entry begins with the text that says whose it is. In that of CONSUMER_IMAGE_CACHE the
 * resource_type of each host follows that registered itself: a host's name may change, and hosts may
 * share a cache directory.
 *
 * The entry's modification time is that of the last consumer_registry_add. A sweep that withdrew its
 * consumers removes it only if that did not change meanwhile, else it registers them again; both
 * look and change under a lock on the directory, which is never held while a service is asked. So
 * whoever adds while a sweep withdraws ends up registered, and with an entry.
 */
struct consumer_registry {
    struct image_service *images;
    struct key_manager *keys;
    bool (*is_cached)(void *context, const char *image_id); /* may be NULL */
    void *is_cached_context;
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

/*
 * Excludes other threads and processes for a moment, and removes what a killed one left half
 * written. Close *ret_fd to give the lock back.
 */
static int lock_entries(const struct consumer_registry *registry, uint64_t wait_ns,
                        struct cancel *cancel, int *ret_fd, struct error *err)
{
    CLEANUP(fd_close) int fd = openat(registry->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, errno, "consumers");
    if (file_lock_take(fd, LOCK_EX, wait_ns, CONSUMERS, cancel, err) < 0)
        return -1;
    file_sink_remove_leftovers(fd);
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* Whoever has the lock just now has tidied himself. */
static void tidy(const struct consumer_registry *registry)
{
    CLEANUP(fd_close) int lock = -1;
    struct error ignored = ERROR_INIT;

    (void)lock_entries(registry, 0, NULL, &lock, &ignored);
}

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
    registry->is_cached = parts->is_cached;
    registry->is_cached_context = parts->is_cached_context;
    registry->dir_fd = -1;
    if (name_ourselves(registry, parts, err) < 0 ||
        cache_directory_open_subdirectory(parts->cache_path, CONSUMERS, &registry->dir_fd, err) < 0)
        return -1;
    tidy(registry);
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

/* With `cache_type` as resource_type when the use is that of a cache. */
static struct secret_consumer consumer_of(enum consumer_use use, const char *cache_type,
                                          const char *image_id)
{
    if (use == CONSUMER_IMAGE)
        return (struct secret_consumer){"image", "image", image_id};
    return (struct secret_consumer){"compute", cache_type, image_id};
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

/* What follows the owner in the entry; NULL when there is none of ours. The caller frees. */
static char *read_entry(const struct consumer_registry *registry, const char *name)
{
    CLEANUP(memory_free) char *text = NULL;
    const size_t owner_size = strlen(registry->owner);
    struct error ignored = ERROR_INIT;
    size_t size;

    if (file_read_all(registry->dir_fd, name, ENTRY_BYTES, &text, &size, &ignored) < 0 ||
        strncmp(text, registry->owner, owner_size) != 0)
        return NULL;
    return strdup(text + owner_size);
}

static bool names_type(const char *types, const char *type)
{
    const size_t length = strlen(type);

    while (*types != '\0') {
        if (strncmp(types, type, length) == 0 && types[length] == '\n')
            return true;
        types = strchrnul(types, '\n');
        types += *types == '\n';
    }
    return false;
}

static int write_entry(const struct consumer_registry *registry, const char *name,
                       const char *types, const char *more, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;

    if (asprintf(&text, "%s%s%s%s", registry->owner, types == NULL ? "" : types, more,
                 *more == '\0' ? "" : "\n") < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (file_publish(registry->dir_fd, name, 0600, text, strlen(text), err) < 0)
        return error_prefix(err, "consumers");
    return 0;
}

static int remember(const struct consumer_registry *registry, enum consumer_use use,
                    const char *name, struct cancel *cancel, struct error *err)
{
    const char *type = use == CONSUMER_IMAGE ? "" : registry->cache_type;
    CLEANUP(memory_free) char *types = NULL;
    CLEANUP(fd_close) int lock = -1;

    if (lock_entries(registry, LOCK_WAIT_NS, cancel, &lock, err) < 0)
        return -1;
    types = read_entry(registry, name);
    if (types == NULL || (use == CONSUMER_IMAGE_CACHE && !names_type(types, type)))
        return write_entry(registry, name, types, type, err);
    if (utimensat(registry->dir_fd, name, NULL, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set_errno(err, errno, "consumers: %s", name);
    return 0;
}

int consumer_registry_add(struct consumer_registry *registry, enum consumer_use use,
                          const char *image_id, const char *secret_id, struct cancel *cancel,
                          struct error *err)
{
    const struct secret_consumer consumer = consumer_of(use, registry->cache_type, image_id);
    char name[NAME_BYTES];

    if (!uuid_is_valid(image_id) || !uuid_is_valid(secret_id))
        return error_set(err, ERROR_INVALID, "a consumer's image and secret have UUIDs");
    entry_name(use, image_id, secret_id, name);
    if (remember(registry, use, name, cancel, err) < 0)
        return -1;
    return key_manager_add_consumer(registry->keys, secret_id, &consumer, cancel, err);
}

/* --- sweep --- */

static int tell(const struct consumer_registry *registry, const struct entry *entry,
                const char *cache_type, bool registers, struct cancel *cancel, struct error *err)
{
    const struct secret_consumer consumer = consumer_of(entry->use, cache_type, entry->image_id);

    return registers
               ? key_manager_add_consumer(registry->keys, entry->secret_id, &consumer, cancel, err)
               : key_manager_remove_consumer(registry->keys, entry->secret_id, &consumer, cancel,
                                             err);
}

/* Registers or withdraws those of all hosts in `types`. An older entry names none: it was ours. */
static int tell_all(const struct consumer_registry *registry, const struct entry *entry,
                    const char *types, bool registers, struct cancel *cancel, struct error *err)
{
    if (types[strspn(types, "\n")] == '\0')
        return tell(registry, entry, registry->cache_type, registers, cancel, err);
    while (*types != '\0') {
        const size_t length = strcspn(types, "\n");
        CLEANUP(memory_free) char *type = strndup(types, length);

        if (type == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        if (length > 0 && tell(registry, entry, type, registers, cancel, err) < 0)
            return -1;
        types += length;
        types += *types == '\n';
    }
    return 0;
}

/* Not one that is young: its image may not have reached the cache yet. */
static bool has_left_cache(const struct consumer_registry *registry, const struct entry *entry,
                           const struct stat *status)
{
    return entry->use == CONSUMER_IMAGE_CACHE && registry->is_cached != NULL &&
           time(NULL) - status->st_mtime > CONSUMER_GRACE_SECONDS &&
           !registry->is_cached(registry->is_cached_context, entry->image_id);
}

/* Whether nobody needs the consumers of an entry any more. */
static int judge_entry(const struct consumer_registry *registry, const struct entry *entry,
                       const struct stat *status, struct cancel *cancel, bool *ret_is_over,
                       struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    *ret_is_over = has_left_cache(registry, entry, status);
    if (*ret_is_over ||
        image_service_get(registry->images, entry->image_id, cancel, &record, err) == 0)
        return 0;
    *ret_is_over = err->kind == ERROR_NOT_FOUND;
    return *ret_is_over ? 0 : -1;
}

/* Removes an entry that still is as it was when its consumers were withdrawn. */
static int remove_entry(const struct consumer_registry *registry, const char *name,
                        const struct stat *seen, bool *ret_removed, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;
    struct stat status;

    if (lock_entries(registry, LOCK_WAIT_NS, NULL, &lock, err) < 0)
        return -1;
    *ret_removed = fstatat(registry->dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
                   (status.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
                    status.st_mtim.tv_nsec == seen->st_mtim.tv_nsec);
    if (*ret_removed && unlinkat(registry->dir_fd, name, 0) < 0 && errno != ENOENT)
        return error_set_errno(err, errno, "consumers: remove %s", name);
    return 0;
}

static int sweep_entry(const struct consumer_registry *registry, const char *name,
                       struct cancel *cancel, struct error *err)
{
    CLEANUP(memory_free) char *types = NULL;
    struct entry entry;
    struct stat seen;
    bool is_over, was_removed;

    if (!parse_name(name, &entry) ||
        fstatat(registry->dir_fd, name, &seen, AT_SYMLINK_NOFOLLOW) < 0 ||
        (types = read_entry(registry, name)) == NULL)
        return 0;
    if (judge_entry(registry, &entry, &seen, cancel, &is_over, err) < 0)
        return -1;
    if (!is_over)
        return 0;
    if (tell_all(registry, &entry, types, false, cancel, err) < 0 ||
        remove_entry(registry, name, &seen, &was_removed, err) < 0)
        return -1;
    return was_removed ? 0 : tell_all(registry, &entry, types, true, cancel, err);
}

/* While a service is out, the next entry would only wait as long again. */
static bool ends_sweep(const struct error *err)
{
    return err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT ||
           err->kind == ERROR_CANCELLED || err->kind == ERROR_LOGIN;
}

void consumer_registry_sweep(struct consumer_registry *registry, struct cancel *cancel)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(registry->dir_fd);
    const struct dirent *file;

    while (directory != NULL && (file = readdir(directory)) != NULL) {
        struct error err = ERROR_INIT;

        if (sweep_entry(registry, file->d_name, cancel, &err) == 0)
            continue;
        log_debug("consumers: %s: %s", file->d_name, err.message);
        if (ends_sweep(&err))
            break;
    }
}
