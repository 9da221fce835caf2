/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_fetch.h"

#include "base/clock.h"
#include "base/file_source.h"
#include "cache/file_lock.h"
#include "cache/object_directory.h"
#include "cache/object_verifier.h"
#include "cache/partial_sink.h"
#include "cache/wall_clock.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Who only looks whether data are in use holds their lock for a moment. */
#define READER_WAIT_NS NANOSECONDS_PER_SECOND

/* A directory, and a file in it. */
#define BEGIN_BYTES (64 * KIB)

/* A download in hand. */
struct download {
    const struct object_fetch *fetch;
    struct object_metadata metadata;
    struct partial_object *partial;
    int feed_fd; /* the followers', borrowed; -1 when nobody follows */
    enum object_verdict verdict;
};

/* --- followers --- */

/* A file of their own: it must not hold our lock when we are long gone. */
static int open_to_followers(struct download *download, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;
    struct byte_source *file = NULL;

    if (download->fetch->feed == NULL)
        return 0;
    if (object_directory_open_data(download->partial->dir_fd, O_RDONLY, &fd, err) < 0 ||
        file_source_from_fd(fd, &file, err) < 0)
        return -1;
    download->feed_fd = steal_fd(&fd);
    object_feed_set_file(download->fetch->feed, file);
    return 0;
}

/* --- the bytes --- */

/* Shows what an earlier download left to everybody who has to see the whole object. */
static int replay(const struct download *download, struct byte_sink *sink, struct cancel *cancel,
                  struct error *err)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(CACHE_BLOCK_BYTES);
    const uint64_t present = download->partial->present;

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    for (uint64_t offset = 0; offset < present;) {
        const uint64_t left = present - offset;
        const size_t size = left < CACHE_BLOCK_BYTES ? (size_t)left : CACHE_BLOCK_BYTES;
        const ssize_t got = pread(download->partial->data_fd, buffer, size, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_set_errno(err, got < 0 ? errno : EIO, "cache: read of a download");
        if (cancel_check(cancel, err) < 0 ||
            byte_sink_write(sink, buffer, (size_t)got, cancel, err) < 0)
            return -1;
        offset += (uint64_t)got;
    }
    return 0;
}

static int new_verifier(const struct download *download, struct object_verifier **ret,
                        struct error *err)
{
    const struct object_fetch *fetch = download->fetch;
    const struct partial_sink_parts file = {.layout = fetch->layout,
                                            .space = fetch->space,
                                            .partial = download->partial,
                                            .metadata = &download->metadata};
    struct object_verifier_parts parts = {.expected = &download->metadata,
                                          .require_hash = fetch->require_hash,
                                          .arena = fetch->arena,
                                          .observer = fetch->observer,
                                          .feed = fetch->feed,
                                          .progress = fetch->progress};

    if (partial_sink_new(&file, &parts.file, err) < 0)
        return -1;
    return object_verifier_new(&parts, ret, err);
}

/* One pass over the whole object, the present part first; then it is published. */
static int make_pass(struct download *download, struct cancel *cancel, struct gmac_table **ret_tags,
                     struct error *err)
{
    const struct object_fetch *fetch = download->fetch;
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    struct byte_sink *sink;
    int result;

    download->partial->lost = 0;
    if (new_verifier(download, &verifier, err) < 0)
        return -1;
    sink = object_verifier_sink(verifier);
    result = replay(download, sink, cancel, err);
    if (result == 0)
        result = image_service_download(fetch->images, fetch->record, download->partial->present,
                                        sink, cancel, err);
    if (result == 0)
        result = byte_sink_commit(sink, cancel, err);
    download->verdict = object_verifier_verdict(verifier);
    *ret_tags = result == 0 ? object_verifier_take_tags(verifier) : NULL;
    return result;
}

/* --- what becomes of it --- */

/* True for what ended a download without saying anything against its bytes. */
static bool may_be_mended(enum error_kind kind)
{
    switch (kind) {
    case ERROR_CANCELLED:
    case ERROR_UNAVAILABLE:
    case ERROR_TIMEOUT:
    case ERROR_LOGIN:
    case ERROR_BUSY:
    case ERROR_EXHAUSTED:
        return true;
    case ERROR_NONE:
    case ERROR_NOT_FOUND:
    case ERROR_DENIED:
    case ERROR_NO_KEY:
    case ERROR_KEY_REJECTED:
    case ERROR_CORRUPT:
    case ERROR_UNSUPPORTED:
    case ERROR_TOO_LARGE:
    case ERROR_READ_ONLY:
    case ERROR_NO_SPACE:
    case ERROR_EXISTS:
    case ERROR_INVALID:
    case ERROR_SYSTEM:
        break;
    }
    return false;
}

