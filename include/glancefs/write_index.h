/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing images: plaintext goes in, ciphertext is staged, then uploaded. All semantics of
 * MOUNT/encrypt, with no FUSE in sight. `write_index` knows the files, `write_stream` is one open
 * file.
 *
 * The files of image <id>, which must be queued, ours, and name an encryption key:
 *
 *     <id>             the image itself; empty until something was written
 *     <id>.part        a staging of it, by convention of people
 *     .<id>.XXXXXX     a staging of it, by rsync (six word characters)
 *
 * An image has at most one staging, under one of these names, with at most one writer. Its state:
 *
 *     queued -> staging -> sealed -> uploading -> active      or poisoned (ours), failed (theirs)
 *
 * Closing a file does not say that it is complete: a copy whose source failed closes like one that
 * succeeded. So a staging is sealed explicitly, in one of three ways:
 *
 *   - by renaming it to <id>;
 *   - by xattr user.glancefs.commit = "1" or "size=N", N the exact size;
 *   - by the last close of <id> itself, when the size was declared (os_decrypt_size of the record,
 *     or xattr user.glancefs.size) and one handle wrote every byte of it. With `commit=close` also
 *     by the last close of <id> after a handle that wrote anything. The other names are there to be
 *     renamed, so closing them never seals.
 *
 * What could not be taken must not be half taken: a write or truncate that is refused or fails
 * poisons the staging. Everything but removing it, or opening it with O_TRUNC, then fails with EIO.
 * A call that is interrupted (ERROR_CANCELLED) transfers nothing and poisons nothing.
 *
 * Bytes are encrypted front to back. A window of `write_window` bytes before that takes writes in
 * any order, keeps them until the seal and can be read; gaps are zeros. It lies in locked memory,
 * reserved by the open, and is wiped with the seal, the poison or the removal.
 *
 * Every function may be called by any thread; those without a `cancel` never wait long.
 */
#ifndef GLANCEFS_WRITE_INDEX_H
#define GLANCEFS_WRITE_INDEX_H

#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/cloud.h"
#include "glancefs/codec.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_record.h"
#include "glancefs/secure_arena.h"
#include "glancefs/stage_counter.h"
#include "glancefs/upload_staging.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the files --- */

struct write_index;

enum write_state {
    WRITE_QUEUED,  /* nothing written yet */
    WRITE_STAGING, /* being written, or waiting to be sealed */
    WRITE_POISONED,
    WRITE_SEALED, /* these as enum upload_state */
    WRITE_UPLOADING,
    WRITE_ACTIVE,
    WRITE_FAILED,
};

/** The state's name as users see it: "queued", "staging", ... Static storage. */
const char *write_state_name(enum write_state state);

/** Bytes of the longest name with its NUL: ".<id>.XXXXXX". */
#define WRITE_NAME_BYTES 45

/** What `stat` shows of one file. */
struct write_attributes {
    char name[WRITE_NAME_BYTES];
    char image_id[37];
    enum write_state state;
    uint64_t size;      /* bytes of plaintext: the furthest byte written or declared by truncate */
    int64_t changed_at; /* seconds since the epoch */
};

/** A snapshot of files; free(3) it. */
struct write_listing {
    size_t count;
    struct write_attributes files[];
};

/** What an index is made from; everything is borrowed and must outlive it. */
struct write_index_parts {
    const struct config *config; /* commit, key_encoding, foreign_owners, staging_ttl, ... */
    struct cloud *cloud;
    struct codecs *codecs;
    const struct identity *identity;
    struct upload_staging *staging;
    struct secure_arena *arena;
    struct stream_limit *streams; /* for `max_streams`; NULL: no limit */
    /**
     * Called when a seal that nobody waits for (by close, or its caller was interrupted) has
     * ended: `err` is NULL, or says why it failed or was refused. By a thread of the index or the
     * one that closes, with no lock held. May be NULL.
     */
    void (*on_seal)(void *context, const char *image_id, const struct error *err);
    void *on_seal_context;
};

int write_index_new(const struct write_index_parts *parts, struct write_index **ret,
                    struct error *err);

/**
 * Removes what is not sealed and waits for seals under way, of which those with much left to
 * encrypt are given up. All streams must have been closed. NULL is allowed.
 */
void write_index_free(struct write_index *index);
DEFINE_CLEANUP(struct write_index, write_index_free)

