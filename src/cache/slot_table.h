/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cache knows of images: who uses one, whose turn it is to fetch or verify it, and the
 * verified objects it remembers. One caller at a time has the turn of an image; he may hand it over
 * to a transfer, a pass in the background that others follow. Such a transfer belongs to its
 * followers and to those who wait for their turn: when the last of them leaves, it is cancelled.
 *
 * Thread-safe; memory only: the table's lock is never held over I/O. Lock order: a cancel token's
 * lock, then the table's.
 */
#ifndef CACHE_SLOT_TABLE_H
#define CACHE_SLOT_TABLE_H

#include "base/monitor.h"
#include "base/uuid.h"
#include "cache/cache_object.h"
#include "glancefs/cancel.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/error.h"

#include <stdbool.h>

/** One image. The caller whose turn it is holds a pointer, and passes it on. */
struct slot;

struct slot_table {
    struct monitor monitor; /* guards the slots and what is said below */
    struct slot *slots;     /* the most recently used one first */
};

/** What somebody passes over, and what for. Who wants the same may share a transfer. */
struct slot_pass {
    char name[CACHE_OBJECT_NAME_BYTES]; /* of the object */
    struct pass_key key;
};

/** The table's part of a transfer, embedded in it. */
struct slot_transfer {
    struct slot_pass pass; /* constant */
    struct cancel *cancel; /* of the pass; owned by the transfer */
    struct slot *slot;     /* while others may follow it; guarded by the table */
    unsigned references;   /* followers and its job; guarded by the table */
};

void slot_table_init(struct slot_table *table);

/** Forgets everything; nobody may use the table any more. */
void slot_table_clear(struct slot_table *table);

/** Waits for the turn of image `id`. Ends early, without it, when cancelled. */
int slot_table_acquire(struct slot_table *table, const char *id, struct cancel *cancel,
                       struct slot **ret, struct error *err);

/**
 * The same, but a transfer that makes the same `pass` is as good: then *ret_transfer is it, of which
 * a reference is taken, and there is no turn. Else *ret_transfer is NULL. Any other transfer is
 * waited for: its observer checks something else.
 */
int slot_table_join(struct slot_table *table, const char *id, const struct slot_pass *pass,
                    struct cancel *cancel, struct slot **ret, struct slot_transfer **ret_transfer,
                    struct error *err);

/** Makes `transfer` that of `slot`, whose turn it has now, with two references: its job's, which
 *  ends the turn by slot_table_release, and the caller's. */
void slot_table_hand_over(struct slot_table *table, struct slot *slot,
                          struct slot_transfer *transfer);

/** Gives a reference back; true when it was the last and the transfer is to be freed. */
bool slot_table_leave(struct slot_table *table, struct slot_transfer *transfer);

/** Ends the turn. A newly obtained `object` (NULL: there is none) replaces what was remembered. */
void slot_table_release(struct slot_table *table, struct slot *slot, struct cache_object *object);

/** Marks the turn that somebody has of image `id`, until it ends: what comes of it is not wanted. False
 *  when nobody has it. */
bool slot_table_refuse(struct slot_table *table, const char *id);

/** True when the present turn was marked so; asked by whoever has it. */
bool slot_table_is_refused(struct slot_table *table, const struct slot *slot);

/** The object remembered for image `id`, if it is called `name`, with a reference; else NULL. Needs
 *  no turn: what is remembered was verified. */
struct cache_object *slot_table_object(struct slot_table *table, const char *id, const char *name);

/** Forgets `object`, if it is remembered still. Never waits. */
void slot_table_forget(struct slot_table *table, const struct cache_object *object);

#endif
