/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/ciphertext_cache.h"

#include "base/file_sink.h"
#include "base/file_source.h"
#include "base/worker_pool.h"
#include "cache/cache_directory.h"
#include "cache/cache_object.h"
#include "cache/cached_source.h"
#include "cache/object_feed.h"
#include "cache/object_verifier.h"
#include "cache/slot_table.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* As many as streams may be open: a download that hangs must not hold up another. */
#define MAXIMUM_TRANSFERS 1024

/* A pass over an object that is followed: its turn of the slot, on a thread of its own. */
struct transfer {
    struct job job;
    struct slot_transfer turn;
    struct ciphertext_cache *cache;
    struct slot *slot; /* the job's */
    struct image_record *record;
    struct byte_sink *observer; /* owned; may be NULL */
    struct object_feed *feed;
};

struct ciphertext_cache {
    struct image_service *images;
    struct secure_arena *arena;
    bool require_hash;
    int fd; /* the objects directory */
    struct worker_pool *transfers;
    struct checked_blocks *blocks;
    struct slot_table slots;
};

/*
 * A reader met a block that changed: forget the object, so that the next open fetches it. The file
 * goes only with the turn: somebody else who has it may just publish another one.
 */
static void drop_damaged(void *context, struct cache_object *object)
{
    struct ciphertext_cache *cache = context;
    struct slot *slot;

    slot_table_forget(&cache->slots, object, &slot);
    if (slot == NULL)
        return;
    (void)unlinkat(cache->fd, object->name, 0);
    slot_table_release(&cache->slots, slot, NULL);
}

/* --- the pass over the bytes --- */

/* Reads `source` to its end into `sink`, then commits it. */
static int pass(struct byte_source *source, struct byte_sink *sink, struct cancel *cancel,
                struct error *err)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(CACHE_BLOCK_BYTES);
    uint64_t offset = 0;
    size_t got;

    if (buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    do {
        if (byte_source_pread(source, buffer, CACHE_BLOCK_BYTES, offset, cancel, &got, err) < 0 ||
            byte_sink_write(sink, buffer, got, cancel, err) < 0)
            return -1;
        offset += got;
    } while (got > 0);
    return byte_sink_commit(sink, cancel, err);
}

/* The object's file as it lies on disk; ERROR_NOT_FOUND when there is none of the right size. */
static int open_file(struct ciphertext_cache *cache, const struct image_record *record,
                     struct byte_source **ret, struct error *err)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    uint64_t size;

    cache_object_name(record, name);
    if (file_source_open(cache->fd, name, ret, err) < 0)
        return -1;
    if (!image_record_size(record, &size) || size == byte_source_size(*ret))
        return 0;
    byte_source_free(steal(ret));
    return error_set(err, ERROR_NOT_FOUND, "%s: wrong size", name);
}

/* Who else sees the bytes of a pass; each may be NULL. */
struct audience {
    struct byte_sink *observer; /* borrowed */
    struct object_feed *feed;   /* borrowed */
};

/* A verified object and its file, as the steps below find them. */
struct finding {
    struct cache_object *object;
    struct byte_source *file;
};

static int make_object(const struct image_record *record, struct object_verifier *verifier,
                       struct finding *finding, struct error *err)
{
    CLEANUP(gmac_table_free) struct gmac_table *tags = object_verifier_take_tags(verifier);
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(record, name);
    if (cache_object_new(name, byte_source_size(finding->file), tags, &finding->object, err) < 0)
        return -1;
    (void)steal(&tags);
    return 0;
}

/* Verifies the file that lies on disk, which the feed has already; one that does not match is
 * removed. */
static int verify_from_disk(struct ciphertext_cache *cache, struct image_record *record,
                            const struct audience *audience, struct cancel *cancel,
                            struct finding *finding, struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;

    if (object_verifier_new(record, cache->require_hash, cache->arena, NULL, audience->observer,
                            &verifier, err) < 0)
        return -1;
    object_verifier_set_feed(verifier, audience->feed);
    if (pass(finding->file, object_verifier_sink(verifier), cancel, err) < 0) {
        if (object_verifier_found_mismatch(verifier))
            cache_directory_remove_objects(cache->fd, image_record_id(record));
        return -1;
    }
    return make_object(record, verifier, finding, err);
}

/* A source over the file behind `descriptor`, whatever becomes of its name. */
static int open_duplicate(int descriptor, struct byte_source **ret, struct error *err)
{
    CLEANUP(fd_close) int fd = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);

    if (fd < 0)
        return error_set_errno(err, errno, "cache");
    if (file_source_from_fd(fd, ret, err) < 0)
        return -1;
    (void)steal_fd(&fd);
    return 0;
}

