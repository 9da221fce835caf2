/* SPDX-License-Identifier: Apache-2.0 */
#include "view/attribute_cache.h"

#include "base/clock.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096
/* "sha512:" and 128 digits and ":" and a size. */
#define CONTENT_NAME_BYTES 192

struct entry {
    struct entry *next; /* of its bucket */
    struct image_attributes attributes;
    uint64_t received_ns;
    bool is_missed;              /* by a listing since */
    struct image_record *record; /* NULL unless the entry stands in `recorded` */
    char *verified_content;      /* whose plaintext has verified_size bytes; NULL: none yet */
    uint64_t verified_size;
};

struct attribute_cache {
    uint64_t ttl_ns;
    pthread_mutex_t mutex; /* guards everything below; nothing else is locked inside */
    size_t count;
    struct entry *recorded[ATTRIBUTE_CACHE_RECORDS]; /* a ring: the oldest makes room */
    size_t next_recorded;
    struct entry *buckets[BUCKETS];
};

int attribute_cache_new(unsigned ttl_seconds, struct attribute_cache **ret, struct error *err)
{
    struct attribute_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    cache->ttl_ns = ttl_seconds * NANOSECONDS_PER_SECOND;
    (void)pthread_mutex_init(&cache->mutex, NULL);
    *ret = cache;
    return 0;
}

/* --- entries; all of these are called locked --- */

static struct entry **bucket_of(struct attribute_cache *cache, const char *id)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (; *id != '\0'; id++)
        hash = (hash ^ (uint8_t)*id) * 16777619U;
    return &cache->buckets[hash % BUCKETS];
}

static struct entry *find(struct attribute_cache *cache, const char *id)
{
    struct entry *entry = *bucket_of(cache, id);

    while (entry != NULL && strcmp(entry->attributes.id, id) != 0)
        entry = entry->next;
    return entry;
}

static void drop_record(struct attribute_cache *cache, struct entry *entry)
{
    for (size_t i = 0; i < ATTRIBUTE_CACHE_RECORDS; i++)
        if (cache->recorded[i] == entry)
            cache->recorded[i] = NULL;
    image_record_unref(entry->record);
    entry->record = NULL;
}

static void keep_record_of(struct attribute_cache *cache, struct entry *entry,
                           struct image_record *record)
{
    struct entry **slot = &cache->recorded[cache->next_recorded];

    if (entry->record == NULL) {
        if (*slot != NULL)
            drop_record(cache, *slot);
        *slot = entry;
        cache->next_recorded = (cache->next_recorded + 1) % ATTRIBUTE_CACHE_RECORDS;
    }
    image_record_unref(entry->record);
    entry->record = image_record_ref(record);
}

/* Takes the entry that *link points to out of its bucket and frees it. */
static void remove_entry(struct attribute_cache *cache, struct entry **link)
{
    struct entry *entry = *link;

    *link = entry->next;
    cache->count--;
    drop_record(cache, entry);
    free(entry->verified_content);
    free(entry);
}

static bool is_fresh(const struct attribute_cache *cache, const struct entry *entry)
{
    return !entry->is_missed && clock_monotonic_ns() - entry->received_ns < cache->ttl_ns;
}

static enum attribute_age age_of(const struct attribute_cache *cache, const struct entry *entry)
{
    if (entry->is_missed)
        return ATTRIBUTES_MISSED;
    return is_fresh(cache, entry) ? ATTRIBUTES_FRESH : ATTRIBUTES_STALE;
}

static void prune(struct attribute_cache *cache, bool also_verified)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct entry **link = &cache->buckets[i]; *link != NULL;) {
            const struct entry *entry = *link;

            if (!is_fresh(cache, entry) && (also_verified || entry->verified_content == NULL))
                remove_entry(cache, link);
            else
                link = &(*link)->next;
        }
    }
}

static struct entry *find_or_add(struct attribute_cache *cache, const char *id)
{
    struct entry **bucket = bucket_of(cache, id);
    struct entry *entry = find(cache, id);

    if (entry != NULL)
        return entry;
    if (cache->count >= LIMIT_IMAGES)
        prune(cache, true);
    entry = cache->count < LIMIT_IMAGES ? calloc(1, sizeof *entry) : NULL;
    if (entry == NULL)
        return NULL;
    (void)snprintf(entry->attributes.id, sizeof entry->attributes.id, "%s", id);
    entry->next = *bucket;
    *bucket = entry;
    cache->count++;
    return entry;
}

/* --- what a record says --- */

/* A name for the stored bytes, by their hash or, where policy admits images without, checksum. */
static bool content_name(const struct image_record *record, char ret[CONTENT_NAME_BYTES])
{
    const char *algo = image_record_hash_algo(record);
    const char *value = image_record_hash_value(record);
    uint64_t size;

    if (algo == NULL || value == NULL) {
        algo = "checksum";
        value = image_record_checksum(record);
    }
    if (!image_record_size(record, &size))
        return false;
    return snprintf(ret, CONTENT_NAME_BYTES, "%s:%s:%" PRIu64, algo, value != NULL ? value : "",
                    size) < CONTENT_NAME_BYTES;
}

