/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/image_view.h"

#include "base/clock.h"
#include "base/uuid.h"
#include "glancefs/codec.h"
#include "view/arriving_image.h"
#include "view/attribute_cache.h"
#include "view/image_lister.h"
#include "view/image_signature.h"
#include "view/metrics.h"
#include "view/ownership.h"
#include "view/plaintext.h"
#include "view/read_stream.h"
#include "view/readable_image.h"
#include "view/record_refresh.h"
#include "view/status.h"
#include "view/stream_registry.h"
#include "view/verified_image.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of what look-ups ask for: `ls -l` may want thousands. */
static const struct refresh_limits refresh_limits = {
    .questions = 16, .grace_ms = REFRESH_GRACE_MS, .longest_grace_ms = REFRESH_GRACE_MS};

struct image_index {
    struct image_index_parts parts;
    uint64_t started_ns;
    struct view_counters counters;
    struct attribute_cache *attributes;
    struct image_lister *lister;
    struct record_refresh *refresh; /* for look-ups of what is remembered */
    struct signature_policy *signatures;
    struct verified_images *verified;
    struct stream_registry *streams;
    struct cancel *no_wait; /* cancelled from the start: ends what would take time */
};

static int ask_for_record(void *context, const char *id, struct cancel *cancel,
                          struct image_attributes *ret, struct error *err);

int image_index_new(const struct image_index_parts *parts, struct image_index **ret,
                    struct error *err)
{
    CLEANUP(image_index_free) struct image_index *index = calloc(1, sizeof *index);
    const struct config *config = parts->config;

    if (index == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    index->parts = *parts;
    index->started_ns = clock_monotonic_ns();
    if (signature_policy_new(config, parts->cloud->keys, &index->signatures, err) < 0)
        return -1;
    const struct verified_images_parts verified = {.cache = parts->cache,
                                                   .arena = parts->arena,
                                                   .counters = &index->counters,
                                                   .signatures = index->signatures,
                                                   .max_verifications = config->max_streams,
                                                   .authorise_ttl_seconds =
                                                       config->authorise_ttl_seconds};
    if (attribute_cache_new(config->record_ttl_seconds, &index->attributes, err) < 0 ||
        stream_registry_new(parts->streams, &index->counters, parts->arena, &index->streams, err) <
            0 ||
        verified_images_new(&verified, &index->verified, err) < 0 ||
        cancel_new(&index->no_wait, err) < 0 ||
        image_lister_new(parts->cloud->images, index->attributes, &index->lister, err) < 0 ||
        record_refresh_new("refresh", ask_for_record, index, &refresh_limits, &index->refresh,
                           err) < 0)
        return -1;
    cancel_request(index->no_wait);
    *ret = steal(&index);
    return 0;
}

void image_index_free(struct image_index *index)
{
    if (index == NULL)
        return;
    image_lister_free(index->lister);
    record_refresh_free(index->refresh);
    stream_registry_free(index->streams);
    verified_images_free(index->verified);
    signature_policy_free(index->signatures);
    attribute_cache_free(index->attributes);
    cancel_unref(index->no_wait);
    free(index);
}

/* --- listing and attributes --- */

int image_index_list(struct image_index *index, struct cancel *cancel, struct image_listing **ret,
                     struct error *err)
{
    return image_lister_list(index->lister, cancel, ret, err);
}

void image_listing_free(struct image_listing *listing)
{
    free(listing);
}

/* Nobody will be served of its bytes any more, but for those who read them already. Best effort: what
 * is in use stays, until it is the least recently used. */
static void forget_image(struct image_index *index, const char *id)
{
    struct ciphertext_cache_removal removed = {0};
    struct error ignored = ERROR_INIT;

    attribute_cache_drop(index->attributes, id);
    if (ciphertext_cache_has_image(index->parts.cache, id))
        (void)ciphertext_cache_evict(index->parts.cache, id, &removed, &ignored);
}

/* The image service answered, and the image cannot be read here: what was known of it holds no more,
 * nor when the service is out afterwards. */
static void take_refusal(struct image_index *index, const char *id, const struct error *err)
{
    if (err->kind == ERROR_NOT_FOUND)
        forget_image(index, id);
    else if (err->kind == ERROR_DENIED || err->kind == ERROR_UNSUPPORTED)
        attribute_cache_forget_record(index->attributes, id);
}

/* Asks for the record anew and remembers it; fails unless the image can be read here. */
static int fetch_record(struct image_index *index, const char *name, struct cancel *cancel,
                        struct image_record **ret, struct image_attributes *ret_attributes,
                        struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;

    if (!uuid_is_valid(name))
        return error_set(err, ERROR_NOT_FOUND, "is no image id");
    if (image_service_get(index->parts.cloud->images, name, cancel, &record, err) < 0 ||
        readable_image_check(record, err) < 0) {
        take_refusal(index, name, err);
        return -1;
    }
    attribute_cache_put(index->attributes, record, true, ret_attributes);
    *ret = steal(&record);
    return 0;
}

static int ask_for_record(void *context, const char *id, struct cancel *cancel,
                          struct image_attributes *ret, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct image_index *index = context;

    return fetch_record(index, id, cancel, &record, ret, err);
}

bool image_index_peek(struct image_index *index, const char *name, struct image_attributes *ret)
{
    switch (attribute_cache_get(index->attributes, name, ret)) {
    case ATTRIBUTES_FRESH:
        return true;
    case ATTRIBUTES_MISSED:
    case ATTRIBUTES_STALE:
        return stream_registry_is_open(index->streams, name);
    case ATTRIBUTES_UNKNOWN:
        break;
    }
    return false;
}

/* Though the image service does not answer, or not yet: not what a listing missed. */
static bool may_be_shown(enum attribute_age age)
{
    return age == ATTRIBUTES_STALE || age == ATTRIBUTES_FRESH;
}

int image_index_lookup(struct image_index *index, const char *name, struct cancel *cancel,
                       struct image_attributes *ret, struct error *err)
{
    if (image_index_peek(index, name, ret))
        return 0;
    if (!may_be_shown(attribute_cache_get(index->attributes, name, ret)))
        return ask_for_record(index, name, cancel, ret, err);
    switch (record_refresh_start(index->refresh, name, cancel, ret, err)) {
    case RECORD_REFRESH_DONE:
        return 0;
    case RECORD_REFRESH_LATE:
        return cancel_check(cancel, err);
    case RECORD_REFRESH_FAILED:
        break;
    }
    return refresh_met_outage(err) &&
                   may_be_shown(attribute_cache_get(index->attributes, name, ret))
               ? 0
               : -1;
}

/* The record as it is now. While nobody tells, the one that was given within record_ttl has to do, or
 * under stale=serve the last one. */
static int current_record(struct image_index *index, const char *id, struct cancel *cancel,
                          struct image_record **ret, struct error *err)
{
    struct image_attributes attributes;

