/* SPDX-License-Identifier: Apache-2.0 */
#include "view/status.h"

#include "glancefs/byte_source.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/*
 * json-c takes ownership of what is added; an object it had no memory for is NULL, which shows as
 * null. A status with a hole is better than none.
 */
static void add(struct json_object *object, const char *name, struct json_object *value)
{
    (void)json_object_object_add(object, name, value);
}

static void add_number(struct json_object *object, const char *name, uint64_t value)
{
    add(object, name, json_object_new_uint64(value));
}

/* Where there is no limit, or no size yet, null. */
static void add_known(struct json_object *object, const char *name, uint64_t value)
{
    if (value == UINT64_MAX)
        add(object, name, NULL);
    else
        add_number(object, name, value);
}

static void add_usage(struct json_object *object, const struct ciphertext_cache_usage *usage)
{
    add_number(object, "objects", usage->objects);
    add_number(object, "stored_bytes", usage->stored_bytes);
    add_number(object, "partial_objects", usage->partial_objects);
    add_number(object, "partial_bytes", usage->partial_bytes);
    add_number(object, "reserved_bytes", usage->reserved_bytes);
    add_number(object, "quarantined_objects", usage->quarantined_objects);
    add_number(object, "quarantined_bytes", usage->quarantined_bytes);
    add_number(object, "staged_bytes", usage->staged_bytes);
    add_number(object, "trash_bytes", usage->trash_bytes);
    add_known(object, "max_size_bytes", usage->max_size_bytes);
    add_number(object, "min_free_bytes", usage->min_free_bytes);
    add_number(object, "filesystem_bytes", usage->filesystem_bytes);
    add_number(object, "free_bytes", usage->free_bytes);
    add_number(object, "evictions", usage->evictions);
    add_number(object, "evicted_bytes", usage->evicted_bytes);
    add_number(object, "unknown_entries", usage->unknown_entries);
}

static void add_download(struct json_object *downloads, const struct cached_object *download)
{
    struct json_object *object = json_object_new_object();

    add(object, "image", json_object_new_string(download->image_id));
    add_number(object, "done_bytes", download->data_bytes);
    add_known(object, "total_bytes", download->total_bytes);
    (void)json_object_array_add(downloads, object);
}

/* Those that somebody has in hand, be it another process. */
static struct json_object *downloads_array(struct ciphertext_cache *cache)
{
    CLEANUP(cached_object_list_free) struct cached_object_list *downloads = NULL;
    struct error ignored = ERROR_INIT;
    struct json_object *array;

    if (ciphertext_cache_list_downloads(cache, &downloads, &ignored) < 0)
        return NULL;
    array = json_object_new_array();
    for (size_t i = 0; i < downloads->count; i++)
        if (downloads->objects[i].in_use)
            add_download(array, &downloads->objects[i]);
    return array;
}

static struct json_object *cache_object(struct ciphertext_cache *cache)
{
    struct ciphertext_cache_usage usage;
    struct error ignored = ERROR_INIT;
    struct json_object *object;

    if (ciphertext_cache_usage(cache, &usage, &ignored) < 0)
        return NULL;
    object = json_object_new_object();
    add_usage(object, &usage);
    add(object, "downloads", downloads_array(cache));
    return object;
}

/* Null where nothing needs gpg. */
static struct json_object *gpg_helper_name(enum codecs_helper helper)
{
    switch (helper) {
    case CODECS_HELPER_RUNNING:
        return json_object_new_string("running");
    case CODECS_HELPER_ENDED:
        return json_object_new_string("ended");
    case CODECS_HELPER_NONE:
        break;
    }
    return NULL;
}

static struct json_object *sandbox_object(const struct sandbox_state *sandbox,
                                          const struct codecs *codecs)
{
    static const struct sandbox_state none = {.is_entered = false};
    const struct sandbox_state *state = sandbox != NULL ? sandbox : &none;
    struct json_object *object = json_object_new_object();

    add(object, "entered", json_object_new_boolean(state->is_entered));
    add_number(object, "landlock_abi", (uint64_t)state->landlock_abi);
    add(object, "seccomp", json_object_new_boolean(state->has_filter));
    add(object, "gpg_helper", gpg_helper_name(codecs_helper(codecs)));
    return object;
}

static struct json_object *memory_object(const struct secure_arena *arena)
{
    struct json_object *object = json_object_new_object();

    add_number(object, "capacity_bytes", secure_arena_capacity(arena));
    add_number(object, "used_bytes", secure_arena_used(arena));
    add_number(object, "peak_bytes", secure_arena_peak(arena));
    return object;
}

static struct json_object *limit_object(const struct limit_use *use, bool has_line)
{
    struct json_object *object = json_object_new_object();

    add_number(object, "limit", use->limit);
    add_number(object, "used", use->used);
    if (has_line)
        add_number(object, "waiting", use->waiting);
    return object;
}

static struct json_object *limits_object(const struct status_subject *subject)
{
    struct json_object *object = json_object_new_object();
    struct status_limits limits;

    status_limits_get(subject, &limits);
    add(object, "streams", limit_object(&limits.streams, false));
    add(object, "downloads", limit_object(&limits.downloads, true));
    add(object, "uploads", limit_object(&limits.uploads, true));
    return object;
}

void status_limits_get(const struct status_subject *subject, struct status_limits *ret)
{
    stream_limit_use(subject->stream_limit, &ret->streams);
    ciphertext_cache_download_use(subject->cache, &ret->downloads);
    ret->uploads = (struct limit_use){.limit = 0};
    if (subject->uploads != NULL)
        upload_staging_use(subject->uploads, &ret->uploads);
}

