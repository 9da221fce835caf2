/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ciphertext cache: stored bytes of images on the node's disk, never plaintext, never a key.
 *
 * An object is published only when its size and `os_hash_value` match the record. On the way a
 * GMAC tag per CACHE_BLOCK_BYTES is made under a key that only this process has; every later read
 * checks the blocks it touches, so bytes that change on disk afterwards are never handed out.
 */
#ifndef GLANCEFS_CIPHERTEXT_CACHE_H
#define GLANCEFS_CIPHERTEXT_CACHE_H

#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"
#include "glancefs/cache_limits.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "glancefs/image_service.h"
#include "glancefs/limit_use.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stdint.h>

struct ciphertext_cache;

/** Bytes of a struct pass_key. */
#define PASS_KEY_BYTES 32

/**
 * What a pass over an image's bytes is to prove, apart from the object's name: two passes with equal
 * keys are as good as each other. Made by the caller, of the record and of what his observer checks;
 * nothing here looks inside.
 */
struct pass_key {
    uint8_t bytes[PASS_KEY_BYTES];
};

/** Who opens a cache directory. */
enum cache_role {
    CACHE_DAEMON,  /* one at a time; keeps the limits */
    CACHE_COMMAND, /* any number, beside the daemon or without one; may fetch and remove */
    CACHE_OBSERVER /* only looks; changes nothing, makes no directory */
};

/** What a cache is made from; borrowed, but for the path and the limits, which are copied. */
struct ciphertext_cache_parts {
    const char *path;
    enum cache_role role;
    struct image_service *images; /* NULL: nothing is fetched (ERROR_UNAVAILABLE) */
    struct secure_arena *arena;   /* NULL: nothing can be opened for reading */
    bool require_hash;
    struct cache_limits limits;
    unsigned max_downloads;    /* by this cache at a time; 0: any number */
    uint64_t download_wait_ms; /* how long one more may wait for its turn */
    /** What the daemon found at its start that people should know, in a sentence; may be NULL. */
    void (*notice)(void *context, const char *text);
    void *notice_context;
};

/**
 * Opens the cache directory, made with mode 0700 when absent. One of ours that is empty, or a
 * cache already, is made 0700; any other that others may enter is refused (ERROR_DENIED): a wrong
 * path must not close somebody's directory. One that a newer version wrote is refused
 * (ERROR_UNSUPPORTED). The daemon tidies up what a crash left, and waits a few seconds for another
 * daemon to end: then ERROR_BUSY. All parts must outlive the cache.
 */
int ciphertext_cache_new(const struct ciphertext_cache_parts *parts, struct ciphertext_cache **ret,
                         struct error *err);

/** Starts the daemon's thread that keeps the limits, at once and from time to time. Nothing else here
 *  starts a thread before it is asked for an image. */
int ciphertext_cache_start(struct ciphertext_cache *cache, struct error *err);

/** Releases; all sources opened from it must have been freed. NULL is allowed. */
void ciphertext_cache_free(struct ciphertext_cache *cache);
DEFINE_CLEANUP(struct ciphertext_cache, ciphertext_cache_free)

/**
 * Opens the ciphertext of the active image `record`, fetching it when it is not there. One fetch
 * runs per image however many callers wait; a waiter leaves when cancelled, and when the fetching
 * caller leaves, the next one takes over.
 *
 * With an `observer` (may be NULL, not freed here) every byte of the object passes it once, in
 * order, before this returns: as it arrives when fetched, else read from disk and checked. It is
 * committed after the last byte matched; its failure is this call's failure, and no fault of the
 * object: one that is on disk stays, but what was just fetched is not kept, unless the observer could
 * not ask somebody (outage, cancel). On any failure before its commit it is aborted.
 *
 * *ret gives random access, one per reader: it keeps the last block it checked. Its pread fails
 * with ERROR_CORRUPT when a block no longer matches; the object is then set aside and the next open
 * fetches it again. As long as it is open nobody removes the object.
 *
 * A copy on disk that does not match (it changed while no daemon watched) is set aside; this call
 * fails with ERROR_CORRUPT, as the observer has seen wrong bytes, and the next one fetches.
 *
 * A download that is cut is kept, and resumed by whoever wants the same bytes next.
 *
 * ERROR_CORRUPT: size or hash do not match the record. ERROR_NO_SPACE: the disk is full, or the limits
 * are reached by objects in use. ERROR_EXHAUSTED: `max_downloads` run, and none ended in time for this
 * one; or there is no memory.
 * ERROR_UNSUPPORTED: no usable `os_hash_algo`/`os_hash_value` while require_hash is on.
 */
int ciphertext_cache_open(struct ciphertext_cache *cache, struct image_record *record,
                          struct byte_sink *observer, struct cancel *cancel,
                          struct byte_source **ret, struct error *err);

/**
 * Opens the same ciphertext when this process verified it before and remembers its tags; else fails
 * with ERROR_BUSY. Nothing is waited for, whoever fetches or verifies the image: for threads that
 * others need. Any thread.
 */
