/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request whose answer has to wait for something. Its `kind` says what to do: `work` on a thread
 * that may wait, then one of the two answers. A FUSE_INTERRUPT cancels its token, which ends
 * whatever it waits for, if it comes from a signal. The kernel also sends one, and no other after
 * it, for what only looks like a signal: work that io_uring hands to the caller, a freezer. EINTR
 * would then fail calls of programs that use no signals (qemu's), so the request goes on, and the
 * caller is watched for a real signal.
 *
 * Locking: libfuse calls the interrupt function with the request's own lock held, and our tokens
 * and monitors come after it; so none of our locks is held when libfuse is called.
 */
#ifndef FUSE_REQUEST_H
#define FUSE_REQUEST_H

#include "base/monitor.h"
#include "base/worker_pool.h"
#include "fuse/libfuse.h"
#include "fuse/open_handle.h"
#include "glancefs/cancel.h"
#include "glancefs/error.h"
#include "glancefs/image_view.h"
#include "glancefs/write_index.h"

#include <limits.h>
#include <stdbool.h>

struct filesystem;
struct request;

/** What a request is about. Constant objects. */
struct request_kind {
    const char *name; /* for the log: "open" */
    /** Does what may wait; not for reads. Puts what it found into `found`. */
    int (*work)(struct request *request, struct error *err);
    /** Answers when `work` succeeded. */
    void (*answer)(struct request *request);
    /** Answers when it failed; NULL for request_answer_error. */
    void (*answer_failure)(struct request *request, const struct error *err);
    /** Told how it ended before it is answered; NULL for what is not audited (request_audit.h). */
    void (*audit)(const struct request *request, int errnum);
    /** Changes an open file, which must not be taken for complete without it: where no thread can
     *  be had for it, the receive thread carries it out and waits. */
    bool is_change;
};

/* More than any value that can be set; a longer one is refused by its first bytes. */
#define XATTR_VALUE_BYTES 64

struct request {
    struct job job;
    const struct request_kind *kind;
    struct filesystem *filesystem;
    fuse_req_t req; /* not to be touched once answered */
    struct cancel *cancel;
    struct request *next, *previous; /* of the list */
    pid_t caller;                    /* the thread that waits; 0 outside our pid namespace */
    bool is_watched;                 /* was interrupted without a signal; guarded by the list's */

    /* What it asks for: what the handler was given, as far as the kind needs it. */
    fuse_ino_t inode;
    fuse_ino_t directory;     /* where `name` is: INODE_DECRYPT, INODE_ENCRYPT or 0 */
    char name[NAME_MAX + 1];  /* of the file; an image's is its id. Empty when about none */
    char other[NAME_MAX + 1]; /* the new name of a rename, or an extended attribute's */
    char value[XATTR_VALUE_BYTES];
    char key_id[37]; /* for the audit of a seal; empty when not known */
    unsigned flags;  /* of a rename or fallocate */
    size_t size;
    uint64_t offset;
    uint64_t length;
    struct fuse_file_info file;
    struct read_request read;

    void *buffer;      /* of filesystem->buffers, or NULL: */
    size_t used;       /*   this much of it may hold plaintext */
    const void *bytes; /*   this is what a write is to write */

    /* What `work` found. */
    union {
        struct image_attributes attributes;
        struct write_attributes written;
        struct image_record *record;
        struct open_handle *handle;
        struct statvfs space;
        struct {
            struct open_handle *handle;
            struct fuse_entry_param entry;
        } created;
        struct {
            char *bytes; /* freed by the answer */
            size_t size;
        } text;
        size_t size;
    } found;
};

/** Requests that are not answered yet. */
struct request_list {
    struct job watch;       /* of the watcher; must be first */
    struct monitor monitor; /* guards the list; a cancel token's or pool's lock may follow */
    struct request *first;
    struct worker_pool *watcher; /* of one thread, which comes and goes */
    bool is_watching;
};

/** May also be destroyed when this failed, with ERROR_EXHAUSTED. */
int request_list_init(struct request_list *list, struct error *err);

/** Must be empty. */
void request_list_destroy(struct request_list *list);

/** Whether a request of this kind about `name` is not answered yet. */
bool request_list_has(struct request_list *list, const struct request_kind *kind, const char *name);

/** Cancels every request in the list and waits until all were answered. */
void request_list_cancel(struct request_list *list);

/** A request about `inode`, to be completed by the caller, then started. Answers `req` itself with
 *  EAGAIN and gives NULL when there is no memory. */
struct request *request_new(fuse_req_t req, const struct request_kind *kind, fuse_ino_t inode);

/** The same without the answer. */
struct request *request_try_new(fuse_req_t req, const struct request_kind *kind, fuse_ino_t inode);

/** Names the file that the request is about, at most NAME_MAX bytes. */
void request_set_name(struct request *request, fuse_ino_t directory, const char *name);

/** Gives the request to the pool; it is answered and freed there. */
void request_start(struct request *request);

/** Carries the request out in the calling thread, for one that cannot be handed over. */
void request_run(struct request *request);

/** Makes the request listed and interruptible without a job, for reads; request_end frees it. */
void request_enlist(struct request *request);

/**
 * To be called before an answer: from here on an interrupt does nothing. Waits for an interrupt
 * function that runs.
 */
void request_claim(struct request *request);

/** Frees an answered request, and wipes its buffer. */
void request_end(struct request *request);

/** Logs the failure, but for an interruption, and answers with its errno. */
void request_answer_error(struct request *request, const struct error *err);

/** The same for what was carried out without a request; `name` as in struct request. */
void request_refuse(fuse_req_t req, const char *operation, fuse_ino_t directory, const char *name,
                    const struct error *err);

#endif