/* Lets `feed` read what `file` writes. */
static int feed_from(struct object_feed *feed, const struct byte_sink *file, struct error *err)
{
    struct byte_source *followed = NULL;

    if (open_duplicate(file_sink_fd(file), &followed, err) < 0)
        return -1;
    object_feed_set_file(feed, followed);
    return 0;
}

static int fetch(struct ciphertext_cache *cache, struct image_record *record,
                 const struct audience *audience, struct cancel *cancel, struct finding *finding,
                 struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    struct byte_sink *file = NULL;
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(record, name);
    cache_directory_remove_objects(cache->fd, image_record_id(record));
    if (file_sink_publish(cache->fd, name, S_IRUSR | S_IWUSR, &file, err) < 0)
        return error_prefix(err, "cache");
    if (object_verifier_new(record, cache->require_hash, cache->arena, file, audience->observer,
                            &verifier, err) < 0 ||
        (audience->feed != NULL && feed_from(audience->feed, file, err) < 0))
        return -1;
    object_verifier_set_feed(verifier, audience->feed);
    if (image_service_download(cache->images, record, 0, object_verifier_sink(verifier), cancel,
                               err) < 0)
        return -1;
    /* By its descriptor: somebody may remove the name as soon as it is there. */
    if (open_duplicate(file_sink_fd(file), &finding->file, err) < 0 ||
        byte_sink_commit(object_verifier_sink(verifier), cancel, err) < 0)
        return -1;
    return make_object(record, verifier, finding, err);
}

static int open_reader(struct ciphertext_cache *cache, struct finding *finding,
                       struct byte_source **ret, struct error *err)
{
    const struct damage_listener listener = {drop_damaged, cache};

    return cached_source_new(finding->object, steal(&finding->file), cache->blocks, listener, ret,
                             err);
}

/* The object this process verified earlier; NULL when there is none. */
static struct cache_object *known_object(struct ciphertext_cache *cache,
                                         const struct image_record *record)
{
    char name[CACHE_OBJECT_NAME_BYTES];

    cache_object_name(record, name);
    return slot_table_object(&cache->slots, image_record_id(record), name);
}

int ciphertext_cache_open_known(struct ciphertext_cache *cache, const struct image_record *record,
                                struct byte_source **ret, struct error *err)
{
    CLEANUP(cache_object_unref) struct cache_object *object = known_object(cache, record);
    struct finding finding = {.object = object};

    if (object == NULL || open_file(cache, record, &finding.file, err) < 0)
        return error_set(err, ERROR_BUSY, "the image has to be verified first");
    return open_reader(cache, &finding, ret, err);
}

/* Lets the observer read along what later readers of a verified object get, in a busy slot. */
static int show(struct ciphertext_cache *cache, const struct image_record *record,
                struct byte_source *reader, struct byte_sink *observer, struct cancel *cancel,
                struct error *err)
{
    CLEANUP(cache_object_unref) struct cache_object *object = NULL;

    if (pass(reader, observer, cancel, err) == 0)
        return 0;
    /* Damage that was met meanwhile left the file to us: we have the turn. */
    object = known_object(cache, record);
    if (object == NULL)
        cache_directory_remove_objects(cache->fd, image_record_id(record));
    return -1;
}

/* Finds the object in a busy slot: verified earlier, on disk, or at the image service. */
static int obtain(struct ciphertext_cache *cache, struct image_record *record,
                  struct byte_sink *observer, struct cancel *cancel, struct finding *finding,
                  struct byte_source **ret, struct error *err)
{
    const struct audience audience = {.observer = observer};
    int result;

    if (open_file(cache, record, &finding->file, err) < 0) {
        result = fetch(cache, record, &audience, cancel, finding, err);
    } else {
        finding->object = known_object(cache, record);
        if (finding->object != NULL) {
            if (open_reader(cache, finding, ret, err) < 0)
                return -1;
            return observer == NULL ? 0 : show(cache, record, *ret, observer, cancel, err);
        }
        result = verify_from_disk(cache, record, &audience, cancel, finding, err);
    }
    return result < 0 ? -1 : open_reader(cache, finding, ret, err);
}

int ciphertext_cache_open(struct ciphertext_cache *cache, struct image_record *record,
                          struct byte_sink *observer, struct cancel *cancel,
                          struct byte_source **ret, struct error *err)
{
    CLEANUP(byte_source_free) struct byte_source *reader = NULL;
    struct finding finding = {NULL, NULL};
    struct error ignored = ERROR_INIT;
    struct slot *slot;
    int result = -1;