    if (fetch_record(index, id, cancel, ret, &attributes, err) == 0)
        return 0;
    if (!refresh_met_outage(err))
        return -1;
    *ret = index->parts.config->stale == STALE_SERVE
               ? attribute_cache_last_record(index->attributes, id)
               : attribute_cache_record(index->attributes, id);
    return *ret != NULL ? 0 : -1;
}

int image_index_record(struct image_index *index, const char *id, struct cancel *cancel,
                       struct image_record **ret, struct error *err)
{
    *ret = attribute_cache_record(index->attributes, id);
    return *ret != NULL ? 0 : current_record(index, id, cancel, ret, err);
}

void image_index_key_id(struct image_index *index, const char *id, char ret[37])
{
    CLEANUP(image_record_unref)
    struct image_record *record = attribute_cache_last_record(index->attributes, id);
    struct error ignored = ERROR_INIT;

    if (record == NULL || image_record_encrypt_key_id(record, ret, &ignored) < 0)
        *ret = '\0';
}

/* --- opening --- */

/* Before the payload is fetched, so that the secret shows what would break without it. */
static int register_consumer(struct image_index *index, const char *image_id, const char *key_id,
                             struct cancel *cancel, struct error *err)
{
    if (index->parts.config->consumers == CONSUMERS_OFF)
        return 0;
    return consumer_registry_add(index->parts.consumers, CONSUMER_IMAGE_CACHE, image_id, key_id,
                                 cancel, err);
}

/* One open on its way. */
struct opening {
    struct image_index *index;
    struct image_record *record;
    const struct codec *codec;
    struct given_key key; /* its id alone, before the key manager was asked */

    const char *verification; /* see read_stream_verification */

    /* What it found; each may be NULL, and is given back unless the stream took it. */
    struct verified_image *image;
    struct arriving_image *arriving;
    struct plaintext *plaintext;
};

static void opening_clear_cleanup(struct opening *opening)
{
    plaintext_free(opening->plaintext);
    arriving_image_free(opening->arriving);
    verified_image_release(opening->image);
    image_record_unref(opening->record);
}

static int check_declared_size(const struct image_record *record, uint64_t size, struct error *err)
{
    uint64_t declared = 0;
    bool is_declared = false;

    if (image_record_decrypt_size(record, &is_declared, &declared, err) < 0)
        return -1;
    if (!is_declared || declared == size)
        return 0;
    return error_set(err, ERROR_CORRUPT,
                     "declared size %" PRIu64 " (os_decrypt_size) but holds %" PRIu64 " bytes",
                     declared, size);
}

/* The plaintext of the verified image that was found, out of `ciphertext`, which it takes. */
static int open_plaintext(struct opening *opening, struct byte_source **ciphertext,
                          struct cancel *cancel, struct error *err)
{
    struct image_index *index = opening->index;
    struct codec_message *message = verified_image_message(opening->image);
    const uint64_t size = codec_message_plaintext_size(message);
    CLEANUP(byte_source_free) struct byte_source *source = NULL;
    struct byte_source *read_by_source;