int ciphertext_cache_open_known(struct ciphertext_cache *cache, const struct image_record *record,
                                struct byte_source **ret, struct error *err);

/**
 * Opens the same ciphertext without waiting for it: *ret gives bytes as they arrive, be they fetched
 * or, for a copy on disk whose tags are not known, read and hashed. Reads wait, interruptibly, for
 * what is not there yet. *ret tells where the object ends only when all of it matched the record and
 * was published; before that, and for ever when it did not match or could not be fetched, reads
 * that go past what arrived fail with the error of ciphertext_cache_open. Its bytes are as they came:
 * the hash vouches for them only at the end, so whoever uses them earlier must not trust them.
 * Where everything was verified before, *ret is what ciphertext_cache_open gives.
 *
 * The pass over the bytes goes on in the background, at its own pace, as long as somebody follows it
 * or waits for his turn; then it is cancelled, and what has come is kept to be resumed. All who follow
 * an image with the same `key` at a time share one pass.
 *
 * `observer` (may be NULL) is taken over, also on failure. It sees the pass that this call starts, as
 * in ciphertext_cache_open, from another thread, and is freed before *ret tells the end; when another
 * pass is joined, whose observer was given with the same `key`, it is not used.
 *
 * Waits, until `cancel`, only for a ciphertext_cache_open of the same image or for a pass over it
 * with another key. Any thread.
 */
int ciphertext_cache_follow(struct ciphertext_cache *cache, struct image_record *record,
                            const struct pass_key *key, struct byte_sink *observer,
                            struct cancel *cancel, struct byte_source **ret, struct error *err);

/**
 * Says that the image cannot be used, though nothing may be wrong with its download: what came of that
 * is not kept to be resumed, unless somebody else wants it to its end. A complete object stays. Any
 * thread; never waits for a download.
 */
void ciphertext_cache_refuse(struct ciphertext_cache *cache, const struct image_record *record);

/**
 * Whether reads of `source`, which ciphertext_cache_open gave, may wait for the disk (they may, at
 * first). When they may not they fail with ERROR_BUSY where they would have to. Any thread, but not
 * while another one reads.
 */
void ciphertext_cache_set_waiting(struct byte_source *source, bool may_wait);

/** True when ciphertext_cache_open_known would succeed by now. Never waits long. */
bool ciphertext_cache_remembers(struct ciphertext_cache *cache, const struct image_record *record);

/** True when the object is on disk with the record's size and hash name. Never waits long. */
bool ciphertext_cache_has(struct ciphertext_cache *cache, const struct image_record *record);

/** The same for whoever has not opened the cache directory `path`, which another process may have. */
bool ciphertext_cache_directory_has(const char *path, const struct image_record *record);

/* --- whose images --- */

/** Of the name of a cloud, with the NUL: a path may be one. */
#define CACHE_CLOUD_BYTES 4104

/** The cloud whose images the cache holds, as ciphertext_cache_set_cloud was told; empty when nobody
 *  said so yet, or what he wrote cannot be read. Any thread. */
int ciphertext_cache_cloud(struct ciphertext_cache *cache, char ret[CACHE_CLOUD_BYTES],
                           struct error *err);

/**
 * Says that the cache holds images of `cloud`: a name of one line that no two clouds share, such as
 * the address of the image service. Unless this call `replaces` it, what was said before stays,
 * and nothing is said of images that are there already; *ret_former is what was said, or empty. Nothing is served, or refused, by it: ids and hashes do not depend on
 * where an image came from. It is for whoever wants to know which images are gone. ERROR_INVALID for
 * what is no such name. Any thread; waits for CACHE/lock.
 */
int ciphertext_cache_set_cloud(struct ciphertext_cache *cache, const char *cloud, bool replaces,
                               char ret_former[CACHE_CLOUD_BYTES], struct error *err);

/* --- what is there --- */

enum cached_object_state {
    CACHED_OBJECT_READY,      /* complete */
    CACHED_OBJECT_PARTIAL,    /* a download, under way when in use, else to be resumed */
    CACHED_OBJECT_QUARANTINED /* did not match; not served */
};

/** One object as people see it. */
struct cached_object {
    char image_id[37];
    char name[176]; /* in the cache directory: the id and the hash */
    enum cached_object_state state;
    bool in_use;          /* somebody reads or downloads it */
    uint64_t data_bytes;  /* there by now */
    uint64_t total_bytes; /* of the whole object; UINT64_MAX when not known */
    uint64_t disk_bytes;  /* taken or reserved on disk */
    int64_t fetched_at;   /* seconds since the epoch; 0 while not complete */
    int64_t last_used;
    char key_id[37];    /* os_encrypt_key_id; "" for none */
    char hash_algo[16]; /* "" for none */
    char hash_value[129];
};