static bool is_worth_resuming(const struct download *download, const struct error *err)
{
    const bool is_out_of_files = err->errnum == EMFILE || err->errnum == ENFILE;

    return download->verdict != OBJECT_MISMATCH && (may_be_mended(err->kind) || is_out_of_files);
}

static bool is_unseen(const struct object_fetch *fetch)
{
    return fetch->observer == NULL && fetch->feed == NULL;
}

/* A disk that took the bytes but could not keep them is as full as one that refuses them. For whoever
 * fetches next, when this one cannot be repeated. */
static bool has_made_room(const struct download *download, struct cancel *cancel, struct error *err)
{
    return err->kind == ERROR_NO_SPACE && download->partial->lost > 0 &&
           cache_space_make_room(download->fetch->space, download->partial->lost, wall_clock_ns(),
                                 cancel, err) == 0;
}

/* Repeated as long as that makes a difference. What an earlier download left may be what is wrong:
 * then without it, once. */
static int make_passes(struct download *download, struct cancel *cancel,
                       struct gmac_table **ret_tags, struct error *err)
{
    bool is_resumed = download->partial->present > 0;

    while (make_pass(download, cancel, ret_tags, err) < 0) {
        const bool is_spoilt = is_resumed && download->verdict == OBJECT_MISMATCH;

        if ((!is_spoilt && !has_made_room(download, cancel, err)) || !is_unseen(download->fetch))
            return -1;
        *err = (struct error)ERROR_INIT;
        if (object_store_restart(download->partial, err) < 0)
            return -1;
        is_resumed = false;
    }
    return 0;
}

/* The published data, whose lock is a reader's by now; followers are readers, too. */
static int hand_over(const struct download *download, struct fetched_object *ret, struct error *err)
{
    CLEANUP(fd_close) int fd = fcntl(download->partial->data_fd, F_DUPFD_CLOEXEC, 0);
    struct error ignored = ERROR_INIT;
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cache");
    if (download->feed_fd >= 0)
        (void)file_lock_take(download->feed_fd, LOCK_SH, READER_WAIT_NS, OBJECT_DATA, NULL,
                             &ignored);
    ret->data_fd = steal_fd(&fd);
    ret->size = (uint64_t)status.st_size;
    return 0;
}

static int run(struct download *download, struct cancel *cancel, struct fetched_object *ret,
               struct error *err)
{
    CLEANUP(gmac_table_free) struct gmac_table *tags = NULL;

    if (cache_space_reserve(download->fetch->space, download->partial, &download->metadata,
                            wall_clock_ns(), cancel, err) < 0 ||
        open_to_followers(download, err) < 0 || make_passes(download, cancel, &tags, err) < 0) {
        if (!is_worth_resuming(download, err))
            object_store_drop(download->fetch->layout, download->partial);
        return -1;
    }
    if (hand_over(download, ret, err) < 0)
        return -1;
    ret->tags = steal(&tags);
    return 0;
}

/* Queued with the download in hand, so that no turn is spent on waiting for another process to finish
 * the same one. */
static int run_in_turn(struct download *download, struct cancel *cancel, struct fetched_object *ret,
                       struct error *err)
{
    const struct object_fetch *fetch = download->fetch;
    int result;

    if (fetch->queue == NULL)
        return run(download, cancel, ret, err);
    if (download_queue_enter(fetch->queue, cancel, err) < 0) {
        if (download->partial->present == 0)
            object_store_drop(fetch->layout, download->partial);
        return -1;
    }
    result = run(download, cancel, ret, err);
    download_queue_leave(fetch->queue);
    return result;
}

/* A disk may be too full for the first two names already. */
static int begin(const struct object_fetch *fetch, const struct object_metadata *metadata,
                 struct cancel *cancel, struct partial_object **ret, struct error *err)
{
    while (object_store_begin(fetch->layout, metadata, fetch->progress, cancel, ret, err) < 0) {
        if (err->kind != ERROR_NO_SPACE ||
            cache_space_make_room(fetch->space, BEGIN_BYTES, wall_clock_ns(), cancel, err) < 0)
            return -1;
        *err = (struct error)ERROR_INIT;
    }
    return 0;
}

int object_fetch_run(const struct object_fetch *fetch, struct cancel *cancel,
                     struct fetched_object *ret, struct error *err)
{
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct download download = {.fetch = fetch, .feed_fd = -1};

    object_metadata_of(fetch->record, &download.metadata);
    if (object_verifier_can_prove(&download.metadata, fetch->require_hash, err) < 0 ||
        begin(fetch, &download.metadata, cancel, &partial, err) < 0)
        return -1;
    download.partial = partial;
    return run_in_turn(&download, cancel, ret, err);
}
