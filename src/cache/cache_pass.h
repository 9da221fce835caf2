/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an object is obtained: found on disk and read once to prove it, or fetched. All is done by
 * whoever has the turn of the image (slot_table.h); other processes are met at the locks on disk.
 */
#ifndef CACHE_CACHE_PASS_H
#define CACHE_CACHE_PASS_H

#include "cache/cache_context.h"
#include "cache/object_feed.h"
#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"

#include <stdatomic.h>

/** Which object, and who else sees its bytes; all borrowed. */
struct cache_pass {
    struct ciphertext_cache *cache;
    struct image_record *record;
    struct byte_sink *observer; /* NULL: none */
    struct object_feed *feed;   /* NULL: nobody follows */
    _Atomic uint64_t *progress; /* NULL: nobody asks */
    bool
        only_fetches; /* what is on disk already is neither read nor proven, and nothing is opened */
};

/** An object and its file, open for a reader. Starts as CACHE_FINDING_INIT. */
struct cache_finding {
    struct cache_object *object;
    struct byte_source *file;
    uint64_t inode;
};

#define CACHE_FINDING_INIT                                                                         \
    {                                                                                              \
        .object = NULL                                                                             \
    }

void cache_finding_clear(struct cache_finding *finding);

/**
 * The complete object of `record` as it lies on disk, unproven: ret->file and ret->inode.
 * ERROR_NOT_FOUND when there is none. One whose metadata or size is not right is set aside first.
 */
int cache_pass_open_file(struct ciphertext_cache *cache, const struct image_record *record,
                         struct cache_finding *ret, struct error *err);

/** Obtains the object: proven, with its tags, unless the pass `only_fetches`. *ret_was_there: nothing
 *  was fetched. Errors as ciphertext_cache_open. */
int cache_pass_run(const struct cache_pass *pass, struct cancel *cancel, struct cache_finding *ret,
                   bool *ret_was_there, struct error *err);

/** Ends the turn of `slot`, in which `object` was obtained; NULL: none. What was refused meanwhile is
 *  not kept. */
void cache_pass_release(struct ciphertext_cache *cache, struct slot *slot,
                        const struct image_record *record, struct cache_object *object);

/** A source over what was found, whose file it takes over, also on failure. */
int cache_pass_open_reader(struct ciphertext_cache *cache, struct cache_finding *finding,
                           struct byte_source **ret, struct error *err);

/** Reads `source`, a complete object's bytes, to its end into `sink`, then commits that. What the disk
 *  cannot read is ERROR_CORRUPT, see object_directory_blame_disk. */
int cache_pass_copy(struct byte_source *source, struct byte_sink *sink, struct cancel *cancel,
                    struct error *err);

/** Sets an object aside, if its data is the file `inode` still, which the caller has open: so that no
 *  other file has that number. Best effort. */
void cache_pass_quarantine(struct ciphertext_cache *cache, const char *name, uint64_t inode);

/** Sets an object aside that object_store_open found damaged, if it still is. Best effort. */
void cache_pass_quarantine_damaged(struct ciphertext_cache *cache, const char *name);

#endif
