/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_verifier.h"

#include "base/piece_lane.h"
#include "crypto/constant_time.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Objects of less are hashed before a thread has started. */
#define LANE_BYTES (1 * MIB)

struct object_verifier {
    struct byte_sink sink;
    struct byte_sink *file;             /* owned; NULL when the bytes come from disk */
    struct byte_sink *observer;         /* borrowed; NULL for none */
    struct object_feed *feed;           /* borrowed; NULL for none */
    _Atomic uint64_t *progress;         /* borrowed; NULL for none */
    struct hash *hash;                  /* NULL when nothing proves the bytes but their size */
    struct piece_lane *lane;            /* computes the hash; NULL: we do */
    uint8_t digest[HASH_MAXIMUM_BYTES]; /* what is expected */
    size_t digest_size;
    struct gmac_table *tags; /* NULL: none are wanted */
    uint8_t *block; /* bytes of the current block, not tagged yet; NULL before there are any */
    size_t block_size;
    uint64_t size;
    uint64_t expected_size; /* OBJECT_SIZE_UNKNOWN when nobody knows */
    enum object_verdict verdict;
};

/* --- the hash --- */

static void hash_piece(void *hash, uint8_t *bytes, size_t size)
{
    hash_update(hash, bytes, size);
}

static void add_to_hash(struct object_verifier *verifier, const uint8_t *bytes, size_t size)
{
    const uint8_t *hashed;
    size_t hashed_size;

    if (verifier->lane == NULL && verifier->hash != NULL)
        hash_update(verifier->hash, bytes, size);
    while (verifier->lane != NULL && size > 0) {
        const size_t part = size < PIECE_LANE_PIECE_BYTES ? size : PIECE_LANE_PIECE_BYTES;

        if (piece_lane_is_full(verifier->lane))
            (void)piece_lane_take(verifier->lane, &hashed, &hashed_size);
        piece_lane_put(verifier->lane, bytes, part);
        bytes += part;
        size -= part;
    }
}

/* Waits until all bytes are in the hash. */
static void finish_lane(struct object_verifier *verifier)
{
    const uint8_t *hashed;
    size_t size;

    while (verifier->lane != NULL && piece_lane_take(verifier->lane, &hashed, &size))
        ;
}

/* --- the tags --- */

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
    while (verifier->tags != NULL && size > 0) {
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

/* --- the sink --- */

static int judge(struct object_verifier *verifier, enum object_verdict verdict)
{
    verifier->verdict = verdict;
    return -1;
}

static int write_to_observer(struct object_verifier *verifier, const void *bytes, size_t size,
                             struct cancel *cancel, struct error *err)
{
    if (verifier->observer == NULL ||
        byte_sink_write(verifier->observer, bytes, size, cancel, err) == 0)
        return 0;
    return judge(verifier, OBJECT_REFUSED);
}

/* Followers come first: they wait for what has arrived, everybody else for the end. */
static int verifier_write(struct byte_sink *sink, const void *bytes, size_t size,
                          struct cancel *cancel, struct error *err)
{
    struct object_verifier *verifier = (struct object_verifier *)sink;

    if (size > verifier->expected_size - verifier->size) {
        (void)error_set(err, ERROR_CORRUPT, "more stored bytes than the record's %" PRIu64,
                        verifier->expected_size);
        return judge(verifier, OBJECT_MISMATCH);
    }
    if (verifier->file != NULL && byte_sink_write(verifier->file, bytes, size, cancel, err) < 0)
        return -1;
    verifier->size += size;
    if (verifier->feed != NULL)
        object_feed_arrived(verifier->feed, verifier->size);
    add_to_hash(verifier, bytes, size);
    if (verifier->progress != NULL)
        atomic_store(verifier->progress, verifier->size);
    if (write_to_observer(verifier, bytes, size, cancel, err) < 0)
        return -1;
    return tag_blocks(verifier, bytes, size, err);
}

static int check_against_expected(struct object_verifier *verifier, struct error *err)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];

    if (verifier->expected_size != OBJECT_SIZE_UNKNOWN && verifier->size != verifier->expected_size)
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
    finish_lane(verifier);
    if (check_against_expected(verifier, err) < 0)
        return judge(verifier, OBJECT_MISMATCH);
    if (verifier->observer != NULL && byte_sink_commit(verifier->observer, cancel, err) < 0)
        return judge(verifier, OBJECT_REFUSED);
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
    piece_lane_free(verifier->lane); /* before what it works on */
    hash_free(verifier->hash);
    gmac_table_free(verifier->tags);
    free(verifier->block);
    free(verifier);
}