/** Whether `record` names the very bytes of `object`, by the rule that finds them when it is opened. */
bool cached_object_is_of(const struct cached_object *object, const struct image_record *record);

/** A snapshot, sorted by image id and name; owned by the caller. */
struct cached_object_list {
    size_t count;
    struct cached_object objects[];
};

void cached_object_list_free(struct cached_object_list *list);
DEFINE_CLEANUP(struct cached_object_list, cached_object_list_free)

/** What is in the cache, whoever put it there, each object once and where it is: nobody moves one
 *  meanwhile. Any thread; reads the directory, and waits for who moves a name just now (ERROR_BUSY
 *  when he does not come to an end). */
int ciphertext_cache_list(struct ciphertext_cache *cache, struct cached_object_list **ret,
                          struct error *err);

/** The same of downloads only, which is quicker where many objects are complete. */
int ciphertext_cache_list_downloads(struct ciphertext_cache *cache, struct cached_object_list **ret,
                                    struct error *err);

/** Sums over it, taken in the same way. */
struct ciphertext_cache_usage {
    uint64_t objects;         /* complete ones */
    uint64_t stored_bytes;    /* of their data */
    uint64_t partial_objects; /* downloads */
    uint64_t partial_bytes;   /* there by now */
    uint64_t reserved_bytes;  /* what downloads may still take */
    uint64_t quarantined_objects;
    uint64_t quarantined_bytes;
    uint64_t staged_bytes;   /* of uploads */
    uint64_t trash_bytes;    /* of what is being removed: it takes its space until it is gone */
    uint64_t used_bytes;     /* of disk, by all of these: what the limits count */
    uint64_t max_size_bytes; /* the limits in bytes; UINT64_MAX: none */
    uint64_t min_free_bytes; /* 0: none */
    uint64_t filesystem_bytes;
    uint64_t free_bytes;
    uint64_t evictions; /* by this process, since its start */
    uint64_t evicted_bytes;
    uint64_t unknown_entries; /* files that are none of ours */
};

int ciphertext_cache_usage(struct ciphertext_cache *cache, struct ciphertext_cache_usage *ret,
                           struct error *err);

/** The downloads of this cache, those of other processes not counted, against `max_downloads`. Any
 *  thread; never waits. */
void ciphertext_cache_download_use(struct ciphertext_cache *cache, struct limit_use *ret);

/* --- work on it, beside a daemon or in one --- */

/** In a `progress` below: somebody else downloads the object and is waited for; the rest of the number
 *  is what he has by now. */
#define CACHE_PROGRESS_WAITS (UINT64_C(1) << 63)

/**
 * Fetches the object of `record` unless it is there, and proves size and hash; nothing is decrypted.
 * Resumes what was begun; somebody else who fetches it is waited for. `observer` (may be NULL, not
 * freed here) is as with ciphertext_cache_open, but sees only what this call fetches: where the object
 * is there it is aborted. `progress` (may be NULL) is set to the bytes that are there. *ret_was_there
 * (may be NULL): nothing had to be fetched. Errors of ciphertext_cache_open.
 */
int ciphertext_cache_fetch(struct ciphertext_cache *cache, struct image_record *record,
                           struct byte_sink *observer, _Atomic uint64_t *progress,
                           struct cancel *cancel, bool *ret_was_there, struct error *err);

/**
 * Reads the data of a complete object and compares them with its metadata; `progress` as above.
 * ERROR_CORRUPT when they differ: then it has been set aside, and the next open fetches it.
 * ERROR_NOT_FOUND when it is gone meanwhile; ERROR_UNSUPPORTED when it has no hash to compare with.
 */
int ciphertext_cache_verify(struct ciphertext_cache *cache, const struct cached_object *object,
                            _Atomic uint64_t *progress, struct cancel *cancel, struct error *err);

/** What was removed. */
struct ciphertext_cache_removal {
    uint64_t objects;
    uint64_t bytes;
};

/**
 * Removes all of image `id`: complete objects, downloads, what is in quarantine. Adds to *removed.
 * ERROR_BUSY when something of it is in use and stays; ERROR_NOT_FOUND when there was nothing.
 */
int ciphertext_cache_evict(struct ciphertext_cache *cache, const char *id,
                           struct ciphertext_cache_removal *removed, struct error *err);

/**
 * Removes what nobody needs: quarantine, downloads that nobody has in hand, what is over the limits.
 * Adds to *removed.
 */
int ciphertext_cache_prune(struct ciphertext_cache *cache, struct cancel *cancel,
                           struct ciphertext_cache_removal *removed, struct error *err);

/** True when something of image `id` is in the cache, complete or being fetched. Never waits long. */
bool ciphertext_cache_has_image(struct ciphertext_cache *cache, const char *id);

/** Size and free bytes of the filesystem below, for statfs. */
int ciphertext_cache_space(struct ciphertext_cache *cache, uint64_t *ret_total_bytes,
                           uint64_t *ret_free_bytes, struct error *err);

#endif
