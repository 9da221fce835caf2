/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/ciphertext_cache.h"

#include "cache/cache_context.h"
#include "cache/cache_pass.h"
#include "cache/cached_source.h"
#include "cache/object_metadata.h"
#include "cache/object_store.h"
#include "cache/wall_clock.h"

#include <stdlib.h>

/* As many as streams may be open: a download that hangs must not hold up another. */
#define MAXIMUM_TRANSFERS 1024

/* --- what the parts share --- */

int64_t cache_context_now(void)
{
    return wall_clock_ns();
}

int cache_context_may_change(const struct ciphertext_cache *cache, struct error *err)
{
    if (cache->role != CACHE_OBSERVER)
        return 0;
    return error_set(err, ERROR_READ_ONLY, "the cache was opened only to look at it");
}

int cache_context_may_read(const struct ciphertext_cache *cache, struct error *err)
{
    if (cache->arena == NULL)
        return error_set(err, ERROR_INVALID, "the cache was not opened for reading");
    return cache_context_may_change(cache, err);
}

static bool has_size_of(const struct cache_object *object, const struct image_record *record)
{
    uint64_t size;

    return !image_record_size(record, &size) || size == object->size;
}

struct cache_object *cache_context_known(struct ciphertext_cache *cache,
                                         const struct image_record *record)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    struct cache_object *object;

    cache_object_name(record, name);
    object = slot_table_object(&cache->slots, image_record_id(record), name);
    if (object == NULL || has_size_of(object, record))
        return object;
    cache_object_unref(object);
    return NULL;
}

/* --- opening --- */

int ciphertext_cache_open_known(struct ciphertext_cache *cache, const struct image_record *record,
                                struct byte_source **ret, struct error *err)
{
    CLEANUP(cache_object_unref) struct cache_object *object = cache_context_known(cache, record);
    struct cache_finding finding = {.object = object};

    if (object == NULL || cache_pass_open_file(cache, record, &finding, err) < 0)
        return error_set(err, ERROR_BUSY, "the image has to be verified first");
    return cache_pass_open_reader(cache, &finding, ret, err);
}

/* Opens what was verified before; the observer reads along what later readers get. */
static int show_known(struct ciphertext_cache *cache, const struct image_record *record,
                      struct byte_sink *observer, struct cancel *cancel, struct byte_source **ret,
                      struct error *err)
{
    if (ciphertext_cache_open_known(cache, record, ret, err) < 0)
        return -1;
    return observer == NULL ? 0 : cache_pass_copy(*ret, observer, cancel, err);
}

/* In a busy slot: verified earlier, on disk, or at the image service. */
static int obtain(const struct cache_pass *pass, struct cancel *cancel,
                  struct cache_finding *finding, struct byte_source **ret, struct error *err)
{
    bool ignored;

    if (show_known(pass->cache, pass->record, pass->observer, cancel, ret, err) == 0)
        return 0;
    if (*ret != NULL)
        return -1;
    *err = (struct error)ERROR_INIT;
    if (cache_pass_run(pass, cancel, finding, &ignored, err) < 0)
        return -1;
    return cache_pass_open_reader(pass->cache, finding, ret, err);
}

/* With the turn of the image. */
static int open_in_turn(const struct cache_pass *pass, struct cancel *cancel,
                        struct byte_source **ret, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *reader = NULL;
    struct slot_table *slots = &pass->cache->slots;
    struct cache_finding finding = CACHE_FINDING_INIT;
    struct slot *slot;
    int result;

    if (slot_table_acquire(slots, image_record_id(pass->record), cancel, &slot, err) < 0)
        return -1;
    result = obtain(pass, cancel, &finding, &reader, err);
    cache_pass_release(pass->cache, slot, pass->record, result == 0 ? finding.object : NULL);
    cache_finding_clear(&finding);
    if (result == 0)
        *ret = steal(&reader);
    return result;
}

int ciphertext_cache_open(struct ciphertext_cache *cache, struct image_record *record,
                          struct byte_sink *observer, struct cancel *cancel,
                          struct byte_source **ret, struct error *err)
{
    const struct cache_pass pass = {.cache = cache, .record = record, .observer = observer};
    struct error ignored = ERROR_INIT;

    if (observer == NULL && ciphertext_cache_open_known(cache, record, ret, &ignored) == 0)
        return 0;
    if (cache_context_may_read(cache, err) == 0 && open_in_turn(&pass, cancel, ret, err) == 0)
        return 0;
    if (observer != NULL)
        byte_sink_abort(observer);
    return -1;
}

