/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one pass over an object's bytes, be they downloaded or read from disk: a sink that hashes
 * them, tags each block, passes them to the observer and, when fetching, to the file at once, where
 * those who follow read them. Its commit succeeds only when size and hash are those that are expected;
 * only then observer and file are committed, in this order: what the observer refuses is not worth
 * keeping.
 *
 * The hash is the wall of a fetch, so that of a large object is computed by a thread of its own.
 */
#ifndef CACHE_OBJECT_VERIFIER_H
#define CACHE_OBJECT_VERIFIER_H

#include "cache/gmac_table.h"
#include "cache/object_feed.h"
#include "cache/object_metadata.h"
#include "glancefs/byte_sink.h"

#include <stdbool.h>
#include <stdint.h>

struct object_verifier;

/** What a verifier is made from; borrowed, but for the file. */
struct object_verifier_parts {
    const struct object_metadata *expected; /* copied */
    bool require_hash;                      /* a strong one: not the MD5 checksum, not SHA-1 */
    struct secure_arena *arena;             /* NULL: no tags are made */
    struct byte_sink *file;                 /* taken over, also on failure; NULL: it is on disk */
    struct byte_sink *observer;             /* NULL: none */
    struct object_feed *feed;   /* NULL: nobody follows; its end is the caller's to tell */
    _Atomic uint64_t *progress; /* set to the bytes that have passed; NULL: nobody asks */
};

/** ERROR_UNSUPPORTED when a hash is required and what is `expected` has no usable one. */
int object_verifier_new(const struct object_verifier_parts *parts, struct object_verifier **ret,
                        struct error *err);

/** The error that object_verifier_new would give, before anything is begun. */
int object_verifier_can_prove(const struct object_metadata *expected, bool require_hash,
                              struct error *err);

/** The sink side; owned by the verifier. */
struct byte_sink *object_verifier_sink(struct object_verifier *verifier);

/** Why a pass did not end well, as far as the bytes are to blame. */
enum object_verdict {
    OBJECT_NOT_JUDGED, /* neither: the service, the disk or the caller's patience ended it */
    OBJECT_MISMATCH,   /* the bytes themselves were wrong */
    OBJECT_REFUSED     /* the observer had enough of them */
};

enum object_verdict object_verifier_verdict(const struct object_verifier *verifier);

/** False when nothing but the size can prove the bytes. */
bool object_verifier_has_hash(const struct object_verifier *verifier);

/** The tags, to be taken over after a successful commit; NULL without an arena. */
struct gmac_table *object_verifier_take_tags(struct object_verifier *verifier);

/** Aborts file and observer unless committed; NULL is allowed. */
void object_verifier_free(struct object_verifier *verifier);
DEFINE_CLEANUP(struct object_verifier, object_verifier_free)

#endif
