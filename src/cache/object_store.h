/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects on disk: the steps by which one is begun, completed, read, set aside and removed, in an
 * order that a kill or a power cut at any moment leaves right or discarded. The argument stands at
 * the top of object_store.c; in short: an object is a directory with data and metadata, moved from
 * place to place by a single rename, and every file is judged anew when it is opened.
 *
 * Locks, all flock(2), so that they hold between threads and processes and die with their holder:
 * who reads an object holds a shared lock on its data, who downloads one an exclusive lock; nobody
 * removes data that somebody holds. Order: a data file's lock, then CACHE/lock. No function waits for
 * the network. "Locked" below means that the caller holds CACHE/lock.
 */
#ifndef CACHE_OBJECT_STORE_H
#define CACHE_OBJECT_STORE_H

#include "cache/cache_layout.h"
#include "cache/object_metadata.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- complete objects --- */

/**
 * Opens the data of the complete object `name` for reading, with a shared lock: as long as *ret_fd is
 * open nobody removes it. Says when it was used last: `now_ns` (wall_clock.h). ret_metadata may
 * be NULL. Waits for nobody but those who look or move a name for a moment (ERROR_BUSY when one of them
 * does not let go). ERROR_NOT_FOUND, also for one that is just being removed; ERROR_CORRUPT when
 * anything about it is not right, its bytes aside, or the disk cannot read it (errno EIO): the caller
 * sets it aside.
 */
int object_store_open(const struct cache_layout *layout, const char *name, int64_t now_ns,
                      int *ret_fd, struct object_metadata *ret_metadata, struct error *err);

/** The same for who only looks: it is not used thereby. */
int object_store_inspect(const struct cache_layout *layout, const char *name, int *ret_fd,
                         struct object_metadata *ret_metadata, struct error *err);

/** Says that the complete object `name` is used at `now_ns`. Takes no lock.
 *  Best effort. */
void object_store_touch(const struct cache_layout *layout, const char *name, int64_t now_ns);

/** True when object_store_open would succeed, as far as names and size tell. Takes no lock. */
bool object_store_has(const struct cache_layout *layout, const struct object_metadata *metadata);

/* --- downloads --- */

/** A download in our hands: the exclusive lock on its data. */
struct partial_object {
    int dir_fd;  /* CACHE/partial/<name> */
    int data_fd; /* read and write */
    uint64_t
        present; /* bytes that an earlier download left, from the first on; unproven. Not kept up
                         to date while the download goes on */
    bool is_granted; /* its space is reserved, see object_store_grant */
    bool is_published;
    uint64_t lost; /* bytes that publishing could not make durable, and gave up for that */
    char name[CACHE_OBJECT_NAME_BYTES];
};

/**
 * Takes the download of this object in hand, begun anew or where one with the same metadata ended (if
 * a hash can tell whether that was right). Waits, interruptibly, for whoever has it in hand; `progress`
 * (may be NULL) is set to what he has, with CACHE_PROGRESS_WAITS, and to 0 when that is over.
 * ERROR_EXISTS when the object is complete (maybe he completed it), as far as object_store_has tells.
 * One that is begun anew has nothing reserved; one that goes on still has what it had.
 */
int object_store_begin(const struct cache_layout *layout, const struct object_metadata *metadata,
                       _Atomic uint64_t *progress, struct cancel *cancel,
                       struct partial_object **ret, struct error *err);

/**
 * Records that the download may take its whole size, and allocates it where the filesystem can.
 * Locked: the caller has made sure that it fits. ERROR_NO_SPACE when it does not after all: then
 * nothing is reserved, unless it was before.
 */
int object_store_grant(struct partial_object *partial, const struct object_metadata *metadata,
                       struct error *err);

/**
 * Allocates `size` bytes from `offset` on, of an object whose size is not known; where the filesystem
 * cannot, a file beside the data says so, for object_store_list. Locked, as above. What lies behind the data in the end is to be given back (object_store_trim).
 */
int object_store_extend(struct partial_object *partial, uint64_t offset, uint64_t size,
                        struct error *err);

/** Gives back what is allocated behind the data. Best effort. */
void object_store_trim(struct partial_object *partial);

/** Drops all bytes that are present; they were not right, or of another image. What was granted stays
 *  granted, but is allocated no more. */
int object_store_restart(struct partial_object *partial, struct error *err);

