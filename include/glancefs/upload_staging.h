/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upload staging: ciphertext on its way to the image service, in CACHE/staging.
 *
 * A staged upload is written front to back through a sink. Its commit is the seal: data, then the
 * journal entry, then the directory are durable before it returns, and from then on a kill loses
 * nothing. Sealed uploads are sent in the background, exactly once: a lost reply is resolved by
 * comparing the service's size and hash with ours. What is not sealed is purged at start. A failed
 * upload keeps its ciphertext until somebody drops it.
 *
 * Everybody who works on a staged file holds a lock on it (an open file description lock, fcntl(2):
 * unlike flock it can be asked about without being taken), so that a daemon and commands of the
 * same user can share one cache directory. The journal names cloud and project and holds no key.
 */
#ifndef GLANCEFS_UPLOAD_STAGING_H
#define GLANCEFS_UPLOAD_STAGING_H

#include "glancefs/byte_sink.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/consumer_registry.h"
#include "glancefs/error.h"
#include "glancefs/image_service.h"
#include "glancefs/limit_use.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upload_staging;
struct signature_key;

/** Where a sealed upload is on its way. */
enum upload_state {
    UPLOAD_SEALED,    /* complete and durable here, waiting for its turn or for a retry */
    UPLOAD_UPLOADING, /* being sent, by us or by another process */
    UPLOAD_ACTIVE,    /* the image is active with our bytes; remembered by this process only */
    UPLOAD_FAILED,    /* refused for good, or its journal cannot be read; all of it is kept */
};

/** The state's name as users see it: "sealed", "uploading", "active", "failed". */
const char *upload_state_name(enum upload_state state);

/** What is known of one sealed upload. */
struct upload_info {
    char image_id[37];
    enum upload_state state;
    uint64_t plaintext_bytes;
    uint64_t stored_bytes;
    uint64_t sent_bytes;             /* of the attempt under way in this process, else 0 */
    int64_t sealed_at;               /* seconds since the epoch */
    unsigned attempts;               /* how often its data was sent, by whomever */
    char error[ERROR_MESSAGE_BYTES]; /* why the last attempt did not end it, or "" */
};

/** What staging is made from; borrowed, must outlive it. */
struct upload_staging_parts {
    const char *cache_path; /* the cache directory; CACHE/staging is made with mode 0700 */
    const char *cloud; /* where images are: "local:/srv/cloud", "openstack:demo@RegionOne"; UTF-8 */
    const char
        *former_cloud; /* what earlier versions called it, whose uploads are ours too; or NULL */
    const char *project_id; /* of our identity; "" for a single tenant */
    struct image_service *images;
    struct consumer_registry *consumers; /* told of the secret before the data go; NULL: is not */
    const struct signature_key *signing_key; /* signs what is sealed; NULL: images are not signed */
    const char *signing_certificate;         /* id, in the key manager, of the key's certificate */
    unsigned first_retry_ms; /* delay after a first failure, doubled up to last_retry_ms; */
    unsigned last_retry_ms;  /* with jitter */
    unsigned max_uploads;    /* of the background worker at a time, 1 to 64 */

    /** May be NULL. Told how an upload of the background worker ended, by a thread of the worker:
     *  `err` is NULL when the image is active, else it says why it was refused for good. */
    void (*on_end)(void *context, const char *image_id, const struct error *err);
    void *on_end_context;
};

/** Opens the staging directory and purges what was not sealed and nobody holds. The crypto libraries
 *  were set up before. */
int upload_staging_new(const struct upload_staging_parts *parts, struct upload_staging **ret,
                       struct error *err);

/** Starts the background worker: sealed uploads of our cloud and project that did not fail are
 *  resumed; later ones follow as they are sealed, at once by this process and in time by others.
 *  Other clouds' and projects' are left alone. Once, before any staged upload. */
int upload_staging_start(struct upload_staging *staging, struct error *err);

/** Ends the worker (an upload under way is cut short and stays sealed). No other call may be under
 *  way and every staged upload is freed. NULL is allowed. */
void upload_staging_free(struct upload_staging *staging);
DEFINE_CLEANUP(struct upload_staging, upload_staging_free)

/* --- writing --- */

/** One upload being written. */
struct staged_upload;

/**
 * Begins the staging of image `id`. ERROR_BUSY when another one of this image is being written,
 * ERROR_EXISTS when one is sealed (waiting, or failed and not dropped).
 */
int staged_upload_new(struct upload_staging *staging, const char *id, struct staged_upload **ret,
                      struct error *err);

/**
 * Where the ciphertext goes; owned by the upload. Its commit seals and hands over to the worker, its
 * abort removes the file. Neither can be cancelled: a failure would be final, and a local disk
 * answers soon.
 */
struct byte_sink *staged_upload_sink(struct staged_upload *upload);

/** A property to set on the image before its data is sent, say "os_decrypt_size". Before commit;
 *  UTF-8, the last value of one name counts. */
int staged_upload_set_property(struct staged_upload *upload, const char *name, const char *value,
                               struct error *err);

/** The plaintext size, for upload_info. Before commit. */
void staged_upload_set_plaintext_size(struct staged_upload *upload, uint64_t bytes);

/** Aborts unless sealed; NULL is allowed. */
void staged_upload_free(struct staged_upload *upload);
DEFINE_CLEANUP(struct staged_upload, staged_upload_free)

/* --- sealed uploads --- */

/** The sealed upload of image `id`, or the one this process completed lately. ERROR_NOT_FOUND when
 *  there is none of our cloud and project. Never waits long. */
int upload_staging_query(struct upload_staging *staging, const char *id, struct upload_info *ret,
                         struct error *err);

/** What the background worker does now, against `max_uploads`; all zeros before its start. `waiting`
 *  counts those that could be sent at once, not those whose next attempt is later. Any thread. */
void upload_staging_use(struct upload_staging *staging, struct limit_use *ret);

/** All sealed uploads of our cloud and project, oldest first; caller frees *ret with free(3). */
int upload_staging_list(struct upload_staging *staging, struct upload_info **ret, size_t *ret_count,
                        struct error *err);

/**
 * Sends the sealed upload of image `id` now, in the calling thread, to that image or to `target`
 * (NULL for the same), with the same retries, until it is active, refused for good, or cancelled.
 * Also one that failed before. What another target answers is not remembered.
 *
 * ERROR_TIMEOUT when the image has been saved for so long after an attempt that it may never end;
 * ERROR_BUSY when somebody else is sending it, ERROR_NOT_FOUND when there is none, ERROR_CORRUPT or
 * ERROR_UNSUPPORTED when its journal cannot be read; else the error of who refused.
 */
int upload_staging_send(struct upload_staging *staging, const char *id, const char *target,
                        struct cancel *cancel, struct error *err);

/**
 * Waits until the upload of image `id` is active (0) or failed (-1 with its error), by whomever it
 * is sent. When nothing is staged for it (any more), the image service tells: 0 when the image is
 * active, with our bytes as far as we know them; else ERROR_NOT_FOUND.
 */
int upload_staging_wait(struct upload_staging *staging, const char *id, struct cancel *cancel,
                        struct error *err);

/** Deletes a sealed upload, also one whose journal cannot be read. ERROR_BUSY while it is being sent,
 *  ERROR_DENIED when it belongs to another cloud or project. */
int upload_staging_drop(struct upload_staging *staging, const char *id, struct error *err);

#endif
