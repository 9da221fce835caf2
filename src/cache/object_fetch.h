/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One download of an object, from the image service or from where an earlier one ended, until it is
 * published: hashed, tagged, shown to the observer and to followers as it arrives, in one pass.
 *
 * A download that was cut (connection, service, cancel, kill, no descriptors) stays and is resumed, as
 * long as the record names the same bytes: what it left is read once more, so that hash and observer
 * see everything. One that turned out wrong, that the observer refused or that the disk has no room for is
 * dropped. Where nobody saw the bytes, one that was resumed and turned out wrong is begun anew at once.
 */
#ifndef CACHE_OBJECT_FETCH_H
#define CACHE_OBJECT_FETCH_H

#include "cache/cache_space.h"
#include "cache/download_queue.h"
#include "cache/gmac_table.h"
#include "cache/object_feed.h"
#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"
#include "glancefs/image_service.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>

/** All is borrowed. */
struct object_fetch {
    const struct cache_layout *layout;
    struct cache_space *space;
    struct image_service *images;
    struct download_queue *queue; /* where it waits for its turn; NULL: nowhere */
    struct secure_arena *arena;   /* NULL: no tags are made, for whoever will not read */
    bool require_hash;
    struct image_record *record;
    struct byte_sink *observer; /* NULL: none */
    struct object_feed *feed;   /* NULL: nobody follows */
    _Atomic uint64_t *progress; /* see ciphertext_cache_fetch; NULL: nobody asks */
};

/** What was obtained. */
struct fetched_object {
    struct gmac_table *tags; /* owned by the caller; NULL without an arena */
    int data_fd;             /* owned by the caller: the data, with a reader's lock */
    uint64_t size;
};

/**
 * Runs it. ERROR_EXISTS when somebody else, in this process or another, completed the object first.
 * ERROR_NO_SPACE when there is no room that could be made. ERROR_EXHAUSTED when its turn did not
 * come. ERROR_CORRUPT: size or hash are not the record's. Else what image service, observer or disk answered.
 */
int object_fetch_run(const struct object_fetch *fetch, struct cancel *cancel,
                     struct fetched_object *ret, struct error *err);

#endif