    if (observer == NULL && ciphertext_cache_open_known(cache, record, ret, &ignored) == 0)
        return 0;
    if (slot_table_acquire(&cache->slots, image_record_id(record), cancel, &slot, err) == 0) {
        result = obtain(cache, record, observer, cancel, &finding, &reader, err);
        slot_table_release(&cache->slots, slot, result == 0 ? finding.object : NULL);
    }
    cache_object_unref(finding.object);
    byte_source_free(finding.file);
    if (result == 0)
        *ret = steal(&reader);
    else if (observer != NULL)
        byte_sink_abort(observer);
    return result;
}

/* --- following --- */

static struct transfer *transfer_of(struct slot_transfer *turn)
{
    return (struct transfer *)((char *)turn - offsetof(struct transfer, turn));
}

static void free_transfer(struct transfer *transfer)
{
    if (transfer == NULL)
        return;
    byte_sink_free(transfer->observer);
    image_record_unref(transfer->record);
    cancel_unref(transfer->turn.cancel);
    object_feed_unref(transfer->feed);
    free(transfer);
}
DEFINE_CLEANUP(struct transfer, free_transfer)

/* One follower less, or the job is over. */
static void leave_transfer(void *context)
{
    struct transfer *transfer = context;

    if (slot_table_leave(&transfer->cache->slots, &transfer->turn))
        free_transfer(transfer);
}

static int run_pass(struct transfer *transfer, struct finding *finding, struct error *err)
{
    struct ciphertext_cache *cache = transfer->cache;
    const struct audience audience = {.observer = transfer->observer, .feed = transfer->feed};

    struct byte_source *followed = NULL;

    if (open_file(cache, transfer->record, &finding->file, err) < 0 ||
        open_file(cache, transfer->record, &followed, err) < 0) {
        byte_source_free(steal(&finding->file));
        return fetch(cache, transfer->record, &audience, transfer->turn.cancel, finding, err);
    }
    object_feed_set_file(transfer->feed, followed);
    return verify_from_disk(cache, transfer->record, &audience, transfer->turn.cancel, finding,
                            err);
}

/* Ends the turn and the job: `object` was obtained, or `err` (not NULL) says why not. */
static void finish_transfer(struct transfer *transfer, struct cache_object *object,
                            const struct error *err)
{
    /* Before followers are told: who has seen the end finds the object verified, and his observer
     * through. */
    byte_sink_free(steal(&transfer->observer));
    slot_table_release(&transfer->cache->slots, transfer->slot, object);
    object_feed_end(transfer->feed, err);
    leave_transfer(transfer);
}

static void run_transfer(struct job *job)
{
    struct transfer *transfer = (struct transfer *)job;
    struct finding finding = {NULL, NULL};
    struct error error = ERROR_INIT;

    if (run_pass(transfer, &finding, &error) == 0)
        finish_transfer(transfer, finding.object, NULL);
    else
        finish_transfer(transfer, NULL, &error);
    cache_object_unref(finding.object);
    byte_source_free(finding.file);
}

static int new_transfer(struct ciphertext_cache *cache, struct image_record *record,
                        const struct slot_pass *pass, struct byte_sink **observer,
                        struct transfer **ret, struct error *err)
{
    CLEANUP(free_transfer) struct transfer *transfer = calloc(1, sizeof *transfer);

    if (transfer == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (cancel_new(&transfer->turn.cancel, err) < 0 || object_feed_new(&transfer->feed, err) < 0)
        return -1;
    transfer->job.run = run_transfer;
    transfer->cache = cache;
    transfer->record = image_record_ref(record);
    transfer->observer = steal(observer);
    transfer->turn.pass = *pass;
    *ret = steal(&transfer);
    return 0;
}

/* Hands the turn of a busy slot over to a new transfer: *ret, with a reference. */
static int start_transfer(struct ciphertext_cache *cache, struct slot *slot,
                          struct image_record *record, const struct slot_pass *pass,
                          struct byte_sink **observer, struct transfer **ret, struct error *err)
{
    struct transfer *transfer = NULL;

    if (new_transfer(cache, record, pass, observer, &transfer, err) < 0) {
        slot_table_release(&cache->slots, slot, NULL);
        return -1;
    }
    transfer->slot = slot;
    slot_table_hand_over(&cache->slots, slot, &transfer->turn);
    if (worker_pool_submit(cache->transfers, &transfer->job, err) < 0) {
        finish_transfer(transfer, NULL, err);
        leave_transfer(transfer);
        return -1;
    }
    *ret = transfer;
    return 0;
}

/* In a busy slot, whose turn it ends or hands over: *ret, or else *ret_transfer to follow. */
static int open_or_start(struct ciphertext_cache *cache, struct slot *slot,
                         struct image_record *record, const struct slot_pass *pass,
                         struct byte_sink **observer, struct byte_source **ret,
                         struct transfer **ret_transfer, struct error *err)
{
    struct error ignored = ERROR_INIT;