static int fetch_in_turn(const struct cache_pass *pass, struct cancel *cancel, bool *ret_was_there,
                         struct error *err)
{
    struct ciphertext_cache *cache = pass->cache;
    struct cache_finding finding = CACHE_FINDING_INIT;
    struct slot *slot;
    int result;

    if (slot_table_acquire(&cache->slots, image_record_id(pass->record), cancel, &slot, err) < 0)
        return -1;
    result = cache_pass_run(pass, cancel, &finding, ret_was_there, err);
    cache_pass_release(cache, slot, pass->record, NULL);
    return result;
}

int ciphertext_cache_fetch(struct ciphertext_cache *cache, struct image_record *record,
                           struct byte_sink *observer, _Atomic uint64_t *progress,
                           struct cancel *cancel, bool *ret_was_there, struct error *err)
{
    const struct cache_pass pass = {.cache = cache,
                                    .record = record,
                                    .observer = observer,
                                    .progress = progress,
                                    .only_fetches = true};
    bool was_there = false;
    int result = cache_context_may_change(cache, err);

    if (result == 0)
        result = fetch_in_turn(&pass, cancel, &was_there, err);
    /* One that saw everything has been committed, and minds no more. */
    if (observer != NULL)
        byte_sink_abort(observer);
    if (ret_was_there != NULL)
        *ret_was_there = was_there;
    return result;
}

void ciphertext_cache_set_waiting(struct byte_source *source, bool may_wait)
{
    cached_source_set_waiting(source, may_wait);
}

/* --- a look --- */

static bool has_object(const struct cache_layout *layout, const struct image_record *record)
{
    struct object_metadata metadata;

    object_metadata_of(record, &metadata);
    return object_store_has(layout, &metadata);
}

bool ciphertext_cache_has(struct ciphertext_cache *cache, const struct image_record *record)
{
    return has_object(cache->layout, record);
}

bool ciphertext_cache_directory_has(const char *path, const struct image_record *record)
{
    CLEANUP(cache_layout_free) struct cache_layout *layout = NULL;
    struct error ignored = ERROR_INIT;

    return cache_layout_open(path, CACHE_OBSERVER, &layout, &ignored) == 0 &&
           has_object(layout, record);
}

bool ciphertext_cache_remembers(struct ciphertext_cache *cache, const struct image_record *record)
{
    CLEANUP(cache_object_unref) struct cache_object *object = cache_context_known(cache, record);

    return object != NULL && ciphertext_cache_has(cache, record);
}

void ciphertext_cache_download_use(struct ciphertext_cache *cache, struct limit_use *ret)
{
    download_queue_use(&cache->downloads, ret);
}

/* --- the cache as a whole --- */

int ciphertext_cache_new(const struct ciphertext_cache_parts *parts, struct ciphertext_cache **ret,
                         struct error *err)
{
    CLEANUP(ciphertext_cache_free) struct ciphertext_cache *cache = calloc(1, sizeof *cache);
    const struct tidy_listener tidy = {parts->notice, parts->notice_context};

    if (cache == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    cache->role = parts->role;
    cache->images = parts->images;
    cache->arena = parts->arena;
    cache->require_hash = parts->require_hash;
    slot_table_init(&cache->slots);
    download_queue_init(&cache->downloads, parts->max_downloads, parts->download_wait_ms);
    if (checked_blocks_new(&cache->blocks, err) < 0 ||
        worker_pool_new("transfer", MAXIMUM_TRANSFERS, &cache->transfers, err) < 0 ||
        cache_layout_open(parts->path, parts->role, &cache->layout, err) < 0)
        return -1;
    cache->space.layout = cache->layout;
    cache->space.limits = parts->limits;
    if (parts->role == CACHE_DAEMON && object_store_tidy(cache->layout, tidy, err) < 0)
        return -1;
    *ret = steal(&cache);
    return 0;
}

int ciphertext_cache_start(struct ciphertext_cache *cache, struct error *err)
{
    return cache_upkeep_new(&cache->space, &cache->upkeep, err);
}

void ciphertext_cache_free(struct ciphertext_cache *cache)
{
    if (cache == NULL)
        return;
    worker_pool_free(cache->transfers);
    cache_upkeep_free(cache->upkeep);
    checked_blocks_free(cache->blocks);
    slot_table_clear(&cache->slots);
    download_queue_destroy(&cache->downloads);
    cache_layout_free(cache->layout);
    free(cache);
}
