/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/ciphertext_cache.h"

#include "base/file_sink.h"
#include "base/file_source.h"
#include "base/monitor.h"
#include "base/uuid.h"
#include "cache/cache_directory.h"
#include "cache/cache_object.h"
#include "cache/cached_source.h"
#include "cache/object_verifier.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* What the cache knows of one image: that somebody uses it, or its verified object, or both. */
struct slot {
    char id[UUID_TEXT_BYTES];
    bool busy;                   /* one caller fetches or verifies; the others wait */
    unsigned users;              /* callers inside ciphertext_cache_open */
    struct cache_object *object; /* verified by this process, or NULL */
    struct slot *next;
};

struct ciphertext_cache {
    struct image_service *images;
    struct secure_arena *arena;
    bool require_hash;
    int fd;                 /* the objects directory */
    struct monitor monitor; /* guards the slots; memory only, never held over I/O */
    struct slot *slots;
};

/* --- slots --- */

/* The link that points to the slot of image `id`, or to the end. Locked. */
static struct slot **find_slot(struct ciphertext_cache *cache, const char *id)
{
    struct slot **link = &cache->slots;

    while (*link != NULL && strcmp((*link)->id, id) != 0)
        link = &(*link)->next;
    return link;
}

/* The slot of image `id`, made when absent and first in the list from now on; NULL when out of
 * memory. Locked. */
static struct slot *use_slot(struct ciphertext_cache *cache, const char *id)
{
    struct slot **link = find_slot(cache, id);
    struct slot *slot = *link;

    if (slot != NULL) {
        *link = slot->next;
    } else {
        slot = calloc(1, sizeof *slot);
        if (slot == NULL)
            return NULL;
        memcpy(slot->id, id, sizeof slot->id);
    }
    slot->next = cache->slots;
    cache->slots = slot;
    slot->users++;
    return slot;
}

/* Frees the slot when nothing is left in it. Locked. */
static void unuse_slot(struct ciphertext_cache *cache, struct slot *slot)
{
    struct slot **link;

    if (--slot->users > 0 || slot->object != NULL)
        return;
    link = find_slot(cache, slot->id);
    *link = slot->next;
    free(slot);
}

/* Forgets the least recently used object when there are too many. Its readers go on. Locked. */
static void forget_oldest(struct ciphertext_cache *cache)
{
    struct slot *oldest = NULL;
    size_t objects = 0;

    for (struct slot *slot = cache->slots; slot != NULL; slot = slot->next) {
        objects += slot->object != NULL;
        if (slot->object != NULL && slot->users == 0)
            oldest = slot;
    }
    if (objects <= CACHE_REMEMBERED_OBJECTS || oldest == NULL)
        return;
    cache_object_unref(steal(&oldest->object));
    oldest->users++;
    unuse_slot(cache, oldest);
}

/* Waits for the turn of one caller. Gives the slot, busy with it, or NULL. */
static struct slot *acquire_slot(struct ciphertext_cache *cache, const char *id,
                                 struct cancel *cancel, struct error *err)
{
    struct monitor_waiter waiter;
    struct slot *slot;
    bool cancelled;

    monitor_enter(&cache->monitor, cancel, &waiter);
    slot = use_slot(cache, id);
    while (slot != NULL && slot->busy && !cancel_is_requested(cancel))
        monitor_wait(&cache->monitor);
    cancelled = cancel_is_requested(cancel);
    if (slot != NULL && cancelled)
        unuse_slot(cache, slot);
    else if (slot != NULL)
        slot->busy = true;
    monitor_leave(&cache->monitor, cancel, &waiter);
    if (slot == NULL)
        (void)error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (slot == NULL || !cancelled)
        return slot;
    (void)cancel_check(cancel, err);
    return NULL;
}

/* Ends the turn. A newly obtained `object` (NULL when it failed) replaces what the slot held. */
static void release_slot(struct ciphertext_cache *cache, struct slot *slot,
                         struct cache_object *object)
{
    struct cache_object *old = NULL;

    monitor_lock(&cache->monitor);
    if (object != NULL) {
        old = slot->object;
        slot->object = cache_object_ref(object);
    }
    slot->busy = false;
    unuse_slot(cache, slot);
    forget_oldest(cache);
    monitor_changed(&cache->monitor);
    monitor_unlock(&cache->monitor);
    cache_object_unref(old);
}

