/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one pass over an object's bytes, be they downloaded or read from disk: a sink that hashes
 * them, tags each block, passes them to the observer and, when fetching, to the file at once, where
 * those who follow read them. Its commit
 * succeeds only when size and hash are those of the record; only then observer and file are
 * committed, in this order: what the observer refuses is not worth keeping.
 */
#ifndef CACHE_OBJECT_VERIFIER_H
#define CACHE_OBJECT_VERIFIER_H

#include "cache/gmac_table.h"
#include "cache/object_feed.h"
#include "glancefs/byte_sink.h"
#include "glancefs/image_record.h"

struct object_verifier;

/**
 * A verifier for the bytes of `record`. `file` (NULL when they come from disk) is taken over,
 * also on failure; `observer` (may be NULL) and `record` are borrowed. ERROR_UNSUPPORTED when
 * `require_hash` is on and the record has no usable os_hash_value.
 */
int object_verifier_new(const struct image_record *record, bool require_hash,
                        struct secure_arena *arena, struct byte_sink *file,
                        struct byte_sink *observer, struct object_verifier **ret,
                        struct error *err);

/** The sink side; owned by the verifier. */
struct byte_sink *object_verifier_sink(struct object_verifier *verifier);

/** Tells `feed` (borrowed; NULL for nobody) of all bytes that are in the file from now on; its end is
 *  the caller's to tell. Before the first byte is written. */
void object_verifier_set_feed(struct object_verifier *verifier, struct object_feed *feed);

/** True when the bytes themselves were wrong, not the observer, the disk or the caller's patience. */
bool object_verifier_found_mismatch(const struct object_verifier *verifier);

/** The tags, to be taken over after a successful commit. */
struct gmac_table *object_verifier_take_tags(struct object_verifier *verifier);

/** Aborts file and observer unless committed; NULL is allowed. */
void object_verifier_free(struct object_verifier *verifier);
DEFINE_CLEANUP(struct object_verifier, object_verifier_free)

#endif
