/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_verifier.h"

#include "crypto/constant_time.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct object_verifier {
    struct byte_sink sink;
    struct byte_sink *file;             /* owned; NULL when the bytes come from disk */
    struct byte_sink *observer;         /* borrowed; NULL for none */
    struct object_feed *feed;           /* borrowed; NULL for none */
    struct hash *hash;                  /* NULL when the record has none and none is required */
    uint8_t digest[HASH_MAXIMUM_BYTES]; /* what the record says */
    size_t digest_size;
    struct gmac_table *tags;
    uint8_t *block; /* bytes of the current block, not tagged yet; NULL before there are any */
    size_t block_size;
    uint64_t size;
    uint64_t expected_size; /* UINT64_MAX when the record has none */
    bool mismatch;          /* size or hash are not the record's */
};

/* Keeps part of a block; there is none in a pass over a disk, which reads blocks. */
static int keep(struct object_verifier *verifier, const uint8_t *bytes, size_t size,
                struct error *err)
{
    if (verifier->block == NULL)
        verifier->block = malloc(CACHE_BLOCK_BYTES);
    if (verifier->block == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memcpy(verifier->block + verifier->block_size, bytes, size);
    return 0;
}

/* Tags all of `bytes`, of which what does not fill a block is kept for the next time. */
static int tag_blocks(struct object_verifier *verifier, const uint8_t *bytes, size_t size,
                      struct error *err)
{
    while (size > 0) {
        const size_t room = CACHE_BLOCK_BYTES - verifier->block_size;
        const size_t part = size < room ? size : room;
        const uint8_t *block = bytes;

        if (part < CACHE_BLOCK_BYTES) {
            if (keep(verifier, bytes, part, err) < 0)
                return -1;
            block = verifier->block;
        }
        verifier->block_size += part;
        bytes += part;
        size -= part;
        if (verifier->block_size < CACHE_BLOCK_BYTES)
            continue;
        verifier->block_size = 0;
        if (gmac_table_append(verifier->tags, block, CACHE_BLOCK_BYTES, err) < 0)
            return -1;
    }
    return 0;
}

/* Followers come first: they wait for what has arrived, everybody else for the end. */
static int verifier_write(struct byte_sink *sink, const void *bytes, size_t size,
                          struct cancel *cancel, struct error *err)
{
    struct object_verifier *verifier = (struct object_verifier *)sink;

    verifier->mismatch = size > verifier->expected_size - verifier->size;
    if (verifier->mismatch)
        return error_set(err, ERROR_CORRUPT, "more stored bytes than the record's %" PRIu64,
                         verifier->expected_size);
    if (verifier->file != NULL && byte_sink_write(verifier->file, bytes, size, cancel, err) < 0)
        return -1;
    verifier->size += size;
    if (verifier->feed != NULL)
        object_feed_arrived(verifier->feed, verifier->size);
    if (verifier->observer != NULL &&
        byte_sink_write(verifier->observer, bytes, size, cancel, err) < 0)
        return -1;
    if (verifier->hash != NULL)
        hash_update(verifier->hash, bytes, size);
    return tag_blocks(verifier, bytes, size, err);
}

static int check_against_record(struct object_verifier *verifier, struct error *err)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];

    if (verifier->expected_size != UINT64_MAX && verifier->size != verifier->expected_size)
        return error_set(err, ERROR_CORRUPT,
                         "%" PRIu64 " stored bytes, but the record says %" PRIu64, verifier->size,
                         verifier->expected_size);
    if (verifier->hash == NULL)
        return 0;
    hash_finish(verifier->hash, digest);
    if (!constant_time_equal(digest, verifier->digest, verifier->digest_size))
        return error_set(err, ERROR_CORRUPT,
                         "stored bytes do not match the record's os_hash_value");
    return 0;
}

