/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the cache, as people and status see it, and removing it. All is read from the disk each
 * time: another process may have changed it. */
#include "cache/cache_inventory.h"

#include "base/log.h"
#include "cache/cache_directory.h"
#include "cache/object_store.h"
#include "cache/space_policy.h"
#include "cache/wall_clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define ID_LENGTH (UUID_TEXT_BYTES - 1)

static bool is_of_image(const char *name, const char *id)
{
    return strncmp(name, id, ID_LENGTH) == 0 && (name[ID_LENGTH] == '\0' || name[ID_LENGTH] == '.');
}

/* --- listing --- */

static enum cached_object_state state_of(enum cache_place place)
{
    switch (place) {
    case CACHE_PLACE_OBJECTS:
        return CACHED_OBJECT_READY;
    case CACHE_PLACE_PARTIAL:
        return CACHED_OBJECT_PARTIAL;
    case CACHE_PLACE_QUARANTINE:
    case CACHE_PLACE_TRASH:
    case CACHE_PLACE_COUNT:
        break;
    }
    return CACHED_OBJECT_QUARANTINED;
}

static void add_metadata(const struct object_metadata *metadata, struct cached_object *ret)
{
    ret->total_bytes = metadata->size;
    ret->fetched_at = metadata->fetched_at;
    memcpy(ret->key_id, metadata->key_id, sizeof ret->key_id);
    memcpy(ret->hash_algo, metadata->hash_algo, sizeof ret->hash_algo);
    memcpy(ret->hash_value, metadata->hash_value, sizeof ret->hash_value);
}

/* Metadata that cannot be read leave what they would tell unknown. */
static void describe(struct ciphertext_cache *cache, const struct stored_object *stored,
                     struct cached_object *ret)
{
    struct object_metadata metadata;
    struct error ignored = ERROR_INIT;

    *ret = (struct cached_object){
        .state = state_of(stored->place),
        .in_use = object_store_is_in_use(cache->layout, stored->place, stored->name),
        .data_bytes = stored->data_bytes,
        .total_bytes = OBJECT_SIZE_UNKNOWN,
        .disk_bytes = stored->disk_bytes,
        .last_used = wall_clock_seconds(stored->last_used_ns),
    };
    memcpy(ret->name, stored->name, sizeof ret->name);
    memcpy(ret->image_id, stored->name, ID_LENGTH);
    if (object_store_read_metadata(cache->layout, stored->place, stored->name, &metadata,
                                   &ignored) == 0)
        add_metadata(&metadata, ret);
}

bool cached_object_is_of(const struct cached_object *object, const struct image_record *record)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    uint64_t size;

    cache_object_name(record, name);
    return strcmp(object->name, name) == 0 &&
           (!image_record_size(record, &size) || size == object->total_bytes);
}

static int compare(const void *a, const void *b)
{
    const struct cached_object *first = a;
    const struct cached_object *second = b;
    const int order = strcmp(first->name, second->name);

    return order != 0 ? order : (int)first->state - (int)second->state;
}

void cached_object_list_free(struct cached_object_list *list)
{
    free(list);
}

static int list(struct ciphertext_cache *cache, bool only_downloads,
                struct cached_object_list **ret, struct error *err)
{
    CLEANUP(stored_object_list_free) struct stored_object_list *stored = NULL;
    CLEANUP(fd_close) int lock = -1;
    struct cached_object_list *objects;

