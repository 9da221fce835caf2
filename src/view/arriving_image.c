/* SPDX-License-Identifier: Apache-2.0 */
#include "view/arriving_image.h"

#include "view/image_content.h"

#include <inttypes.h>
#include <stdlib.h>

struct arriving_image {
    struct arriving_image_parts parts;
    struct image_record *record;
    struct secure_buffer *passphrase; /* NULL once the verified image has it */
    struct given_key key;
    struct verified_image *verified; /* NULL until then */
    struct byte_source *ciphertext;  /* the stream's */
};

void arriving_image_free(struct arriving_image *arriving)
{
    if (arriving == NULL)
        return;
    verified_image_release(arriving->verified);
    secure_buffer_free(arriving->passphrase);
    image_record_unref(arriving->record);
    free(arriving);
}

static int new_arriving(const struct arriving_image_parts *parts, struct secure_buffer **passphrase,
                        struct arriving_image **ret, struct error *err)
{
    struct arriving_image *arriving = calloc(1, sizeof *arriving);

    if (arriving == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    arriving->parts = *parts;
    arriving->record = image_record_ref(parts->record);
    arriving->passphrase = steal(passphrase);
    arriving->key = *parts->key;
    *ret = arriving;
    return 0;
}

static void become_verified(void *context, struct codec_message *message)
{
    struct arriving_image *arriving = context;
    const struct arriving_image_parts *parts = &arriving->parts;

    atomic_fetch_add(&parts->counters->verifications, 1);
    attribute_cache_set_exact_size(parts->attributes, arriving->record,
                                   codec_message_plaintext_size(message));
    arriving->verified =
        verified_images_adopt(parts->verified, arriving->record, parts->codec, &arriving->key,
                              steal(&arriving->passphrase), message);
}

/* --- opening --- */

/* True when it may be the fault of a bad copy that the codec refuses a message. */
static bool is_verdict(const struct error *why)
{
    return why->kind == ERROR_CORRUPT || why->kind == ERROR_UNSUPPORTED ||
           why->kind == ERROR_TOO_LARGE;
}

/*
 * The codec refuses what it reads. A copy on disk is then followed to its end all the same: it may
 * be the copy that is bad, which only the hash tells, and then the cache sets it aside. What is only
 * arriving is not worth keeping.
 */
static void let_copy_be_judged(const struct arriving_image *arriving,
                               struct byte_source *ciphertext, const struct error *why,
                               struct cancel *cancel)
{
    struct error ignored = ERROR_INIT;
    uint8_t byte;
    size_t got;

    if (!is_verdict(why))
        return;
    if (ciphertext_cache_has(arriving->parts.cache, arriving->record))
        (void)byte_source_pread(ciphertext, &byte, 1, INT64_MAX, cancel, &got, &ignored);
    else
        ciphertext_cache_refuse(arriving->parts.cache, arriving->record);
}

static void reading_failed(void *context, const struct error *why, struct cancel *cancel)
{
    const struct arriving_image *arriving = context;

    let_copy_be_judged(arriving, arriving->ciphertext, why, cancel);
}

static int follow(const struct arriving_image *arriving, struct cancel *cancel,
                  struct byte_source **ret, struct error *err)
{
    const struct arriving_image_parts *parts = &arriving->parts;
    struct byte_sink *observer = NULL;
    struct pass_key key;

    if (image_content_pass_key(parts->signatures, arriving->record, &key, err) < 0 ||
        (signature_policy_asks(parts->signatures) &&
         signature_sink_new(parts->signatures, arriving->record, NULL, cancel, &observer, err) < 0))
        return -1;
    return ciphertext_cache_follow(parts->cache, arriving->record, &key, observer, cancel, ret,
                                   err);
}

static int try_open_stream(struct arriving_image *arriving, struct cancel *cancel,
                           struct codec_stream **ret, struct error *err)
{
    const struct arriving_image_parts *parts = &arriving->parts;
    CLEANUP(byte_source_free) struct byte_source *ciphertext = NULL;

    if (follow(arriving, cancel, &ciphertext, err) < 0)
        return -1;
    if (codec_open_stream(parts->codec, parts->arena, ciphertext, arriving->passphrase, cancel, ret,
                          err) < 0) {
        let_copy_be_judged(arriving, ciphertext, err, cancel);
        return -1;
    }
    arriving->ciphertext = steal(&ciphertext);
    return 0;
}

/* Where a copy on disk turned out bad, the image itself may be sound. */
static int open_stream(struct arriving_image *arriving, struct cancel *cancel,
                       struct codec_stream **ret, struct error *err)
{
    const struct arriving_image_parts *parts = &arriving->parts;
    const bool had_copy = ciphertext_cache_has(parts->cache, arriving->record);

    if (try_open_stream(arriving, cancel, ret, err) == 0)
        return 0;
    if (!had_copy || !is_verdict(err) || ciphertext_cache_has(parts->cache, arriving->record))
        return -1;
    return try_open_stream(arriving, cancel, ret, err);
}

/* What is known of the plaintext's size; the record and the packets must not contradict. */
static int find_size(const struct arriving_image *arriving, const struct codec_stream *stream,
                     uint64_t *ret, struct error *err)
{
    const uint64_t promised = codec_stream_plaintext_size(stream);
    uint64_t declared = 0;
    bool is_declared = false;

    if (image_record_decrypt_size(arriving->record, &is_declared, &declared, err) < 0)
        return -1;
    if (is_declared && promised != BYTE_SOURCE_SIZE_UNKNOWN && declared != promised)
        return error_set(err, ERROR_CORRUPT,
                         "declared size %" PRIu64 " (os_decrypt_size) but holds %" PRIu64 " bytes",
                         declared, promised);
    *ret = is_declared ? declared : promised;
    if (*ret == BYTE_SOURCE_SIZE_UNKNOWN && codec_stream_is_compressed(stream))
        return error_set(err, ERROR_UNSUPPORTED,
                         "is compressed and declares no size (os_decrypt_size): verify=stream "
                         "does not serve it");
    return 0;
}

int arriving_image_open(const struct arriving_image_parts *parts, struct secure_buffer *passphrase,
                        struct cancel *cancel, struct arriving_image **ret,
                        struct plaintext **ret_plaintext, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *unused_passphrase = passphrase;
    CLEANUP(arriving_image_free) struct arriving_image *arriving = NULL;
    CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
    uint64_t size;

    if (new_arriving(parts, &unused_passphrase, &arriving, err) < 0 ||
        open_stream(arriving, cancel, &stream, err) < 0 ||
        find_size(arriving, stream, &size, err) < 0)
        return -1;
    const struct verified_listener listener = {
        .verified = become_verified, .failed = reading_failed, .context = arriving};
    if (plaintext_arriving_new(stream, size, parts->arena, listener, ret_plaintext, err) < 0)
        return -1;
    (void)steal(&stream);
    *ret = steal(&arriving);
    return 0;
}