/** What is known of a name without asking anybody. */
enum write_presence {
    WRITE_ABSENT,  /* no such file: not a name of ours, or nothing staged under it */
    WRITE_PRESENT, /* there it is */
    WRITE_UNKNOWN, /* the image service has to be asked: write_index_lookup */
};

/** Looks a name up in memory; *ret is set for WRITE_PRESENT. Never waits. */
enum write_presence write_index_peek(struct write_index *index, const char *name,
                                     struct write_attributes *ret);

/**
 * Attributes of file `name`. Asks the image service only for a name <id> of which nothing is
 * staged, when its record is older than a second. May wait.
 *
 * ERROR_NOT_FOUND: not a name of ours, nothing staged under it, no such image, or one that is not
 * queued. A queued one that cannot be written for another reason is found; its open says why.
 */
int write_index_lookup(struct write_index *index, const char *name, struct cancel *cancel,
                       struct write_attributes *ret, struct error *err);

/** The record of the image that file `name` belongs to, for its properties; the caller drops the
 *  reference. May wait. Errors of write_index_lookup. */
int write_index_record(struct write_index *index, const char *name, struct cancel *cancel,
                       struct image_record **ret, struct error *err);

/** All files: queued images of ours with a key, asked for anew, current stagings and sealed
 *  uploads. May wait. */
int write_index_list(struct write_index *index, struct cancel *cancel, struct write_listing **ret,
                     struct error *err);

/** The same from memory: stagings and sealed uploads only, as status shows them. */
int write_index_list_staged(struct write_index *index, struct write_listing **ret,
                            struct error *err);

/** Removes stagings that nobody has open and nobody touched for `staging_ttl`. To be called now
 *  and then (every few seconds) with clock_monotonic_ns; may wait for the disk. */
void write_index_sweep(struct write_index *index, uint64_t now_ns);

/**
 * What file `name` is about, for the audit: the image, and the key of what is staged under it, empty
 * when nothing is. False when it is no name of ours. Never waits.
 */
bool write_index_identify(struct write_index *index, const char *name, char ret_image_id[37],
                          char ret_key_id[37]);

/** Plaintext that was encrypted, and the time of it, writing the ciphertext to the disk included.
 *  Lives as long as the index. Never waits. */
const struct stage_counter *write_index_encryption(const struct write_index *index);

/* --- an open file --- */

struct write_stream;

/**
 * Opens file `name` as open(2) does with `flags`, of which the access mode, O_CREAT, O_EXCL and
 * O_TRUNC count. May wait: every open for writing asks the image service for the record, the first
 * one of a staging asks the key manager for the key. O_TRUNC starts anew, with a new session key.
 * Opening only to read takes whatever exists and waits for nobody. Close *ret.
 *
 * ERROR_NOT_FOUND: no such image, or without O_CREAT no such file. ERROR_DENIED: a name that is not
 * ours, an image of another project, or a service refused. ERROR_NO_KEY, ERROR_KEY_REJECTED: see
 * key_manager.h. ERROR_EXISTS: the image is already active, a sealed upload of it waits, or O_EXCL.
 * ERROR_UNSUPPORTED: not encrypted as GPG. ERROR_BUSY: another writer, a seal, a staging under
 * another name, or data on its way from somebody else. ERROR_EXHAUSTED (EAGAIN): no locked memory
 * is left. EIO: poisoned. EDESTADDRREQ: <id> itself, with no declared size and without
 * `commit=close`; the message says what to do.
 */
int write_index_open(struct write_index *index, const char *name, int flags, struct cancel *cancel,
                     struct write_stream **ret, struct error *err);

/**
 * Writes all `size` bytes (plaintext, in locked memory) at `offset`. What the window cannot hold
 * any more is encrypted before. Concurrent calls of one file take turns.
 *
 * ERROR_UNSUPPORTED: before the window. ERROR_TOO_LARGE: past the declared size or
 * LIMIT_PLAINTEXT_BYTES. ERROR_NO_SPACE. All of these poison. EIO: poisoned. ESTALE: removed.
 * EBADF: opened only to read.
 */
int write_stream_write(struct write_stream *stream, const void *bytes, size_t size, uint64_t offset,
                       struct cancel *cancel, struct error *err);

