/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_context.h"

#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *write_state_name(enum write_state state)
{
    static const char *const names[] = {
        [WRITE_QUEUED] = "queued", [WRITE_STAGING] = "staging",     [WRITE_POISONED] = "poisoned",
        [WRITE_SEALED] = "sealed", [WRITE_UPLOADING] = "uploading", [WRITE_ACTIVE] = "active",
        [WRITE_FAILED] = "failed"};

    return names[state];
}

int write_index_new(const struct write_index_parts *parts, struct write_index **ret,
                    struct error *err)
{
    CLEANUP(write_index_free) struct write_index *index = calloc(1, sizeof *index);

    if (index == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    index->parts = *parts;
    if (write_stagings_new(parts->on_seal, parts->on_seal_context, &index->stagings, err) < 0 ||
        attribute_cache_new(WRITE_RECORD_TTL_SECONDS, &index->queued, err) < 0)
        return -1;
    *ret = steal(&index);
    return 0;
}

void write_index_free(struct write_index *index)
{
    if (index == NULL)
        return;
    write_stagings_free(index->stagings);
    attribute_cache_free(index->queued);
    free(index);
}

void write_index_sweep(struct write_index *index, uint64_t now_ns)
{
    write_stagings_sweep(index->stagings, now_ns,
                         index->parts.config->staging_ttl_seconds * NANOSECONDS_PER_SECOND);
}

const struct stage_counter *write_index_encryption(const struct write_index *index)
{
    return &index->encryption;
}

/* --- looking up --- */

struct write_staging *write_index_find_file(struct write_index *index, const char *name)
{
    struct monitor *monitor = &index->stagings->monitor;
    struct write_staging *staging = NULL;
    struct write_name parsed;

    if (!write_name_parse(name, &parsed))
        return NULL;
    monitor_lock(monitor);
    staging = write_stagings_find(index->stagings, parsed.image_id);
    if (staging != NULL && strcmp(staging->name, name) != 0)
        staging = NULL;
    if (staging != NULL)
        (void)write_staging_ref(staging);
    monitor_unlock(monitor);
    return staging;
}

bool write_index_identify(struct write_index *index, const char *name, char ret_image_id[37],
                          char ret_key_id[37])
{
    struct monitor *monitor = &index->stagings->monitor;
    const struct write_staging *staging;
    struct write_name parsed;

    *ret_key_id = '\0';
    if (!write_name_parse(name, &parsed))
        return false;
    (void)snprintf(ret_image_id, UUID_TEXT_BYTES, "%s", parsed.image_id);
    monitor_lock(monitor);
    staging = write_stagings_find(index->stagings, parsed.image_id);
    if (staging != NULL)
        (void)snprintf(ret_key_id, UUID_TEXT_BYTES, "%s", staging->key_id);
    monitor_unlock(monitor);
    return true;
}

static void describe_upload(const struct upload_info *info, struct write_attributes *ret)
{
    static const enum write_state states[] = {[UPLOAD_SEALED] = WRITE_SEALED,
                                              [UPLOAD_UPLOADING] = WRITE_UPLOADING,
                                              [UPLOAD_ACTIVE] = WRITE_ACTIVE,
                                              [UPLOAD_FAILED] = WRITE_FAILED};

    (void)snprintf(ret->name, sizeof ret->name, "%s", info->image_id);
    (void)snprintf(ret->image_id, sizeof ret->image_id, "%s", info->image_id);
    ret->state = states[info->state];
    ret->size = info->plaintext_bytes;
    ret->changed_at = info->sealed_at;
}

bool write_index_find_upload(struct write_index *index, const char *id,
                             struct write_attributes *ret, struct upload_info *ret_info)
{
    struct error ignored = ERROR_INIT;

    if (upload_staging_query(index->parts.staging, id, ret_info, &ignored) < 0)
        return false;
    describe_upload(ret_info, ret);
    return true;
}

static void describe_queued(const char *id, int64_t updated_at, struct write_attributes *ret)
{
    (void)snprintf(ret->name, sizeof ret->name, "%s", id);
    (void)snprintf(ret->image_id, sizeof ret->image_id, "%s", id);
    ret->state = WRITE_QUEUED;
    ret->size = 0;
    ret->changed_at = updated_at;
}

/* What the stagings alone tell of a name that write_name_parse took apart. */
static enum write_presence peek_stagings(struct write_index *index, const char *name,
                                         const struct write_name *parsed,
                                         struct write_attributes *ret)
{
    struct monitor *monitor = &index->stagings->monitor;
    enum write_presence presence = parsed->kind == WRITE_NAME_IMAGE ? WRITE_UNKNOWN : WRITE_ABSENT;
    const struct write_staging *staging;

