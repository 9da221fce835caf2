/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decrypted views of a cloud's encrypted images: all semantics of the mount, with no FUSE in
 * sight. `image_index` knows the images; `read_stream` is one open file.
 *
 * Under verify=first nothing is handed out that was not verified first: image_index_open fetches the
 * image, checks its hash and decrypts it once from front to back before the first byte can be read.
 * Under verify=stream bytes are handed out while the image arrives, but for the last
 * STREAM_WITHHELD_BYTES, which come when all of it was verified.
 *
 * What a verification found out (session key, layout, exact size) is shared by all streams of the
 * image; the key is wiped with the last of them. The layout stays, so that the next open of the same
 * bytes needs no second pass.
 */
#ifndef GLANCEFS_IMAGE_VIEW_H
#define GLANCEFS_IMAGE_VIEW_H

#include "glancefs/cancel.h"
#include "glancefs/ciphertext_cache.h"
#include "glancefs/cleanup.h"
#include "glancefs/cloud.h"
#include "glancefs/codec.h"
#include "glancefs/config.h"
#include "glancefs/consumer_registry.h"
#include "glancefs/error.h"
#include "glancefs/identity_service.h"
#include "glancefs/image_record.h"
#include "glancefs/sandbox_state.h"
#include "glancefs/secure_arena.h"
#include "glancefs/upload_staging.h"
#include "glancefs/write_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* --- the images --- */

struct image_index;

/** What `stat` shows of one image. */
struct image_attributes {
    char id[37];
    uint64_t size;      /* plaintext bytes, exact or estimated */
    bool size_is_exact; /* known from a verification, not only declared or guessed */
    int64_t updated_at; /* seconds since the epoch */
};

/** A snapshot of the images that can be read, in the order of the image service. */
struct image_listing {
    size_t count;
    struct image_attributes images[];
};

/** What an index is made from; everything is borrowed and must outlive it. */
struct image_index_parts {
    const struct config *config;
    const char *version; /* of the program, for status */
    struct cloud *cloud;
    struct codecs *codecs;
    const struct identity *identity;
    struct ciphertext_cache *cache;
    struct secure_arena *arena;
    struct stream_limit *streams;        /* for `max_streams`; shared with the write index */
    struct consumer_registry *consumers; /* asked only when the configuration says consumers=on */
    struct write_index *writes;          /* these two only for status; may be NULL, */
    struct upload_staging *uploads;      /* then nothing is ever uploaded */
    const struct sandbox_state *sandbox; /* for status; NULL: none */
};

/** ERROR_UNSUPPORTED when the configuration asks for what this version cannot do. */
int image_index_new(const struct image_index_parts *parts, struct image_index **ret,
                    struct error *err);

/** Releases; all streams must have been closed and no call be under way. NULL is allowed. */
void image_index_free(struct image_index *index);
DEFINE_CLEANUP(struct image_index, image_index_free)

/**
 * Lists the active images that we can decrypt, asked for anew. Plain images and other encryption
 * formats are left out. While the image service does not answer, or not as soon as it did the last
 * time, the last listing it gave is shown again, and the new one when it is there. Caller frees *ret
 * with image_listing_free. Any thread; may wait.
 */
int image_index_list(struct image_index *index, struct cancel *cancel, struct image_listing **ret,
                     struct error *err);

/** NULL is allowed. */
void image_listing_free(struct image_listing *listing);
DEFINE_CLEANUP(struct image_listing, image_listing_free)

/**
 * Attributes of the image `name`, listed or not; from memory when they are not older than
 * `record_ttl`, the image is open or the image service does not answer. Any thread; may wait, but for
 * what is remembered only for a moment (view/record_refresh.h).
 *
 * ERROR_NOT_FOUND: `name` is no UUID (the image service is not asked), no image, not active, or
 * not encrypted. ERROR_DENIED: deactivated. ERROR_UNSUPPORTED names another encryption format.
 */