/**
 * Completes it: data and metadata, with fetched_at `now_ns` in seconds and the size they have, are durable, then the
 * object appears under its name, instead of whatever stood there. Takes CACHE/lock. Then data_fd has
 * the reader's shared lock, and may be taken out (steal_fd).
 *
 * On failure it is still a download; but an empty one, its bytes counted in `lost`, when they could not
 * be made durable. Only when the very last fsync fails the object is there nevertheless, and right:
 * is_published tells.
 * ERROR_CORRUPT when there are not as many bytes as the metadata say; ERROR_NOT_FOUND when somebody
 * removed the download by hand.
 */
int object_store_publish(const struct cache_layout *layout, struct partial_object *partial,
                         const struct object_metadata *metadata, int64_t now_ns,
                         struct cancel *cancel, struct error *err);

/** Removes it, for one that is not worth resuming; of one that was published nothing. Best effort, but
 *  its bytes are not resumed. It is still to be freed. */
void object_store_drop(const struct cache_layout *layout, struct partial_object *partial);

/** Lets go of it: it stays, to be resumed, unless it was published or dropped. NULL is allowed. */
void partial_object_free(struct partial_object *partial);
DEFINE_CLEANUP(struct partial_object, partial_object_free)

/* --- removal --- */

/**
 * Moves an object out of sight, into the trash; what is no directory is removed at once. Locked.
 * ERROR_BUSY when somebody holds its data, ERROR_NOT_FOUND when it is gone. Data is removed by object_store_empty_trash, without the lock.
 */
int object_store_discard(const struct cache_layout *layout, enum cache_place place,
                         const char *name, struct error *err);

/**
 * Sets a complete object aside, open or not, if its data still is the file `inode` (0: whichever):
 * somebody may have fetched it anew meanwhile. What was in quarantine under this name goes; what is no
 * directory, and so no object, is removed instead. Takes
 * CACHE/lock. ERROR_NOT_FOUND when it is gone or another one.
 */
int object_store_quarantine(const struct cache_layout *layout, const char *name, uint64_t inode,
                            struct cancel *cancel, struct error *err);

/**
 * The same for an object in which object_store_open met damage: judged again under CACHE/lock, for
 * somebody may have fetched it anew meanwhile. ERROR_NOT_FOUND when it is gone, or sound by now.
 */
int object_store_quarantine_damaged(const struct cache_layout *layout, const char *name,
                                    struct cancel *cancel, struct error *err);

/** Removes what is in the trash. Best effort; harmless beside others who do the same. */
void object_store_empty_trash(const struct cache_layout *layout);

/** Bytes that the trash takes on the disk still: what nobody came to remove yet, or could not. */
uint64_t object_store_trash_bytes(const struct cache_layout *layout);

/* --- looking around --- */

/** What a listing tells of one object. */
struct stored_object {
    char name[CACHE_OBJECT_NAME_BYTES];
    enum cache_place place;
    uint64_t data_bytes;        /* of its data file by now */
    uint64_t disk_bytes;        /* what it takes, or has reserved, on disk */
    uint64_t unallocated_bytes; /* the part of that which the filesystem does not know of yet */
    int64_t last_used_ns;       /* since the epoch; of a download, when it was written last */
};

struct stored_object_list {
    struct stored_object *objects; /* in no order */
    size_t count;
    size_t unknown; /* entries that are none of ours */
};

void stored_object_list_free(struct stored_object_list *list);
DEFINE_CLEANUP(struct stored_object_list, stored_object_list_free)

/**
 * Everything in objects, partial and quarantine: by names and inodes, reading only the metadata of
 * downloads. What is none of ours is told to `unknown` (may be NULL) and left alone. Caller frees *ret.
 */
int object_store_list(const struct cache_layout *layout,
                      void (*unknown)(void *context, enum cache_place place, const char *name),
                      void *context, struct stored_object_list **ret, struct error *err);

/** Reads an object's metadata. ERROR_NOT_FOUND when either is not there, else as
 *  object_metadata_parse. */
int object_store_read_metadata(const struct cache_layout *layout, enum cache_place place,
                               const char *name, struct object_metadata *ret, struct error *err);

/** True while somebody reads or downloads it. Takes no lock that outlives the call. */
bool object_store_is_in_use(const struct cache_layout *layout, enum cache_place place,
                            const char *name);

/** Who is told, in a sentence, of what was found; may be NULL. */
struct tidy_listener {
    void (*notice)(void *context, const char *text);
    void *context;
};

/**
 * What the daemon does first: objects whose metadata or size is not right are set aside, downloads
 * that cannot be resumed are dropped, the trash is emptied, and what is none of ours is told and
 * left alone. Reads metadata, not data.
 */
int object_store_tidy(const struct cache_layout *layout, struct tidy_listener listener,
                      struct error *err);

#endif