/** Reads what still lies in the window; *ret_size is less than `size` at its end, 0 at and after
 *  the file's size. ERROR_UNSUPPORTED elsewhere, and of a sealed file; that does not poison. */
int write_stream_read(struct write_stream *stream, void *buffer, size_t size, uint64_t offset,
                      struct cancel *cancel, size_t *ret_size, struct error *err);

/** Sets the size. 0 starts anew, with a new session key; more adds zeros; less must lie in the
 *  window. Errors and poison as for a write. */
int write_stream_truncate(struct write_stream *stream, uint64_t size, struct cancel *cancel,
                          struct error *err);

/**
 * fallocate(2): mode 0 extends the size, FALLOC_FL_KEEP_SIZE alone does nothing, PUNCH_HOLE (with
 * KEEP_SIZE) and ZERO_RANGE put zeros into the window. Other modes are ERROR_UNSUPPORTED without
 * poison; the rest as for a write.
 */
int write_stream_allocate(struct write_stream *stream, int mode, uint64_t offset, uint64_t length,
                          struct cancel *cancel, struct error *err);

/**
 * For flush (each close(2) of a descriptor) and fsync: the poison, if any; nothing is written or
 * sealed. `killed` says that the caller is being ended by a signal: that poisons what it writes.
 */
int write_stream_flush(struct write_stream *stream, bool killed, struct error *err);

/** Attributes of the open file, also once its name is gone. */
void write_stream_attributes(struct write_stream *stream, struct write_attributes *ret);

/** Ends the handle; every call on it must have returned. The last close may begin a seal, in the
 *  background. NULL is allowed. */
void write_stream_close(struct write_stream *stream);
DEFINE_CLEANUP(struct write_stream, write_stream_close)

/* --- changes by name --- */

/** truncate(2) of a path: opens for writing, truncates and closes. */
int write_index_truncate(struct write_index *index, const char *name, uint64_t size,
                         struct cancel *cancel, struct error *err);

/**
 * renameat2(2) with its flags. Only a staging's rename to <id> of its image is one, and seals it:
 * it returns when the ciphertext is durable. When interrupted, the seal goes on, and the same call
 * waits for it again.
 *
 * ERROR_BUSY: a writer is open. EIO: poisoned. ENODATA: nothing was written. ERROR_EXISTS:
 * RENAME_NOREPLACE, as <id> exists from the beginning, unless it was removed just before.
 * ERROR_INVALID: other flags, or not of the declared size. ERROR_NOT_FOUND: no such staging. ERROR_DENIED: any other rename. Errors of the
 * disk poison.
 */
int write_index_rename(struct write_index *index, const char *from, const char *to, unsigned flags,
                       struct cancel *cancel, struct error *err);

/**
 * unlink(2): removes a staging, also while it is written. An image that is only queued stays; its
 * name is hidden for some seconds, because tools remove a file before they create it.
 * ERROR_BUSY: being sealed, or a sealed upload, which only `glancefs uploads drop` removes.
 */
int write_index_remove(struct write_index *index, const char *name, struct cancel *cancel,
                       struct error *err);

/* --- extended attributes: user.glancefs.{state,size,error,commit} --- */

/**
 * Sets "user.glancefs.commit" ("1" or "size=N": seals as a rename does; "size=0" or a declared size
 * of 0 seals an empty image; does nothing when it is sealed already) or "user.glancefs.size" (N in
 * decimal: declares the size; ERROR_INVALID when it contradicts the record or what was written).
 * Any other is ERROR_UNSUPPORTED. May wait.
 */
int write_index_set_xattr(struct write_index *index, const char *name, const char *xattr,
                          const void *value, size_t value_size, struct cancel *cancel,
                          struct error *err);

/**
 * The text of "user.glancefs.state", "user.glancefs.size" (as declared, by whomever) or
 * "user.glancefs.error" (why it is poisoned or failed); caller frees. ENODATA when absent; that is
 * also the answer, without waiting, for any other name. May wait as write_index_lookup does.
 */
int write_index_get_xattr(struct write_index *index, const char *name, const char *xattr,
                          struct cancel *cancel, char **ret, struct error *err);

/** The names that write_index_get_xattr has a text for, each with its NUL, as listxattr(2) gives
 *  them; caller frees. */
int write_index_list_xattrs(struct write_index *index, const char *name, struct cancel *cancel,
                            char **ret, size_t *ret_size, struct error *err);

#endif