int image_index_lookup(struct image_index *index, const char *name, struct cancel *cancel,
                       struct image_attributes *ret, struct error *err);

/** The same from memory only: false when the image service would have to be asked. Never waits. */
bool image_index_peek(struct image_index *index, const char *name, struct image_attributes *ret);

/** The record of an image for which image_index_lookup would succeed, not older than `record_ttl`; but
 *  under stale=serve, while the image service does not answer, the last one it gave. Caller drops the
 *  reference. Any thread; may wait. */
int image_index_record(struct image_index *index, const char *id, struct cancel *cancel,
                       struct image_record **ret, struct error *err);

/** The id of the key of image `id`, of its last record that was seen; empty when none was or it
 *  names no key. Never waits. */
void image_index_key_id(struct image_index *index, const char *id, char ret[37]);

/* --- an open image --- */

struct read_stream;

/**
 * Opens image `id` for one forward pass. Waits until the image is downloaded and verified; many
 * waiters share one verification, which ends when the last of them is cancelled. Under verify=stream
 * it waits only for the key and the beginning of the plaintext, and those who read share one
 * download. Asks the image service for the record and the key manager for the key each time
 * (`authorise_ttl` relaxes the latter while the image is open). Any thread. Close *ret with
 * read_stream_close.
 *
 * While the image service does not answer, the record is used that it gave less than `record_ttl` ago,
 * under stale=serve the last one it gave; else its outage is the error.
 *
 * Errors of image_index_lookup, and: ERROR_DENIED: the image belongs to another project, or the
 * key manager refused. ERROR_NO_KEY, ERROR_KEY_REJECTED: see key_manager.h. ERROR_CORRUPT: damaged,
 * wrong passphrase, or not of its declared size. ERROR_NO_SPACE: the cache's disk is full.
 * ERROR_EXHAUSTED: locked memory is used up, or `max_downloads` run and none ended in time (EAGAIN),
 * or `max_streams` files are open (EMFILE).
 * ERROR_UNSUPPORTED: verify=stream, and the image is compressed and declares no size.
 */
int image_index_open(struct image_index *index, const char *id, struct cancel *cancel,
                     struct read_stream **ret, struct error *err);

/**
 * The same with nothing but what is in memory: an image that is open and verified, its secret given
 * less than `authorise_ttl` ago, its record not older than `record_ttl`. False when that does not
 * do; then image_index_open has to be asked. Any thread; never waits.
 */
bool image_index_open_now(struct image_index *index, const char *id, struct read_stream **ret);

/** Exact plaintext size in bytes; BYTE_SOURCE_SIZE_UNKNOWN while an arriving image does not tell.
 *  Never waits. */
uint64_t read_stream_size(const struct read_stream *stream);

/**
 * How the bytes of a stream were proved, for the audit: "first" by a pass over all of them before the
 * first is given, "earlier" by a pass for an earlier open, "stream" while they are read. Static
 * storage. Never waits.
 */
const char *read_stream_verification(const struct read_stream *stream);

/**
 * What the reader must be told when it closes: fails with what ended the stream, or with why a read
 * failed that no later one made good. A program may have seen no more of it than a short read. Any
 * thread; never waits.
 */
int read_stream_flush(struct read_stream *stream, struct error *err);

/** One read; lives with its caller from read_stream_submit until `complete` is called. */
struct read_request {
    uint64_t offset;       /* bytes from the start of the plaintext */
    size_t size;           /* at most FUSE_REQUEST_BYTES are read */
    struct cancel *cancel; /* borrowed; may be NULL */
    /**
     * Called once, by a thread of the index or within read_stream_submit, with no lock held; may free
     * the request. On success
     * `err` is NULL and `pieces` hold the bytes in order; they are plaintext in locked memory,
     * valid until this returns. All bytes asked for, less only where the plaintext ends, none at
     * and after its end.
     */
    void (*complete)(struct read_request *request, const struct iovec *pieces, int piece_count,
                     const struct error *err);
    /* The stream's own. */
    struct read_request *next;
    uint64_t deadline_ns;
};