/* A reader met a block that changed: forget the object, so that the next open fetches it. */
static void drop_damaged(void *context, struct cache_object *object)
{
    struct ciphertext_cache *cache = context;
    struct slot *slot;
    bool ours = false;

    monitor_lock(&cache->monitor);
    for (slot = cache->slots; slot != NULL && slot->object != object;)
        slot = slot->next;
    if (slot != NULL) {
        ours = true;
        slot->users++;
        slot->object = NULL;
        unuse_slot(cache, slot);
    }
    monitor_unlock(&cache->monitor);
    if (!ours)
        return;
    (void)unlinkat(cache->fd, object->name, 0);
    cache_object_unref(object);
}

/* --- the pass over the bytes --- */

/* Reads `source` to its end into `sink`, then commits it. */
static int pass(struct byte_source *source, struct byte_sink *sink, struct cancel *cancel,
                struct error *err)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(CACHE_BLOCK_BYTES);
    uint64_t offset = 0;
    size_t got;

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    do {
        if (byte_source_pread(source, buffer, CACHE_BLOCK_BYTES, offset, cancel, &got, err) < 0 ||
            byte_sink_write(sink, buffer, got, cancel, err) < 0)
            return -1;
        offset += got;
    } while (got > 0);
    return byte_sink_commit(sink, cancel, err);
}

/* The object's file as it lies on disk; ERROR_NOT_FOUND when there is none of the right size. */
static int open_file(struct ciphertext_cache *cache, const struct image_record *record,
                     struct byte_source **ret, struct error *err)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    uint64_t size;

    cache_object_name(record, name);
    if (file_source_open(cache->fd, name, ret, err) < 0)
        return -1;
    if (!image_record_size(record, &size) || size == byte_source_size(*ret))
        return 0;
    byte_source_free(steal(ret));
    return error_set(err, ERROR_NOT_FOUND, "%s: wrong size", name);
}

/* A verified object and its file, as the steps below find them. */
struct finding {
    struct cache_object *object;
    struct byte_source *file;
};

static int make_object(const struct image_record *record, struct object_verifier *verifier,
                       struct finding *finding, struct error *err)
{
    CLEANUP(gmac_table_free) struct gmac_table *tags = object_verifier_take_tags(verifier);
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(record, name);
    if (cache_object_new(name, byte_source_size(finding->file), tags, &finding->object, err) < 0)
        return -1;
    (void)steal(&tags);
    return 0;
}

/* Verifies the file that lies on disk; one that does not match is removed. */
static int verify_from_disk(struct ciphertext_cache *cache, struct image_record *record,
                            struct byte_sink *observer, struct cancel *cancel,
                            struct finding *finding, struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;

    if (object_verifier_new(record, cache->require_hash, cache->arena, NULL, observer, &verifier,
                            err) < 0)
        return -1;
    if (pass(finding->file, object_verifier_sink(verifier), cancel, err) < 0) {
        if (object_verifier_found_mismatch(verifier))
            cache_directory_remove_objects(cache->fd, image_record_id(record));
        return -1;
    }
    return make_object(record, verifier, finding, err);
}

static int fetch(struct ciphertext_cache *cache, struct image_record *record,
                 struct byte_sink *observer, struct cancel *cancel, struct finding *finding,
                 struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    struct byte_sink *file = NULL;
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(record, name);
    cache_directory_remove_objects(cache->fd, image_record_id(record));
    if (file_sink_publish(cache->fd, name, S_IRUSR | S_IWUSR, &file, err) < 0)
        return error_prefix(err, "cache");
    if (object_verifier_new(record, cache->require_hash, cache->arena, file, observer, &verifier,
                            err) < 0)
        return -1;
    if (image_service_download(cache->images, record, 0, object_verifier_sink(verifier), cancel,
                               err) < 0)
        return -1;
    if (byte_sink_commit(object_verifier_sink(verifier), cancel, err) < 0 ||
        open_file(cache, record, &finding->file, err) < 0)
        return -1;
    return make_object(record, verifier, finding, err);
}