/* Size as declared, else as stored; a size of 0 would make tar and rsync skip the content. */
static uint64_t estimated_size(const struct image_record *record)
{
    struct error ignored = ERROR_INIT;
    uint64_t size = 0;
    bool declared = false;

    if (image_record_decrypt_size(record, &declared, &size, &ignored) == 0 && declared)
        return size;
    return image_record_size(record, &size) && size > 0 ? size : 1;
}

static void describe(const struct image_record *record, struct image_attributes *ret)
{
    (void)snprintf(ret->id, sizeof ret->id, "%s", image_record_id(record));
    ret->size = estimated_size(record);
    ret->size_is_exact = false;
    ret->updated_at = image_record_updated_at(record);
}

static void apply_verified_size(const struct entry *entry, const struct image_record *record,
                                struct image_attributes *attributes)
{
    char content[CONTENT_NAME_BYTES];

    if (entry->verified_content == NULL || !content_name(record, content) ||
        strcmp(content, entry->verified_content) != 0)
        return;
    attributes->size = entry->verified_size;
    attributes->size_is_exact = true;
}

/* --- the cache --- */

void attribute_cache_put(struct attribute_cache *cache, struct image_record *record,
                         bool keep_record, struct image_attributes *ret)
{
    struct entry *entry;

    describe(record, ret);
    (void)pthread_mutex_lock(&cache->mutex);
    entry = find_or_add(cache, ret->id);
    if (entry != NULL) {
        apply_verified_size(entry, record, ret);
        entry->attributes = *ret;
        entry->received_ns = clock_monotonic_ns();
        entry->is_missed = false;
        if (keep_record || entry->record != NULL)
            keep_record_of(cache, entry, record);
    }
    (void)pthread_mutex_unlock(&cache->mutex);
}

enum attribute_age attribute_cache_get(struct attribute_cache *cache, const char *id,
                                       struct image_attributes *ret)
{
    enum attribute_age age = ATTRIBUTES_UNKNOWN;
    const struct entry *entry;

    (void)pthread_mutex_lock(&cache->mutex);
    entry = find(cache, id);
    if (entry != NULL) {
        *ret = entry->attributes;
        age = age_of(cache, entry);
    }
    (void)pthread_mutex_unlock(&cache->mutex);
    return age;
}

static struct image_record *kept_record(struct attribute_cache *cache, const char *id,
                                        bool may_be_stale)
{
    struct image_record *record = NULL;
    const struct entry *entry;

    (void)pthread_mutex_lock(&cache->mutex);
    entry = find(cache, id);
    if (entry != NULL && entry->record != NULL && (may_be_stale || is_fresh(cache, entry)))
        record = image_record_ref(entry->record);
    (void)pthread_mutex_unlock(&cache->mutex);
    return record;
}

struct image_record *attribute_cache_record(struct attribute_cache *cache, const char *id)
{
    return kept_record(cache, id, false);
}

struct image_record *attribute_cache_last_record(struct attribute_cache *cache, const char *id)
{
    return kept_record(cache, id, true);
}

void attribute_cache_forget_record(struct attribute_cache *cache, const char *id)
{
    struct entry *entry;

    (void)pthread_mutex_lock(&cache->mutex);
    entry = find(cache, id);
    if (entry != NULL)
        drop_record(cache, entry);
    (void)pthread_mutex_unlock(&cache->mutex);
}

void attribute_cache_set_exact_size(struct attribute_cache *cache,
                                    const struct image_record *record, uint64_t size)
{
    char content[CONTENT_NAME_BYTES];
    char *copy = content_name(record, content) ? strdup(content) : NULL;
    struct entry *entry;

    if (copy == NULL)
        return;
    (void)pthread_mutex_lock(&cache->mutex);
    entry = find(cache, image_record_id(record));
    if (entry != NULL) {
        free(entry->verified_content);
        entry->verified_content = steal(&copy);
        entry->verified_size = size;
        entry->attributes.size = size;
        entry->attributes.size_is_exact = true;
    }
    (void)pthread_mutex_unlock(&cache->mutex);
    free(copy);
}

void attribute_cache_drop(struct attribute_cache *cache, const char *id)
{
    struct entry **link;

    (void)pthread_mutex_lock(&cache->mutex);
    link = bucket_of(cache, id);
    while (*link != NULL && strcmp((*link)->attributes.id, id) != 0)
        link = &(*link)->next;
    if (*link != NULL)
        remove_entry(cache, link);
    (void)pthread_mutex_unlock(&cache->mutex);
}

void attribute_cache_miss_older(struct attribute_cache *cache, uint64_t begun_ns)
{
    (void)pthread_mutex_lock(&cache->mutex);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct entry *entry = cache->buckets[i]; entry != NULL; entry = entry->next) {
            if (entry->received_ns >= begun_ns)
                continue;
            drop_record(cache, entry);
            entry->is_missed = true;
        }
    }
    (void)pthread_mutex_unlock(&cache->mutex);
}

void attribute_cache_prune(struct attribute_cache *cache)
{
    (void)pthread_mutex_lock(&cache->mutex);
    prune(cache, false);
    (void)pthread_mutex_unlock(&cache->mutex);
}

void attribute_cache_free(struct attribute_cache *cache)
{
    if (cache == NULL)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (cache->buckets[i] != NULL)
            remove_entry(cache, &cache->buckets[i]);
    (void)pthread_mutex_destroy(&cache->mutex);
    free(cache);
}