/**
 * Queues a read. A stream moves forward only: a read starts at the stream's position, which is
 * where the read before it ended. Reads that were submitted out of order are answered in order.
 * The last STREAM_HISTORY_BYTES before the position can be read again. Any other offset is ESPIPE
 * (ERROR_SYSTEM). A read that fails or is cancelled does not move the stream. A read that needs only
 * the processor and what is in memory is answered before this returns. Any thread; never waits.
 *
 * ERROR_CORRUPT: the cached bytes changed since they were verified. The stream has ended then; the
 * next open fetches them again. Of an arriving image any failure ends the stream: ERROR_CORRUPT when
 * it is not sound, or why it could not be fetched.
 */
void read_stream_submit(struct read_stream *stream, struct read_request *request);

/** Closes; every request submitted must have completed. Plaintext is wiped, and the key with the
 *  image's last stream. NULL is allowed. Never waits long. */
void read_stream_close(struct read_stream *stream);
DEFINE_CLEANUP(struct read_stream, read_stream_close)

/* --- for people --- */

/**
 * The state as JSON text, caller frees:
 *
 *     version, cloud           strings
 *     verify                   "first" or "stream"
 *     uptime_seconds           number
 *     sandbox                  {entered, landlock_abi, seccomp, gpg_helper}: see struct
 *                              sandbox_state; `landlock_abi` is 0 where the kernel lacks Landlock,
 *                              `gpg_helper` "running" or "ended", null where nothing needs gpg
 *     cache                    {objects, stored_bytes, partial_objects, partial_bytes, reserved_bytes,
 *                              quarantined_objects, quarantined_bytes, staged_bytes, trash_bytes,
 *                              max_size_bytes, min_free_bytes, filesystem_bytes, free_bytes,
 *                              evictions, evicted_bytes, unknown_entries, downloads}: see struct
 *                              ciphertext_cache_usage; null when its disk cannot be read.
 *                              `max_size_bytes` is null without a limit.
 *                              `downloads`: [{image, done_bytes, total_bytes}] under way, be it in
 *                              another process; `total_bytes` is null while it is not known
 *     memory                   {capacity_bytes, used_bytes, peak_bytes} of the locked arena
 *     limits                   {streams, downloads, uploads}, each {limit, used} and the latter two
 *                              {waiting}: max_streams, max_downloads, max_uploads; see struct limit_use
 *     streams                  [{image, position, size, verified}] open now; `size` is null while it is
 *                              not known
 *     verifications            [{image, done_bytes, total_bytes}] of ciphertext, in progress
 *     uploads                  [{image_id, state, plaintext_bytes, stored_bytes, sent_bytes, attempts,
 *                              error}] being written, oldest sealed ones first; null when their
 *                              disk cannot be read. `state` as user.glancefs.state has it; the next
 *                              three numbers are 0 until it is sealed; `error` may be ""
 *     counters                 {opens, failed_opens, verifications, reopens, failed_verifications,
 *                              reads, failed_reads, read_bytes} since the start; `reopens` counts
 *                              what needed no verification, as an earlier one was remembered
 *
 * Reads the cache directory, so it may wait for the disk.
 */
int image_index_status(struct image_index *index, char **ret, struct error *err);

/**
 * The numbers for a monitoring system, as OpenMetrics 1.0 text that Prometheus' text format 0.0.4
 * takes as well; caller frees. contrib/doc/status.md lists them. Holds no secret, and no id either:
 * every image that ever was would make time series of its own. Reads the cache directory, as above.
 */
int image_index_metrics(struct image_index *index, char **ret, struct error *err);

/** Size and free bytes of the filesystem that holds the cache, for statfs. May wait for it. */
int image_index_space(struct image_index *index, uint64_t *ret_total_bytes,
                      uint64_t *ret_free_bytes, struct error *err);

#endif
