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
 * Everybody who works on a staged file holds flock(2) on it, so that a daemon and commands of the
 * same user can share one cache directory. The journal names cloud and project and holds no key.
 */
#ifndef GLANCEFS_UPLOAD_STAGING_H
#define GLANCEFS_UPLOAD_STAGING_H

#include "glancefs/byte_sink.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_service.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upload_staging;

/** Where a sealed upload is on its way. */
enum upload_state {
    UPLOAD_SEALED,    /* complete and durable here, waiting for its turn or for a retry */
    UPLOAD_UPLOADING, /* being sent */
    UPLOAD_ACTIVE,    /* the image is active with our bytes; remembered by this process only */
    UPLOAD_FAILED,    /* refused for good; the ciphertext is kept */
};

/** The state's name as users see it: "sealed", "uploading", "active", "failed". */
const char *upload_state_name(enum upload_state state);

/** What is known of one sealed upload. */
struct upload_info {
    char image_id[37];
    enum upload_state state;
    uint64_t plaintext_bytes;
    uint64_t stored_bytes;
    uint64_t sent_bytes; /* of the attempt under way */
    int64_t sealed_at;   /* seconds since the epoch */
    unsigned attempts;
    char error[ERROR_MESSAGE_BYTES]; /* why the last attempt failed, or "" */
};

/** What staging is made from; borrowed, must outlive it. */
struct upload_staging_parts {
    const char *cache_path;       /* the cache directory; CACHE/staging is made with mode 0700 */
    const char *cloud;            /* as configured: "local:/srv/cloud" */
    const char *project_id;       /* of our identity; "" for a single tenant */
    struct image_service *images;
    unsigned first_retry_ms;      /* delay after a first failure, doubled up to last_retry_ms; */
    unsigned last_retry_ms;       /* with jitter */
};

/** Opens the staging directory and purges what was not sealed and nobody holds. */
int upload_staging_new(const struct upload_staging_parts *parts, struct upload_staging **ret,
                       struct error *err);

/** Starts the background worker: sealed uploads of our cloud and project that did not fail are
 *  resumed; later ones follow as they are sealed. Others' are left alone. */
int upload_staging_start(struct upload_staging *staging, struct error *err);

/** Ends the worker (an upload under way is cut short and stays sealed). NULL is allowed. */
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

/** Where the ciphertext goes; owned by the upload. Its commit seals, its abort removes the file. */
struct byte_sink *staged_upload_sink(struct staged_upload *upload);

/** A property to set on the image before its data is sent, say "os_decrypt_size". Before commit. */
int staged_upload_set_property(struct staged_upload *upload, const char *name, const char *value,
                               struct error *err);

/** The plaintext size, for upload_info. Before commit. */
void staged_upload_set_plaintext_size(struct staged_upload *upload, uint64_t bytes);

/** Aborts unless sealed; NULL is allowed. A sealed upload is handed to the worker. */
void staged_upload_free(struct staged_upload *upload);
DEFINE_CLEANUP(struct staged_upload, staged_upload_free)

/* --- sealed uploads --- */

/** The sealed upload of image `id`. ERROR_NOT_FOUND when there is none. Never waits long. */
int upload_staging_query(struct upload_staging *staging, const char *id, struct upload_info *ret,
                         struct error *err);

/** All sealed uploads of our cloud and project, oldest first; caller frees *ret with free(3). */
int upload_staging_list(struct upload_staging *staging, struct upload_info **ret, size_t *ret_count,
                        struct error *err);

/**
 * Sends the sealed upload of image `id` now, in the calling thread, to that image or to `target`
 * (NULL for the same), with the same retries, until it is active, refused for good, or cancelled.
 * Also one that failed before. ERROR_BUSY when somebody else is sending it.
 */
int upload_staging_send(struct upload_staging *staging, const char *id, const char *target,
                        struct cancel *cancel, struct error *err);

/** Waits until the upload of image `id` is active (0) or failed (-1 with its error), by whomever it
 *  is sent. */
int upload_staging_wait(struct upload_staging *staging, const char *id, struct cancel *cancel,
                        struct error *err);

/** Deletes a sealed upload. ERROR_BUSY while it is being sent. */
int upload_staging_drop(struct upload_staging *staging, const char *id, struct error *err);

#endif