/* The object this process verified earlier, if it is that of `name`; a reference is taken. */
static struct cache_object *known_object(struct ciphertext_cache *cache, const struct slot *slot,
                                         const char *name)
{
    struct cache_object *object = NULL;

    monitor_lock(&cache->monitor);
    if (slot->object != NULL && strcmp(slot->object->name, name) == 0)
        object = cache_object_ref(slot->object);
    monitor_unlock(&cache->monitor);
    return object;
}

static int open_reader(struct ciphertext_cache *cache, struct finding *finding,
                       struct byte_source **ret, struct error *err)
{
    const struct damage_listener listener = {drop_damaged, cache};

    return cached_source_new(finding->object, steal(&finding->file), listener, ret, err);
}

/*
 * Finds the object in a busy slot: verified earlier, on disk, or at the image service. When it was
 * verified earlier, the observer reads along what later readers would get.
 */
static int obtain(struct ciphertext_cache *cache, struct slot *slot, struct image_record *record,
                  struct byte_sink *observer, struct cancel *cancel, struct finding *finding,
                  struct byte_source **ret, struct error *err)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    int result;

    cache_object_name(record, name);
    if (open_file(cache, record, &finding->file, err) < 0) {
        result = fetch(cache, record, observer, cancel, finding, err);
    } else {
        finding->object = known_object(cache, slot, name);
        if (finding->object != NULL) {
            if (open_reader(cache, finding, ret, err) < 0)
                return -1;
            return observer == NULL ? 0 : pass(*ret, observer, cancel, err);
        }
        result = verify_from_disk(cache, record, observer, cancel, finding, err);
    }
    return result < 0 ? -1 : open_reader(cache, finding, ret, err);
}

int ciphertext_cache_open(struct ciphertext_cache *cache, struct image_record *record,
                          struct byte_sink *observer, struct cancel *cancel,
                          struct byte_source **ret, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *reader = NULL;
    struct finding finding = {NULL, NULL};
    struct slot *slot = acquire_slot(cache, image_record_id(record), cancel, err);
    int result = -1;

    if (slot != NULL) {
        result = obtain(cache, slot, record, observer, cancel, &finding, &reader, err);
        release_slot(cache, slot, result == 0 ? finding.object : NULL);
    }
    cache_object_unref(finding.object);
    byte_source_free(finding.file);
    if (result == 0)
        *ret = steal(&reader);
    else if (observer != NULL)
        byte_sink_abort(observer);
    return result;
}

/* --- the cache as a whole --- */

int ciphertext_cache_new(const char *path, struct image_service *images, struct secure_arena *arena,
                         bool require_hash, struct ciphertext_cache **ret, struct error *err)
{
    struct ciphertext_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    cache->images = images;
    cache->arena = arena;
    cache->require_hash = require_hash;
    if (cache_directory_open(path, &cache->fd, err) < 0) {
        free(cache);
        return -1;
    }
    monitor_init(&cache->monitor);
    *ret = cache;
    return 0;
}

void ciphertext_cache_free(struct ciphertext_cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->slots != NULL) {
        struct slot *slot = cache->slots;

        cache->slots = slot->next;
        cache_object_unref(slot->object);
        free(slot);
    }
    monitor_destroy(&cache->monitor);
    (void)close(cache->fd);
    free(cache);
}

bool ciphertext_cache_has(struct ciphertext_cache *cache, const struct image_record *record)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    struct stat status;
    uint64_t size;

    cache_object_name(record, name);
    return fstatat(cache->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           (!image_record_size(record, &size) || size == (uint64_t)status.st_size);
}

int ciphertext_cache_usage(struct ciphertext_cache *cache, struct ciphertext_cache_usage *ret,
                           struct error *err)
{
    return cache_directory_usage(cache->fd, ret, err);
}

int ciphertext_cache_space(struct ciphertext_cache *cache, uint64_t *ret_total_bytes,
                           uint64_t *ret_free_bytes, struct error *err)
{
    struct statvfs space;

    if (fstatvfs(cache->fd, &space) < 0)
        return error_set_errno(err, errno, "cache");
    *ret_total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    *ret_free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return 0;
}
