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
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "glancefs/image_service.h"
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

/** What `status` shows. */
struct ciphertext_cache_usage {
    uint64_t objects;
    uint64_t stored_bytes;
};

/**
 * Opens the cache directory `path`, made with mode 0700 when absent. One of ours that is empty, or a
 * cache already, is made 0700; any other that others may enter is refused (ERROR_DENIED): a wrong
 * path must not close somebody's directory. Left-overs of downloads are removed. One process at a
 * time: another one is waited for a few seconds, then ERROR_BUSY. `images` and `arena` are borrowed
 * and must outlive the cache.
 */
int ciphertext_cache_new(const char *path, struct image_service *images, struct secure_arena *arena,
                         bool require_hash, struct ciphertext_cache **ret, struct error *err);

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
 * object: one that is on disk stays, but what was just fetched is not kept. On any failure before
 * its commit it is aborted.
 *
 * *ret gives random access, one per reader: it keeps the last block it checked. Its pread fails
 * with ERROR_CORRUPT when a block no longer matches; the object is then dropped and the next open
 * fetches it again.
 *
 * A copy on disk that does not match (it changed while no daemon watched) is removed; this call
 * fails with ERROR_CORRUPT, as the observer has seen wrong bytes, and the next one fetches.
 *
 * ERROR_CORRUPT: size or hash do not match the record. ERROR_NO_SPACE: the disk is full.
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
 * or waits for his turn; then it is cancelled and what has come is dropped. All who follow an image
 * with the same `key` at a time share one pass.
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

/** Counts objects and bytes on disk. */
int ciphertext_cache_usage(struct ciphertext_cache *cache, struct ciphertext_cache_usage *ret,
                           struct error *err);

/** Size and free bytes of the filesystem below, for statfs. */
int ciphertext_cache_space(struct ciphertext_cache *cache, uint64_t *ret_total_bytes,
                           uint64_t *ret_free_bytes, struct error *err);

#endif