static const struct byte_sink_ops verifier_ops = {.write = verifier_write,
                                                  .commit = verifier_commit,
                                                  .abort = verifier_abort,
                                                  .free = verifier_free};

/* --- what proves the bytes --- */

struct proof {
    bool exists;
    enum hash_algorithm algorithm;
    uint8_t digest[HASH_MAXIMUM_BYTES];
};

/* os_hash_algo, or the MD5 checksum where no hash is required. */
static int find_proof(const struct object_metadata *expected, bool require_hash, struct proof *ret,
                      struct error *err)
{
    const char *name = expected->hash_algo;
    const char *value = expected->hash_value;
    bool is_known = *value != '\0' && hash_algorithm_from_name(name, &ret->algorithm);

    ret->exists = false;
    if (!is_known && require_hash)
        return error_set(err, ERROR_UNSUPPORTED,
                         "no os_hash_value of a known os_hash_algo (require_hash)");
    if (!is_known) {
        name = "md5";
        value = expected->checksum;
        is_known = hash_algorithm_from_name(name, &ret->algorithm);
    }
    if (!is_known || *value == '\0')
        return 0;
    if (require_hash && ret->algorithm != HASH_SHA256 && ret->algorithm != HASH_SHA384 &&
        ret->algorithm != HASH_SHA512)
        return error_set(err, ERROR_UNSUPPORTED, "os_hash_algo %s is too weak (require_hash)",
                         name);
    if (strlen(value) != 2 * hash_size(ret->algorithm) ||
        !decode_hex(value, hash_size(ret->algorithm), ret->digest))
        return error_set(err, ERROR_UNSUPPORTED, "os_hash_value is no %s digest", name);
    ret->exists = true;
    return 0;
}

int object_verifier_can_prove(const struct object_metadata *expected, bool require_hash,
                              struct error *err)
{
    struct proof ignored;

    return find_proof(expected, require_hash, &ignored, err);
}

static int prepare_hash(struct object_verifier *verifier, const struct object_verifier_parts *parts,
                        struct error *err)
{
    struct error ignored = ERROR_INIT;
    struct proof proof;

    if (find_proof(parts->expected, parts->require_hash, &proof, err) < 0)
        return -1;
    if (!proof.exists)
        return 0;
    verifier->digest_size = hash_size(proof.algorithm);
    memcpy(verifier->digest, proof.digest, verifier->digest_size);
    if (hash_new(proof.algorithm, &verifier->hash, err) < 0)
        return -1;
    if (verifier->expected_size >= LANE_BYTES)
        (void)piece_lane_new(NULL, hash_piece, verifier->hash, &verifier->lane, &ignored);
    return 0;
}

int object_verifier_new(const struct object_verifier_parts *parts, struct object_verifier **ret,
                        struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = calloc(1, sizeof *verifier);

    if (verifier == NULL) {
        byte_sink_free(parts->file);
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    verifier->sink.ops = &verifier_ops;
    verifier->file = parts->file;
    verifier->observer = parts->observer;
    verifier->feed = parts->feed;
    verifier->progress = parts->progress;
    verifier->expected_size = parts->expected->size;
    if (prepare_hash(verifier, parts, err) < 0 ||
        (parts->arena != NULL && gmac_table_new(parts->arena, &verifier->tags, err) < 0))
        return -1;
    *ret = steal(&verifier);
    return 0;
}

struct byte_sink *object_verifier_sink(struct object_verifier *verifier)
{
    return &verifier->sink;
}

enum object_verdict object_verifier_verdict(const struct object_verifier *verifier)
{
    return verifier->verdict;
}

bool object_verifier_has_hash(const struct object_verifier *verifier)
{
    return verifier->hash != NULL;
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