    if (cache_layout_lock_to_look(cache->layout, NULL, &lock, err) < 0 ||
        object_store_list(cache->layout, NULL, NULL, &stored, err) < 0)
        return -1;
    objects = calloc(1, sizeof *objects + stored->count * sizeof objects->objects[0]);
    if (objects == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (size_t i = 0; i < stored->count; i++)
        if (!only_downloads || stored->objects[i].place == CACHE_PLACE_PARTIAL)
            describe(cache, &stored->objects[i], &objects->objects[objects->count++]);
    qsort(objects->objects, objects->count, sizeof objects->objects[0], compare);
    *ret = objects;
    return 0;
}

int ciphertext_cache_list(struct ciphertext_cache *cache, struct cached_object_list **ret,
                          struct error *err)
{
    return list(cache, false, ret, err);
}

int ciphertext_cache_list_downloads(struct ciphertext_cache *cache, struct cached_object_list **ret,
                                    struct error *err)
{
    return list(cache, true, ret, err);
}

/* --- sums --- */

static void add_up(const struct stored_object *object, struct ciphertext_cache_usage *usage)
{
    switch (state_of(object->place)) {
    case CACHED_OBJECT_READY:
        usage->objects++;
        usage->stored_bytes += object->data_bytes;
        break;
    case CACHED_OBJECT_PARTIAL:
        usage->partial_objects++;
        usage->partial_bytes += object->data_bytes;
        if (object->disk_bytes > object->data_bytes)
            usage->reserved_bytes += object->disk_bytes - object->data_bytes;
        break;
    case CACHED_OBJECT_QUARANTINED:
        usage->quarantined_objects++;
        usage->quarantined_bytes += object->data_bytes;
        break;
    }
}

static void add_limits(const struct cache_space *space, struct ciphertext_cache_usage *usage)
{
    const struct cache_limits *limits = &space->limits;
    const bool is_limited = limits->max_size.bytes != 0 || limits->max_size.percent != 0;

    usage->max_size_bytes =
        is_limited ? space_policy_limit_bytes(&limits->max_size, usage->filesystem_bytes)
                   : UINT64_MAX;
    usage->min_free_bytes = space_policy_limit_bytes(&limits->min_free, usage->filesystem_bytes);
}

int ciphertext_cache_usage(struct ciphertext_cache *cache, struct ciphertext_cache_usage *ret,
                           struct error *err)
{
    CLEANUP(stored_object_list_free) struct stored_object_list *stored = NULL;
    CLEANUP(fd_close) int lock = -1;
    struct space_state state;

    if (cache_layout_lock_to_look(cache->layout, NULL, &lock, err) < 0 ||
        object_store_list(cache->layout, NULL, NULL, &stored, err) < 0 ||
        cache_space_look(cache->layout, &state, err) < 0)
        return -1;
    *ret = (struct ciphertext_cache_usage){
        .staged_bytes = state.staged_bytes,
        .trash_bytes = state.trash_bytes,
        .used_bytes = space_policy_sum(stored) + state.staged_bytes + state.trash_bytes,
        .filesystem_bytes = state.filesystem_bytes,
        .free_bytes = state.free_bytes,
        .evictions = atomic_load(&cache->space.evictions),
        .evicted_bytes = atomic_load(&cache->space.evicted_bytes),
        .unknown_entries = stored->unknown,
    };
    add_limits(&cache->space, ret);
    for (size_t i = 0; i < stored->count; i++)
        add_up(&stored->objects[i], ret);
    return 0;
}

int ciphertext_cache_space(struct ciphertext_cache *cache, uint64_t *ret_total_bytes,
                           uint64_t *ret_free_bytes, struct error *err)
{
    struct statvfs space;

    if (fstatvfs(cache->layout->root_fd, &space) < 0)
        return error_set_errno(err, errno, "cache");
    *ret_total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    *ret_free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return 0;
}

/* --- one image --- */

/* True when the place holds something of image `id` that is not called `name` (NULL: anything). */
static bool holds_other(int place_fd, const char *id, const char *name)
{
    CLEANUP(closedir) DIR *directory = cache_directory_stream(place_fd);
    const struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (is_of_image(entry->d_name, id) && (name == NULL || strcmp(entry->d_name, name) != 0))
            return true;
    return false;
}

static bool holds_other_of(const struct ciphertext_cache *cache, const char *id, const char *name)
{
    return holds_other(cache->layout->place_fds[CACHE_PLACE_OBJECTS], id, name) ||
           holds_other(cache->layout->place_fds[CACHE_PLACE_PARTIAL], id, name);
}

bool ciphertext_cache_has_image(struct ciphertext_cache *cache, const char *id)
{
    return holds_other_of(cache, id, NULL);
}

/* --- removing --- */

/* What is to go; NULL and false stand for everything. */
struct selection {
    const char *id;     /* of this image */
    const char *keep;   /* but not the object of this name */
    bool only_unserved; /* not what is complete */
};

static bool is_selected(const struct selection *selection, const struct stored_object *object)
{
    return (selection->id == NULL || is_of_image(object->name, selection->id)) &&
           (selection->keep == NULL || strcmp(object->name, selection->keep) != 0) &&
           (!selection->only_unserved || object->place != CACHE_PLACE_OBJECTS);
}

/* What came of a removal. */
struct outcome {
    struct ciphertext_cache_removal removed;
    uint64_t busy; /* objects that somebody uses */
};

static int discard(struct ciphertext_cache *cache, const struct stored_object *object,
                   struct outcome *outcome, struct error *err)
{
    struct error why = ERROR_INIT;