    if (check_declared_size(opening->record, size, err) < 0 ||
        codec_message_open(message, *ciphertext, cancel, &source, err) < 0)
        return -1;
    read_by_source = steal(ciphertext);
    if (plaintext_new(source, size, read_by_source, stream_registry_buffers(index->streams),
                      index->parts.arena, &opening->plaintext, err) < 0)
        return -1;
    (void)steal(&source);
    attribute_cache_set_exact_size(index->attributes, opening->record, size);
    return 0;
}

static int open_verified(struct opening *opening, struct cancel *cancel, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *ciphertext = NULL;

    if (verified_image_open_ciphertext(opening->image, cancel, &ciphertext, err) < 0)
        return -1;
    return open_plaintext(opening, &ciphertext, cancel, err);
}

static int open_arriving(struct opening *opening, struct secure_buffer **passphrase,
                         struct cancel *cancel, struct error *err)
{
    struct image_index *index = opening->index;
    const struct arriving_image_parts parts = {.cache = index->parts.cache,
                                               .arena = index->parts.arena,
                                               .verified = index->verified,
                                               .attributes = index->attributes,
                                               .counters = &index->counters,
                                               .signatures = index->signatures,
                                               .codec = opening->codec,
                                               .record = opening->record,
                                               .key = &opening->key};

    return arriving_image_open(&parts, steal(passphrase), cancel, &opening->arriving,
                               &opening->plaintext, err);
}

/* Under verify=stream, an image that needs no pass to be verified is served as a verified one. */
static bool must_arrive(struct opening *opening, const struct secure_buffer *passphrase)
{
    struct image_index *index = opening->index;

    if (index->parts.config->verify != VERIFY_STREAM)
        return false;
    opening->image =
        verified_images_find(index->verified, opening->record, &opening->key, passphrase);
    return opening->image == NULL && !verified_images_can_recall(index->verified, opening->record);
}

/* Whether the bytes are there already; those of a verified image that is open are. */
static void count_cache_use(const struct opening *opening)
{
    struct view_counters *counters = &opening->index->counters;

    if (ciphertext_cache_has(opening->index->parts.cache, opening->record))
        atomic_fetch_add(&counters->cache_hits, 1);
    else
        atomic_fetch_add(&counters->cache_misses, 1);
}

/*
 * Finds or makes what the stream reads, once the key manager has agreed. Each open asks it, also when
 * another one holds the key: its refusal counts at once.
 */
static int open_authorised(struct opening *opening, struct cancel *cancel, struct error *err)
{
    struct image_index *index = opening->index;
    const struct image_index_parts *parts = &index->parts;
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;

    if (register_consumer(index, image_record_id(opening->record), opening->key.id, cancel, err) <
            0 ||
        key_manager_get_passphrase(parts->cloud->keys, parts->arena, opening->key.id,
                                   parts->config->key_encoding, cancel, &passphrase, err) < 0)
        return -1;
    opening->key.given_ns = clock_monotonic_ns();
    count_cache_use(opening);
    if (must_arrive(opening, passphrase)) {
        opening->verification = "stream";
        return open_arriving(opening, &passphrase, cancel, err);
    }
    if (opening->image == NULL && !verified_images_can_recall(index->verified, opening->record))
        opening->verification = "first";
    if (opening->image == NULL &&
        verified_images_acquire(index->verified, opening->record, opening->codec, &opening->key,
                                steal(&passphrase), cancel, &opening->image, err) < 0)
        return -1;
    return open_verified(opening, cancel, err);
}

/* What needs no service: the record may be read here, and names codec and key. */
static int judge_opening(struct opening *opening, struct error *err)
{
    const struct image_index_parts *parts = &opening->index->parts;
    const char *format;

    if (ownership_check(opening->record, parts->identity, parts->config->foreign_owners, err) < 0)
        return -1;
    (void)image_record_encryption(opening->record, &format);
    if (codecs_find(parts->codecs, format, &opening->codec, err) < 0 ||
        image_record_encrypt_key_id(opening->record, opening->key.id, err) < 0)
        return -1;
    opening->image =
        verified_images_find_authorised(opening->index->verified, opening->record, opening->key.id);
    return 0;
}

static int make_stream(struct opening *opening, struct read_stream **ret, struct error *err)
{
    const struct read_stream_parts parts = {.registry = opening->index->streams,
                                            .image_id = image_record_id(opening->record),
                                            .plaintext = opening->plaintext,
                                            .image = opening->image,
                                            .arriving = opening->arriving,
                                            .verification = opening->verification};

    if (read_stream_new(&parts, ret, err) < 0)
        return -1;
    opening->plaintext = NULL; /* the stream's now, as are the others */
    opening->image = NULL;
    opening->arriving = NULL;
    return 0;
}

/* Opens a stream on a place that is reserved already. */
static int open_reserved(struct image_index *index, const char *id, struct cancel *cancel,
                         struct read_stream **ret, struct error *err)
{
    CLEANUP(opening_clear) struct opening opening = {.index = index, .verification = "earlier"};
    int result;