    /* An observer must see the bytes, whoever has seen them before. */
    if (*observer != NULL || ciphertext_cache_open_known(cache, record, ret, &ignored) < 0)
        return start_transfer(cache, slot, record, pass, observer, ret_transfer, err);
    slot_table_release(&cache->slots, slot, NULL);
    return 0;
}

int ciphertext_cache_follow(struct ciphertext_cache *cache, struct image_record *record,
                            const struct pass_key *key, struct byte_sink *observer,
                            struct cancel *cancel, struct byte_source **ret, struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *unused_observer = observer;
    struct slot_pass pass = {.key = *key};
    struct slot_transfer *turn = NULL;
    struct transfer *transfer = NULL;
    struct slot *slot;

    cache_object_name(record, pass.name);
    if (slot_table_join(&cache->slots, image_record_id(record), &pass, cancel, &slot, &turn, err) <
        0)
        return -1;
    *ret = NULL;
    if (turn != NULL)
        transfer = transfer_of(turn);
    else if (open_or_start(cache, slot, record, &pass, &unused_observer, ret, &transfer, err) < 0)
        return -1;
    if (transfer == NULL)
        return 0;
    const struct follower_listener listener = {.left = leave_transfer, .context = transfer};
    if (object_feed_follow(transfer->feed, listener, ret, err) == 0)
        return 0;
    leave_transfer(transfer);
    return -1;
}

/* --- the cache as a whole --- */

int ciphertext_cache_new(const struct ciphertext_cache_parts *parts, struct ciphertext_cache **ret,
                         struct error *err)
{
    CLEANUP(ciphertext_cache_free) struct ciphertext_cache *cache = calloc(1, sizeof *cache);

    if (cache == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    cache->images = parts->images;
    cache->arena = parts->arena;
    cache->require_hash = parts->require_hash;
    cache->fd = -1;
    slot_table_init(&cache->slots);
    if (checked_blocks_new(&cache->blocks, err) < 0 ||
        worker_pool_new("transfer", MAXIMUM_TRANSFERS, &cache->transfers, err) < 0 ||
        cache_directory_open(parts->path, &cache->fd, err) < 0)
        return -1;
    *ret = steal(&cache);
    return 0;
}

void ciphertext_cache_free(struct ciphertext_cache *cache)
{
    if (cache == NULL)
        return;
    worker_pool_free(cache->transfers);
    checked_blocks_free(cache->blocks);
    slot_table_clear(&cache->slots);
    if (cache->fd >= 0)
        (void)close(cache->fd);
    free(cache);
}

static bool has_object(int fd, const struct image_record *record)
{
    char name[CACHE_OBJECT_NAME_BYTES];
    struct stat status;
    uint64_t size;

    cache_object_name(record, name);
    return fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           (!image_record_size(record, &size) || size == (uint64_t)status.st_size);
}

bool ciphertext_cache_has(struct ciphertext_cache *cache, const struct image_record *record)
{
    return has_object(cache->fd, record);
}

bool ciphertext_cache_directory_has(const char *path, const struct image_record *record)
{
    CLEANUP(fd_close) int fd = cache_directory_look(path);

    return fd >= 0 && has_object(fd, record);
}

bool ciphertext_cache_remembers(struct ciphertext_cache *cache, const struct image_record *record)
{
    CLEANUP(cache_object_unref) struct cache_object *object = known_object(cache, record);

    return object != NULL && ciphertext_cache_has(cache, record);
}

void ciphertext_cache_set_waiting(struct byte_source *source, bool may_wait)
{
    cached_source_set_waiting(source, may_wait);
}

int ciphertext_cache_usage(struct ciphertext_cache *cache, struct ciphertext_cache_usage *ret,
                           struct error *err)
{
    return cache_directory_usage(cache->fd, ret, err);
}

int ciphertext_cache_space(struct ciphertext_cache *cache, uint64_t *ret_total_bytes,
                           uint64_t *ret_free_bytes, struct error *err)
{
    struct statvfs space;

    if (fstatvfs(cache->fd, &space) < 0)
        return error_set_errno(err, errno, "cache");
    *ret_total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    *ret_free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    return 0;
}
