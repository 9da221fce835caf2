/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_pass.h"

#include "base/clock.h"
#include "base/file_source.h"
#include "base/log.h"
#include "base/monitor.h"
#include "cache/cache_inventory.h"
#include "cache/cached_source.h"
#include "cache/object_directory.h"
#include "cache/object_fetch.h"
#include "cache/object_verifier.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Others may complete an object and remove it, again and again; not for ever. */
#define ATTEMPTS 50
#define PAUSE_NS (20 * NANOSECONDS_PER_MILLISECOND)

void cache_finding_clear(struct cache_finding *finding)
{
    cache_object_unref(steal(&finding->object));
    byte_source_free(steal(&finding->file));
}

/* --- damage --- */

void cache_pass_quarantine(struct ciphertext_cache *cache, const char *name, uint64_t inode)
{
    struct error err = ERROR_INIT;

    if (object_store_quarantine(cache->layout, name, inode, NULL, &err) < 0)
        log_debug("cache: %s: not set aside: %s", name, err.message);
}

void cache_pass_quarantine_damaged(struct ciphertext_cache *cache, const char *name)
{
    struct error err = ERROR_INIT;

    if (object_store_quarantine_damaged(cache->layout, name, NULL, &err) < 0)
        log_debug("cache: %s: not set aside: %s", name, err.message);
}

/* A reader met a block that changed: the next open fetches the object. */
static void set_damaged_aside(void *context, struct cache_object *object, uint64_t inode)
{
    struct ciphertext_cache *cache = context;

    slot_table_forget(&cache->slots, object);
    cache_pass_quarantine(cache, object->name, inode);
}

/* An open may last for weeks; the last use is its end. */
static void note_use(void *context, const struct cache_object *object)
{
    const struct ciphertext_cache *cache = context;

    object_store_touch(cache->layout, object->name, cache_context_now());
}

int cache_pass_open_reader(struct ciphertext_cache *cache, struct cache_finding *finding,
                           struct byte_source **ret, struct error *err)
{
    const struct reader_listener listener = {.damaged = set_damaged_aside,
                                             .closed = note_use,
                                             .context = cache,
                                             .inode = finding->inode};

    return cached_source_new(finding->object, steal(&finding->file), cache->blocks, listener, ret,
                             err);
}

/* --- files --- */

/* Makes the finding's file of `*fd`, which it takes over on success. */
static int take_file(int *fd, struct cache_finding *ret, struct error *err)
{
    struct stat status;

    if (fstat(*fd, &status) < 0)
        return error_set_errno(err, errno, "cache");
    if (file_source_from_fd(*fd, &ret->file, err) < 0)
        return -1;
    (void)steal_fd(fd);
    ret->inode = status.st_ino;
    return 0;
}

static int open_object(struct ciphertext_cache *cache, const struct image_record *record,
                       int *ret_fd, struct error *err)
{
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(record, name);
    if (object_store_open(cache->layout, name, cache_context_now(), ret_fd, NULL, err) == 0)
        return 0;
    if (err->kind == ERROR_CORRUPT) {
        cache_pass_quarantine_damaged(cache, name);
        err->kind = ERROR_NOT_FOUND;
    }
    return -1;
}

int cache_pass_open_file(struct ciphertext_cache *cache, const struct image_record *record,
                         struct cache_finding *ret, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    return open_object(cache, record, &fd, err) < 0 ? -1 : take_file(&fd, ret, err);
}

/* --- the pass over what is on disk --- */

int cache_pass_copy(struct byte_source *source, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(CACHE_BLOCK_BYTES);
    uint64_t offset = 0;
    size_t got;

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    do {
        if (byte_source_pread(source, buffer, CACHE_BLOCK_BYTES, offset, cancel, &got, err) < 0)
            return object_directory_blame_disk(err);
        if (byte_sink_write(sink, buffer, got, cancel, err) < 0)
            return -1;
        offset += got;
    } while (got > 0);
    return byte_sink_commit(sink, cancel, err);
}

/* The finding's object, of which all was right. */
static int make_object(const struct cache_pass *pass, uint64_t size, struct gmac_table **tags,
                       struct cache_finding *finding, struct error *err)
{
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(pass->record, name);
    if (cache_object_new(name, size, *tags, &finding->object, err) < 0)
        return -1;
    (void)steal(tags);
    return 0;
}

static int verify_file(const struct cache_pass *pass, struct cancel *cancel,
                       struct cache_finding *finding, struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    CLEANUP(gmac_table_free) struct gmac_table *tags = NULL;
    struct object_metadata expected;
    const struct object_verifier_parts parts = {.expected = &expected,
                                                .require_hash = pass->cache->require_hash,
                                                .arena = pass->cache->arena,
                                                .observer = pass->observer,
                                                .feed = pass->feed,
                                                .progress = pass->progress};
    char name[CACHE_OBJECT_NAME_BYTES];

    object_metadata_of(pass->record, &expected);
    cache_object_name(pass->record, name);
    if (object_verifier_new(&parts, &verifier, err) < 0)
        return -1;
    if (cache_pass_copy(finding->file, object_verifier_sink(verifier), cancel, err) < 0) {
        if (object_verifier_verdict(verifier) == OBJECT_MISMATCH ||
            object_directory_is_unreadable(err))
            cache_pass_quarantine(pass->cache, name, finding->inode);
        return -1;
    }
    tags = object_verifier_take_tags(verifier);
    return make_object(pass, byte_source_size(finding->file), &tags, finding, err);
}

