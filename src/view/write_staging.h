/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of one image's staging, and the set of all stagings of an index.
 *
 * Two things guard a staging. The set's monitor guards its fields; it is never held while anything
 * waits for a service, the disk or the codec. Whoever works on the content holds the staging's
 * turn, one at a time, and waits for it with a cancel token. A poison can come while somebody
 * else has the turn; the content is then freed when that turn ends, so no plaintext outlives a
 * poison for long.
 *
 *     IDLE -> OPENING -> OPEN <-> POISONED
 *                          |`--> SEALING -> SEALED (or POISONED)
 *                          `---> REMOVED
 */
#ifndef VIEW_WRITE_STAGING_H
#define VIEW_WRITE_STAGING_H

#include "base/monitor.h"
#include "base/uuid.h"
#include "base/worker_pool.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/write_index.h"
#include "view/write_content.h"

#include <stdbool.h>
#include <stdint.h>

/** How long the name of a queued image stays hidden after its removal. */
#define WRITE_HIDDEN_SECONDS 5

struct write_stagings;

enum staging_phase {
    STAGING_IDLE,    /* nothing staged: remembers a declared size, or that a name is hidden */
    STAGING_OPENING, /* the first open is under way, with the turn */
    STAGING_OPEN,
    STAGING_POISONED,
    STAGING_SEALING,
    STAGING_SEALED,  /* and off the list: the upload tells the rest */
    STAGING_REMOVED, /* and off the list */
};

/** How a seal ended; belongs to the caller who waits for it. */
struct seal_outcome {
    bool is_known;
    struct error error; /* set when it failed */
};

struct write_staging {
    struct job job; /* a seal or a disposal; must be first */
    struct write_stagings *set;
    char image_id[UUID_TEXT_BYTES]; /* constant */

    /* Guarded by the set's monitor. */
    struct write_staging *next;
    unsigned references; /* the list, handles, callers and jobs */
    bool is_listed;
    enum staging_phase phase;
    char name[WRITE_NAME_BYTES]; /* of the file; empty while idle */
    bool is_busy;                /* somebody has the turn */
    unsigned handles;
    bool has_writer;
    bool seals_at_last_close;
    struct seal_outcome *seal_outcome; /* of who waits for the seal; NULL when nobody does */
    bool size_is_declared_by_xattr;
    uint64_t declared_size; /* by record or xattr, or BYTE_SOURCE_SIZE_UNKNOWN */
    uint64_t size;          /* of the content, for those without the turn */
    int64_t changed_at;     /* seconds since the epoch */
    uint64_t idle_since_ns; /* clock_monotonic_ns of the last close */
    uint64_t hidden_until_ns;
    struct error poison;          /* the first cause */
    char key_id[UUID_TEXT_BYTES]; /* of the content; empty before there was one */

    struct write_content *content; /* belongs to who has the turn; NULL unless open or sealing */
};

struct write_stagings {
    struct monitor monitor; /* taken after a cancel token's lock, before a pool's */
    struct write_staging *first;
    struct worker_pool *pool; /* for seals and disposals */
    struct cancel *shutdown;
    void (*on_seal)(void *context, const char *image_id, const struct error *err);
    void *on_seal_context;
};

/** An empty set; on_seal as in struct write_index_parts. */
int write_stagings_new(void (*on_seal)(void *, const char *, const struct error *), void *context,
                       struct write_stagings **ret, struct error *err);

/** Removes all stagings; none may have a handle. NULL is allowed. */
void write_stagings_free(struct write_stagings *set);
DEFINE_CLEANUP(struct write_stagings, write_stagings_free)

/* --- with the monitor locked --- */

/** The staging of image `id`, or NULL. */
struct write_staging *write_stagings_find(struct write_stagings *set, const char *id);

/** The staging of image `id`, made idle when there is none. NULL without memory. */
struct write_staging *write_stagings_find_or_add(struct write_stagings *set, const char *id);

/** One more reference. */
struct write_staging *write_staging_ref(struct write_staging *staging);

/** Takes it off the list, if it is on it; the caller has a reference of its own. */
void write_staging_unlist(struct write_staging *staging);

/** True when something is staged under a name: opening, open, poisoned or sealing. */
bool write_staging_has_file(const struct write_staging *staging);

/** True while the name of the queued image shall not be seen. */
bool write_staging_hides_image(const struct write_staging *staging);

/** What `stat` shows of the staged file. */
void write_staging_attributes(const struct write_staging *staging, struct write_attributes *ret);

/** 0 when the content can be written or read, else why not: EIO, ESTALE, being sealed. */
int write_staging_check(const struct write_staging *staging, struct error *err);

/** An open staging becomes poisoned; others stay as they are. */
void write_staging_poison(struct write_staging *staging, const struct error *cause);

/** The error of a seal that would be refused now, else 0; `expected_size` may be NULL. */
int write_staging_check_seal(const struct write_staging *staging, const uint64_t *expected_size,
                             struct error *err);

/** Begins a seal that write_staging_check_seal allows, in the background. */
int write_staging_begin_seal(struct write_staging *staging, struct error *err);

/** Frees the content in the background, when it is poisoned and nobody has the turn. */
void write_staging_begin_disposal(struct write_staging *staging);

/* --- without it --- */

/** Gives a reference back; the last one frees. NULL is allowed. */
void write_staging_unref(struct write_staging *staging);
DEFINE_CLEANUP(struct write_staging, write_staging_unref)

/** Waits for the turn. ERROR_CANCELLED. */
int write_staging_take_turn(struct write_staging *staging, struct cancel *cancel,
                            struct error *err);

/** Gives the turn up, and frees the content when it is not wanted any more. */
void write_staging_end_turn(struct write_staging *staging);

/** Checks, begins and waits for a seal, or waits for one that nobody waits for. ERROR_CANCELLED:
 *  interrupted, while the seal goes on. */
int write_staging_seal(struct write_staging *staging, const uint64_t *expected_size,
                       struct cancel *cancel, struct error *err);

/** Ends a removal: with the turn, which this gives up, and in the phase STAGING_REMOVED. Frees the
 *  content and takes the staging off the list. */
void write_staging_finish_removal(struct write_staging *staging);

/** Removes what nobody has open and nobody touched for `ttl_ns`. */
void write_stagings_sweep(struct write_stagings *set, uint64_t now_ns, uint64_t ttl_ns);

#endif