    if (current_record(index, id, cancel, &opening.record, err) < 0 ||
        judge_opening(&opening, err) < 0)
        return -1;
    result = opening.image != NULL ? open_verified(&opening, cancel, err)
                                   : open_authorised(&opening, cancel, err);
    return result < 0 ? -1 : make_stream(&opening, ret, err);
}

/* The same from memory, on a thread that must not wait. */
static int open_at_hand(struct image_index *index, const char *id, struct read_stream **ret,
                        struct error *err)
{
    CLEANUP(opening_clear) struct opening opening = {.index = index, .verification = "earlier"};
    CLEANUP(byte_source_free) struct byte_source *ciphertext = NULL;

    opening.record = attribute_cache_record(index->attributes, id);
    if (opening.record == NULL || judge_opening(&opening, err) < 0 || opening.image == NULL ||
        verified_image_open_ciphertext_now(opening.image, &ciphertext, err) < 0 ||
        open_plaintext(&opening, &ciphertext, index->no_wait, err) < 0)
        return -1;
    return make_stream(&opening, ret, err);
}

bool image_index_open_now(struct image_index *index, const char *id, struct read_stream **ret)
{
    struct error ignored = ERROR_INIT;

    /* Without a time to live each open asks the key manager. */
    if (index->parts.config->authorise_ttl_seconds == 0 ||
        stream_registry_reserve(index->streams, &ignored) < 0)
        return false;
    if (open_at_hand(index, id, ret, &ignored) < 0) {
        stream_registry_cancel_reservation(index->streams);
        return false;
    }
    atomic_fetch_add(&index->counters.opens, 1);
    return true;
}

int image_index_open(struct image_index *index, const char *id, struct cancel *cancel,
                     struct read_stream **ret, struct error *err)
{
    int result = stream_registry_reserve(index->streams, err);

    if (result == 0) {
        result = open_reserved(index, id, cancel, ret, err);
        if (result < 0)
            stream_registry_cancel_reservation(index->streams);
    }
    if (result == 0)
        atomic_fetch_add(&index->counters.opens, 1);
    else if (err->kind != ERROR_CANCELLED)
        atomic_fetch_add(&index->counters.failed_opens, 1);
    return result;
}

/* --- for people --- */

static struct status_subject subject_of(struct image_index *index)
{
    return (struct status_subject){.version = index->parts.version,
                                   .cloud_name = index->parts.config->cloud,
                                   .verify = index->parts.config->verify,
                                   .uptime_seconds = (clock_monotonic_ns() - index->started_ns) /
                                                     NANOSECONDS_PER_SECOND,
                                   .cache = index->parts.cache,
                                   .arena = index->parts.arena,
                                   .streams = index->streams,
                                   .verified = index->verified,
                                   .counters = &index->counters,
                                   .stream_limit = index->parts.streams,
                                   .writes = index->parts.writes,
                                   .uploads = index->parts.uploads,
                                   .sandbox = index->parts.sandbox,
                                   .codecs = index->parts.codecs,
                                   .services = &index->parts.cloud->counters};
}

int image_index_status(struct image_index *index, char **ret, struct error *err)
{
    const struct status_subject subject = subject_of(index);

    return status_text(&subject, ret, err);
}

int image_index_metrics(struct image_index *index, char **ret, struct error *err)
{
    const struct status_subject subject = subject_of(index);

    return metrics_text(&subject, ret, err);
}

int image_index_space(struct image_index *index, uint64_t *ret_total_bytes,
                      uint64_t *ret_free_bytes, struct error *err)
{
    return ciphertext_cache_space(index->parts.cache, ret_total_bytes, ret_free_bytes, err);
}