    monitor_lock(monitor);
    staging = write_stagings_find(index->stagings, parsed->image_id);
    if (staging != NULL && strcmp(staging->name, name) == 0) {
        write_staging_attributes(staging, ret);
        presence = WRITE_PRESENT;
    } else if (staging != NULL && write_staging_hides_image(staging)) {
        presence = WRITE_ABSENT;
    } else if (staging != NULL && parsed->kind == WRITE_NAME_IMAGE &&
               write_staging_has_file(staging)) {
        /* It was queued when the staging began; a rename to it must not need the image service. */
        describe_queued(name, staging->changed_at, ret);
        presence = WRITE_PRESENT;
    }
    monitor_unlock(monitor);
    return presence;
}

enum write_presence write_index_peek(struct write_index *index, const char *name,
                                     struct write_attributes *ret)
{
    struct image_attributes queued;
    struct write_name parsed;
    enum write_presence presence;

    if (!write_name_parse(name, &parsed))
        return WRITE_ABSENT;
    presence = peek_stagings(index, name, &parsed, ret);
    if (presence != WRITE_UNKNOWN)
        return presence;
    if (attribute_cache_get(index->queued, name, &queued) != ATTRIBUTES_FRESH)
        return WRITE_UNKNOWN;
    describe_queued(name, queued.updated_at, ret);
    return WRITE_PRESENT;
}

/* Remembers a queued image, but not while it is written: once it is sealed there must be nothing
 * that still tells of an empty file. */
static void remember_queued(struct write_index *index, struct image_record *record,
                            bool keep_record)
{
    struct monitor *monitor = &index->stagings->monitor;
    const struct write_staging *staging;
    struct image_attributes ignored;
    bool is_staged;

    monitor_lock(monitor);
    staging = write_stagings_find(index->stagings, image_record_id(record));
    is_staged = staging != NULL && write_staging_has_file(staging);
    monitor_unlock(monitor);
    if (is_staged || image_record_status(record) != IMAGE_STATUS_QUEUED)
        attribute_cache_drop(index->queued, image_record_id(record));
    else
        attribute_cache_put(index->queued, record, keep_record, &ignored);
}

/* Asks for the record anew. */
static int fetch_record(struct write_index *index, const char *id, struct cancel *cancel,
                        struct image_record **ret, struct error *err)
{
    if (image_service_get(index->parts.cloud->images, id, cancel, ret, err) < 0) {
        attribute_cache_drop(index->queued, id);
        return -1;
    }
    remember_queued(index, *ret, true);
    return 0;
}

int write_index_lookup(struct write_index *index, const char *name, struct cancel *cancel,
                       struct write_attributes *ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct upload_info info;

    switch (write_index_peek(index, name, ret)) {
    case WRITE_PRESENT:
        return 0;
    case WRITE_ABSENT:
        return error_set(err, ERROR_NOT_FOUND, "no such file is being written");
    case WRITE_UNKNOWN:
        break;
    }
    if (write_index_find_upload(index, name, ret, &info))
        return 0;
    if (fetch_record(index, name, cancel, &record, err) < 0)
        return -1;
    if (image_record_status(record) != IMAGE_STATUS_QUEUED)
        return error_set(err, ERROR_NOT_FOUND, "is %s, not queued",
                         image_status_name(image_record_status(record)));
    describe_queued(name, image_record_updated_at(record), ret);
    return 0;
}

int write_index_record(struct write_index *index, const char *name, struct cancel *cancel,
                       struct image_record **ret, struct error *err)
{
    struct write_attributes attributes;

    if (write_index_lookup(index, name, cancel, &attributes, err) < 0)
        return -1;
    *ret = attribute_cache_record(index->queued, attributes.image_id);
    if (*ret != NULL)
        return 0;
    return fetch_record(index, attributes.image_id, cancel, ret, err);
}

int write_index_fetch_target(struct write_index *index, const char *id, struct cancel *cancel,
                             struct write_target *ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (fetch_record(index, id, cancel, &record, err) < 0)
        return -1;
    return write_target_judge(record, index->parts.identity, index->parts.config->foreign_owners,
                              index->parts.codecs, ret, err);
}

/* --- listing --- */

/* A listing that grows. `CLEANUP(listing_builder)` frees it. */
struct listing_builder {
    struct write_listing *listing;
    size_t capacity;
};

static void listing_builder_cleanup(struct listing_builder *builder)
{
    free(builder->listing);
}

static int add_file(struct listing_builder *builder, const struct write_attributes *file,
                    struct error *err)
{
    const size_t count = builder->listing != NULL ? builder->listing->count : 0;