    if (object_store_discard(cache->layout, object->place, object->name, &why) == 0) {
        outcome->removed.objects++;
        outcome->removed.bytes += object->disk_bytes;
    } else if (why.kind == ERROR_BUSY) {
        outcome->busy++;
    } else if (why.kind != ERROR_NOT_FOUND) {
        *err = why;
        return -1;
    }
    return 0;
}

/* Under CACHE/lock; what has gone is removed from the trash by the caller, without it. */
static int discard_selected(struct ciphertext_cache *cache, const struct selection *selection,
                            struct cancel *cancel, struct outcome *outcome, struct error *err)
{
    CLEANUP(stored_object_list_free) struct stored_object_list *stored = NULL;
    CLEANUP(fd_close) int lock = -1;

    if (cache_layout_lock(cache->layout, cancel, &lock, err) < 0 ||
        object_store_list(cache->layout, NULL, NULL, &stored, err) < 0)
        return -1;
    for (size_t i = 0; i < stored->count; i++)
        if (is_selected(selection, &stored->objects[i]) &&
            discard(cache, &stored->objects[i], outcome, err) < 0)
            return -1;
    return 0;
}

static int remove_selected(struct ciphertext_cache *cache, const struct selection *selection,
                           struct cancel *cancel, struct outcome *outcome, struct error *err)
{
    int result;

    if (cache_context_may_change(cache, err) < 0)
        return -1;
    result = discard_selected(cache, selection, cancel, outcome, err);
    object_store_empty_trash(cache->layout);
    return result;
}

static void add_removal(const struct outcome *outcome, struct ciphertext_cache_removal *removed)
{
    removed->objects += outcome->removed.objects;
    removed->bytes += outcome->removed.bytes;
}

void cache_inventory_remove_superseded(struct ciphertext_cache *cache, const char *id,
                                       const char *name, struct cancel *cancel)
{
    const struct selection selection = {.id = id, .keep = name};
    struct outcome outcome = {0};
    struct error err = ERROR_INIT;

    if (holds_other_of(cache, id, name) &&
        remove_selected(cache, &selection, cancel, &outcome, &err) < 0)
        log_debug("cache: what was kept of image %s stays: %s", id, err.message);
}

void cache_inventory_remove_download(struct ciphertext_cache *cache, const char *name)
{
    CLEANUP(fd_close) int lock = -1;
    struct error err = ERROR_INIT;

    if (cache_layout_lock(cache->layout, NULL, &lock, &err) < 0 ||
        object_store_discard(cache->layout, CACHE_PLACE_PARTIAL, name, &err) < 0)
        log_debug("cache: partial/%s stays: %s", name, err.message);
    fd_close_cleanup(&lock);
    lock = -1;
    object_store_empty_trash(cache->layout);
}

int ciphertext_cache_evict(struct ciphertext_cache *cache, const char *id,
                           struct ciphertext_cache_removal *removed, struct error *err)
{
    const struct selection selection = {.id = id};
    struct outcome outcome = {0};
    const int result = remove_selected(cache, &selection, NULL, &outcome, err);

    add_removal(&outcome, removed);
    if (result < 0)
        return -1;
    if (outcome.busy > 0)
        return error_set(err, ERROR_BUSY, "image %s is in use", id);
    if (outcome.removed.objects == 0)
        return error_set(err, ERROR_NOT_FOUND, "image %s is not in the cache", id);
    return 0;
}

int ciphertext_cache_prune(struct ciphertext_cache *cache, struct cancel *cancel,
                           struct ciphertext_cache_removal *removed, struct error *err)
{
    const struct selection selection = {.only_unserved = true};
    struct cache_space_result enforced = {0};
    struct outcome outcome = {0};
    int result = remove_selected(cache, &selection, cancel, &outcome, err);

    if (result == 0)
        result = cache_space_enforce(&cache->space, cache_context_now(), cancel, &enforced, err);
    add_removal(&outcome, removed);
    removed->objects += enforced.objects;
    removed->bytes += enforced.bytes;
    return result;
}
