/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object's bytes while they arrive: how many can be read by now, and in the end whether they
 * are what the record says. One writer tells, any number of followers read along; none of them
 * holds the writer up.
 *
 * Lock order: a feed's monitor comes last; nothing is locked inside.
 */
#ifndef CACHE_OBJECT_FEED_H
#define CACHE_OBJECT_FEED_H

#include "glancefs/byte_source.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdint.h>

struct object_feed;

/** Told by each follower that is freed, as the last thing it does with the feed. Any thread. */
struct follower_listener {
    void (*left)(void *context);
    void *context;
};

/** A feed of which nothing has arrived, with one reference. */
int object_feed_new(struct object_feed **ret, struct error *err);

/** One more reference. Any thread. */
struct object_feed *object_feed_ref(struct object_feed *feed);

/** Gives a reference back; NULL is allowed. Any thread. */
void object_feed_unref(struct object_feed *feed);
DEFINE_CLEANUP(struct object_feed, object_feed_unref)

/* --- the writer's side --- */

/** Says where the bytes will be, and takes it over. Once, before any byte is said to be there. */
void object_feed_set_file(struct object_feed *feed, struct byte_source *file);

/** The first `size` bytes can be read from the file. `size` never shrinks. */
void object_feed_arrived(struct object_feed *feed, uint64_t size);

/** Nothing more will come: everything was right and is published, or (`err` not NULL) why not. */
void object_feed_end(struct object_feed *feed, const struct error *err);

/* --- the followers' side --- */

/**
 * A follower; takes a reference of its own. Its pread gives bytes at any offset, and waits,
 * interruptibly, for those that have not arrived. It does not tell where the object ends before the
 * feed ended well; after a bad end every read that needs more than arrived, or the end, fails with
 * the error of that end. Its size is BYTE_SOURCE_SIZE_UNKNOWN. The bytes themselves are not checked
 * again: what they hold must prove itself. Thread-safe. On failure the listener is not told.
 */
int object_feed_follow(struct object_feed *feed, struct follower_listener listener,
                       struct byte_source **ret, struct error *err);

#endif