    if (builder->listing == NULL || count == builder->capacity) {
        const size_t capacity = count == 0 ? 64 : 2 * count;
        struct write_listing *larger =
            realloc(builder->listing, sizeof *larger + capacity * sizeof larger->files[0]);

        if (larger == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        builder->listing = larger;
        builder->capacity = capacity;
    }
    builder->listing->files[count] = *file;
    builder->listing->count = count + 1;
    return 0;
}

static int finish_listing(struct listing_builder *builder, struct write_listing **ret,
                          struct error *err)
{
    if (builder->listing == NULL)
        builder->listing = calloc(1, sizeof *builder->listing);
    if (builder->listing == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ret = steal(&builder->listing);
    return 0;
}

/* True when one of the first `count` files has this name. */
static bool is_listed(const struct listing_builder *builder, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(builder->listing->files[i].name, name) == 0)
            return true;
    return false;
}

static size_t files_listed(const struct listing_builder *builder)
{
    return builder->listing != NULL ? builder->listing->count : 0;
}

static int add_stagings(struct write_index *index, struct listing_builder *builder,
                        struct error *err)
{
    struct monitor *monitor = &index->stagings->monitor;
    int result = 0;

    monitor_lock(monitor);
    for (const struct write_staging *staging = index->stagings->first;
         result == 0 && staging != NULL; staging = staging->next) {
        struct write_attributes file;

        write_staging_attributes(staging, &file);
        if (write_staging_has_file(staging))
            result = add_file(builder, &file, err);
    }
    monitor_unlock(monitor);
    return result;
}

static int add_uploads(struct write_index *index, struct listing_builder *builder,
                       struct error *err)
{
    CLEANUP(memory_free) struct upload_info *uploads = NULL;
    const size_t stagings = files_listed(builder);
    size_t count = 0;

    if (upload_staging_list(index->parts.staging, &uploads, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        struct write_attributes file;

        describe_upload(&uploads[i], &file);
        if (!is_listed(builder, stagings, file.name) && add_file(builder, &file, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_hidden(struct write_index *index, const char *id)
{
    struct monitor *monitor = &index->stagings->monitor;
    const struct write_staging *staging;
    bool result;

    monitor_lock(monitor);
    staging = write_stagings_find(index->stagings, id);
    result = staging != NULL && write_staging_hides_image(staging);
    monitor_unlock(monitor);
    return result;
}

static int add_queued(struct write_index *index, const struct image_list *images,
                      struct listing_builder *builder, struct error *err)
{
    const size_t staged = files_listed(builder);

    for (size_t i = 0; i < images->count; i++) {
        struct image_record *record = images->records[i];
        const char *id = image_record_id(record);
        struct error reason = ERROR_INIT;
        struct write_target target;
        struct write_attributes file;

        if (write_target_judge(record, index->parts.identity, index->parts.config->foreign_owners,
                               index->parts.codecs, &target, &reason) < 0 ||
            is_listed(builder, staged, id) || is_hidden(index, id))
            continue;
        remember_queued(index, record, false);
        describe_queued(id, image_record_updated_at(record), &file);
        if (add_file(builder, &file, err) < 0)
            return -1;
    }
    return 0;
}

int write_index_list(struct write_index *index, struct cancel *cancel, struct write_listing **ret,
                     struct error *err)
{
    CLEANUP(listing_builder) struct listing_builder builder = {0};
    CLEANUP(image_list_free) struct image_list *images = NULL;

    if (image_service_list(index->parts.cloud->images, cancel, &images, err) < 0)
        return -1;
    attribute_cache_prune(index->queued);
    if (add_stagings(index, &builder, err) < 0 || add_uploads(index, &builder, err) < 0 ||
        add_queued(index, images, &builder, err) < 0)
        return -1;
    return finish_listing(&builder, ret, err);
}

int write_index_list_staged(struct write_index *index, struct write_listing **ret,
                            struct error *err)
{
    CLEANUP(listing_builder) struct listing_builder builder = {0};

    if (add_stagings(index, &builder, err) < 0 || add_uploads(index, &builder, err) < 0)
        return -1;
    return finish_listing(&builder, ret, err);
}