static int verifier_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct object_verifier *verifier = (struct object_verifier *)sink;

    if (verifier->block_size > 0 &&
        gmac_table_append(verifier->tags, verifier->block, verifier->block_size, err) < 0)
        return -1;
    verifier->mismatch = check_against_record(verifier, err) < 0;
    if (verifier->mismatch)
        return -1;
    if (verifier->observer != NULL && byte_sink_commit(verifier->observer, cancel, err) < 0)
        return -1;
    if (verifier->file != NULL && byte_sink_commit(verifier->file, cancel, err) < 0)
        return -1;
    return 0;
}

static void verifier_abort(struct byte_sink *sink)
{
    struct object_verifier *verifier = (struct object_verifier *)sink;

    if (verifier->file != NULL)
        byte_sink_abort(verifier->file);
    if (verifier->observer != NULL)
        byte_sink_abort(verifier->observer);
}

static void verifier_free(struct byte_sink *sink)
{
    struct object_verifier *verifier = (struct object_verifier *)sink;

    byte_sink_free(verifier->file);
    hash_free(verifier->hash);
    gmac_table_free(verifier->tags);
    free(verifier->block);
    free(verifier);
}

static const struct byte_sink_ops verifier_ops = {.write = verifier_write,
                                                  .commit = verifier_commit,
                                                  .abort = verifier_abort,
                                                  .free = verifier_free};

/* What may prove the stored bytes: os_hash_algo, or the MD5 checksum where no hash is required. */
static int choose_hash(struct object_verifier *verifier, const struct image_record *record,
                       bool require_hash, struct error *err)
{
    const char *name = image_record_hash_algo(record);
    const char *value = image_record_hash_value(record);
    enum hash_algorithm algorithm;

    if (!require_hash &&
        (name == NULL || value == NULL || !hash_algorithm_from_name(name, &algorithm))) {
        name = "md5";
        value = image_record_checksum(record);
    }
    if (!require_hash && value == NULL)
        return 0;
    if (name == NULL || value == NULL || !hash_algorithm_from_name(name, &algorithm))
        return error_set(err, ERROR_UNSUPPORTED,
                         "no os_hash_value of a known os_hash_algo (require_hash)");
    if (require_hash && algorithm != HASH_SHA256 && algorithm != HASH_SHA384 &&
        algorithm != HASH_SHA512)
        return error_set(err, ERROR_UNSUPPORTED, "os_hash_algo %s is too weak (require_hash)",
                         name);
    verifier->digest_size = hash_size(algorithm);
    if (strlen(value) != 2 * verifier->digest_size ||
        !decode_hex(value, verifier->digest_size, verifier->digest))
        return error_set(err, ERROR_UNSUPPORTED, "os_hash_value is no %s digest", name);
    return hash_new(algorithm, &verifier->hash, err);
}

int object_verifier_new(const struct image_record *record, bool require_hash,
                        struct secure_arena *arena, struct byte_sink *file,
                        struct byte_sink *observer, struct object_verifier **ret, struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = calloc(1, sizeof *verifier);

    if (verifier == NULL) {
        byte_sink_free(file);
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    verifier->sink.ops = &verifier_ops;
    verifier->file = file;
    verifier->observer = observer;
    if (!image_record_size(record, &verifier->expected_size))
        verifier->expected_size = UINT64_MAX;
    if (choose_hash(verifier, record, require_hash, err) < 0 ||
        gmac_table_new(arena, &verifier->tags, err) < 0)
        return -1;
    *ret = steal(&verifier);
    return 0;
}

struct byte_sink *object_verifier_sink(struct object_verifier *verifier)
{
    return &verifier->sink;
}

void object_verifier_set_feed(struct object_verifier *verifier, struct object_feed *feed)
{
    verifier->feed = feed;
}

bool object_verifier_found_mismatch(const struct object_verifier *verifier)
{
    return verifier->mismatch;
}

struct gmac_table *object_verifier_take_tags(struct object_verifier *verifier)
{
    return steal(&verifier->tags);
}

void object_verifier_free(struct object_verifier *verifier)
{
    if (verifier != NULL)
        byte_sink_free(&verifier->sink);
}