/* The followers get a duplicate, which shares the reader's lock. */
static int verify_from_disk(const struct cache_pass *pass, int *fd, struct cancel *cancel,
                            struct cache_finding *finding, struct error *err)
{
    CLEANUP(fd_close) int followed = -1;
    struct byte_source *file = NULL;

    if (pass->feed != NULL) {
        followed = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
        if (followed < 0)
            return error_set_errno(err, errno, "cache");
        if (file_source_from_fd(followed, &file, err) < 0)
            return -1;
        (void)steal_fd(&followed);
        object_feed_set_file(pass->feed, file);
    }
    return take_file(fd, finding, err) < 0 ? -1 : verify_file(pass, cancel, finding, err);
}

/* --- the fetch --- */

static int fetch(const struct cache_pass *pass, struct cancel *cancel,
                 struct cache_finding *finding, struct error *err)
{
    struct ciphertext_cache *cache = pass->cache;
    const struct object_fetch request = {.layout = cache->layout,
                                         .space = &cache->space,
                                         .images = cache->images,
                                         .queue = &cache->downloads,
                                         .arena = pass->only_fetches ? NULL : cache->arena,
                                         .require_hash = cache->require_hash,
                                         .record = pass->record,
                                         .observer = pass->observer,
                                         .feed = pass->feed,
                                         .progress = pass->progress};
    CLEANUP(gmac_table_free) struct gmac_table *tags = NULL;
    CLEANUP(fd_close) int fd = -1;
    struct fetched_object fetched = {.data_fd = -1};
    char name[CACHE_OBJECT_NAME_BYTES];

    if (cache->images == NULL)
        return error_set(err, ERROR_UNAVAILABLE, "no image service to fetch the image from");
    cache_object_name(pass->record, name);
    cache_inventory_remove_superseded(cache, image_record_id(pass->record), name, cancel);
    if (object_fetch_run(&request, cancel, &fetched, err) < 0)
        return -1;
    fd = fetched.data_fd;
    tags = fetched.tags;
    if (pass->only_fetches)
        return 0;
    return take_file(&fd, finding, err) < 0 ? -1
                                            : make_object(pass, fetched.size, &tags, finding, err);
}

/* What another process is doing to the object takes it a moment. */
static int pause_between(struct cancel *cancel, struct error *err)
{
    const uint64_t deadline_ns = clock_monotonic_ns() + PAUSE_NS;
    struct monitor_waiter waiter;
    struct monitor monitor;

    monitor_init(&monitor);
    monitor_enter(&monitor, cancel, &waiter);
    while (!cancel_is_requested(cancel) && clock_monotonic_ns() < deadline_ns)
        monitor_wait_until(&monitor, deadline_ns);
    monitor_leave(&monitor, cancel, &waiter);
    monitor_destroy(&monitor);
    return cancel_check(cancel, err);
}

int cache_pass_run(const struct cache_pass *pass, struct cancel *cancel, struct cache_finding *ret,
                   bool *ret_was_there, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    for (unsigned attempt = 1;; attempt++) {
        *ret_was_there = open_object(pass->cache, pass->record, &fd, err) == 0;
        if (*ret_was_there)
            return pass->only_fetches ? 0 : verify_from_disk(pass, &fd, cancel, ret, err);
        if (err->kind != ERROR_NOT_FOUND)
            return -1;
        *err = (struct error)ERROR_INIT;
        if (fetch(pass, cancel, ret, err) == 0)
            return 0;
        /* Somebody else completed it just now. */
        if (err->kind != ERROR_EXISTS || attempt == ATTEMPTS)
            return -1;
        *err = (struct error)ERROR_INIT;
        if (pause_between(cancel, err) < 0)
            return -1;
    }
}

/* --- the end of a turn --- */

static void remove_download(struct ciphertext_cache *cache, const struct image_record *record)
{
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(record, name);
    cache_inventory_remove_download(cache, name);
}

void cache_pass_release(struct ciphertext_cache *cache, struct slot *slot,
                        const struct image_record *record, struct cache_object *object)
{
    if (object == NULL && slot_table_is_refused(&cache->slots, slot))
        remove_download(cache, record);
    slot_table_release(&cache->slots, slot, object);
}

void ciphertext_cache_refuse(struct ciphertext_cache *cache, const struct image_record *record)
{
    if (!slot_table_refuse(&cache->slots, image_record_id(record)))
        remove_download(cache, record);
}