static void add_stream(void *context, const struct stream_entry *entry)
{
    struct json_object *object = json_object_new_object();

    add(object, "image", json_object_new_string(entry->image_id));
    add_number(object, "position", atomic_load(&entry->position));
    if (atomic_load(&entry->size) == BYTE_SOURCE_SIZE_UNKNOWN)
        add(object, "size", NULL);
    else
        add_number(object, "size", atomic_load(&entry->size));
    add(object, "verified", json_object_new_boolean(atomic_load(&entry->is_verified)));
    (void)json_object_array_add(context, object);
}

static void add_verification(void *context, const char *id, uint64_t done_bytes,
                             uint64_t total_bytes)
{
    struct json_object *object = json_object_new_object();

    add(object, "image", json_object_new_string(id));
    add_number(object, "done_bytes", done_bytes);
    add_number(object, "total_bytes", total_bytes);
    (void)json_object_array_add(context, object);
}

static struct json_object *upload_object(const char *image_id, const char *state,
                                         uint64_t plaintext_bytes)
{
    struct json_object *object = json_object_new_object();

    add(object, "image_id", json_object_new_string(image_id));
    add(object, "state", json_object_new_string(state));
    add_number(object, "plaintext_bytes", plaintext_bytes);
    return object;
}

static void add_upload(struct json_object *uploads, const struct upload_info *info)
{
    struct json_object *object =
        upload_object(info->image_id, upload_state_name(info->state), info->plaintext_bytes);

    add_number(object, "stored_bytes", info->stored_bytes);
    add_number(object, "sent_bytes", info->sent_bytes);
    add_number(object, "attempts", info->attempts);
    add(object, "error", json_object_new_string(info->error));
    (void)json_object_array_add(uploads, object);
}

static void add_staging(struct json_object *uploads, struct write_index *writes,
                        const struct write_attributes *file)
{
    struct json_object *object =
        upload_object(file->image_id, write_state_name(file->state), file->size);
    CLEANUP(memory_free) char *cause = NULL;
    struct error ignored = ERROR_INIT;

    add_number(object, "stored_bytes", 0);
    add_number(object, "sent_bytes", 0);
    add_number(object, "attempts", 0);
    (void)write_index_get_xattr(writes, file->name, "user.glancefs.error", NULL, &cause, &ignored);
    add(object, "error", json_object_new_string(cause != NULL ? cause : ""));
    (void)json_object_array_add(uploads, object);
}

static int add_sealed(struct json_object *uploads, struct upload_staging *staging,
                      struct error *err)
{
    CLEANUP(memory_free) struct upload_info *infos = NULL;
    size_t count = 0;

    if (upload_staging_list(staging, &infos, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        add_upload(uploads, &infos[i]);
    return 0;
}

/* Those that are written now; sealed ones are in the listing, too. */
static int add_unsealed(struct json_object *uploads, struct write_index *writes, struct error *err)
{
    CLEANUP(memory_free) struct write_listing *files = NULL;

    if (write_index_list_staged(writes, &files, err) < 0)
        return -1;
    for (size_t i = 0; i < files->count; i++)
        if (files->files[i].state == WRITE_STAGING || files->files[i].state == WRITE_POISONED)
            add_staging(uploads, writes, &files->files[i]);
    return 0;
}

static struct json_object *uploads_array(const struct status_subject *subject)
{
    struct json_object *uploads = json_object_new_array();
    struct error ignored = ERROR_INIT;

    if (subject->uploads == NULL || (add_sealed(uploads, subject->uploads, &ignored) == 0 &&
                                     add_unsealed(uploads, subject->writes, &ignored) == 0))
        return uploads;
    (void)json_object_put(uploads);
    return NULL;
}

static struct json_object *counters_object(struct view_counters *counters)
{
    struct json_object *object = json_object_new_object();

    add_number(object, "opens", atomic_load(&counters->opens));
    add_number(object, "failed_opens", atomic_load(&counters->failed_opens));
    add_number(object, "verifications", atomic_load(&counters->verifications));
    add_number(object, "reopens", atomic_load(&counters->reopens));
    add_number(object, "failed_verifications", atomic_load(&counters->failed_verifications));
    add_number(object, "reads", atomic_load(&counters->reads));
    add_number(object, "failed_reads", atomic_load(&counters->failed_reads));
    add_number(object, "read_bytes", atomic_load(&counters->read_bytes));
    return object;
}

static struct json_object *status_object(const struct status_subject *subject)
{
    struct json_object *object = json_object_new_object();
    struct json_object *streams = json_object_new_array();
    struct json_object *verifications = json_object_new_array();

    stream_registry_each(subject->streams, add_stream, streams);
    verified_images_each_verification(subject->verified, add_verification, verifications);
    add(object, "version", json_object_new_string(subject->version));
    add(object, "cloud", json_object_new_string(subject->cloud_name));
    add(object, "verify",
        json_object_new_string(subject->verify == VERIFY_STREAM ? "stream" : "first"));
    add_number(object, "uptime_seconds", subject->uptime_seconds);
    add(object, "sandbox", sandbox_object(subject->sandbox, subject->codecs));
    add(object, "cache", cache_object(subject->cache));
    add(object, "memory", memory_object(subject->arena));
    add(object, "limits", limits_object(subject));
    add(object, "streams", streams);
    add(object, "verifications", verifications);
    add(object, "uploads", uploads_array(subject));
    add(object, "counters", counters_object(subject->counters));
    return object;
}

int status_text(const struct status_subject *subject, char **ret, struct error *err)
{
    struct json_object *object = status_object(subject);
    const char *text = json_object_to_json_string_ext(
        object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);
    int result = 0;

    if (text == NULL || asprintf(ret, "%s\n", text) < 0)
        result = error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)json_object_put(object);
    return result;
}
