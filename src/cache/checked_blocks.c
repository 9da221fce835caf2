/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/checked_blocks.h"

#include "base/file_source.h"
#include "base/spin_wait.h"
#include "base/worker_pool.h"
#include "glancefs/limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Of blocks that are loaded in the background; work for the processor only. */
#define MAXIMUM_LOADERS 4

enum entry_state { ENTRY_LOADED, ENTRY_LOADING, ENTRY_FAILED };

struct entry {
    struct checked_block block; /* must be first */
    struct job job;             /* of a block that is loaded in the background */
    struct checked_blocks *blocks;
    struct byte_source *file; /* borrowed, while it is loaded so */
    atomic_uint state;        /* enum entry_state; changed with the blocks' mutex held, which guards
                                 references and next, too */
    struct cache_object *object;
    uint64_t number;
    uint8_t *memory;
    unsigned references; /* users, and one while it is listed */
    struct entry *next;
};

struct checked_blocks {
    struct worker_pool *loaders;
    pthread_mutex_t mutex;  /* guards what follows; never held while a block is read or checked */
    pthread_cond_t changed; /* a block was loaded in the background, or not */
    struct entry *listed;   /* the most recently used one first */
    struct entry *spare;    /* memory for the next one, at most one */
};

int checked_blocks_new(struct checked_blocks **ret, struct error *err)
{
    struct checked_blocks *blocks = calloc(1, sizeof *blocks);

    if (blocks == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)pthread_mutex_init(&blocks->mutex, NULL);
    (void)pthread_cond_init(&blocks->changed, NULL);
    if (worker_pool_new("blocks", MAXIMUM_LOADERS, &blocks->loaders, err) < 0) {
        checked_blocks_free(blocks);
        return -1;
    }
    worker_pool_stay_alert(blocks->loaders);
    *ret = blocks;
    return 0;
}

static void free_entry(struct entry *entry)
{
    if (entry == NULL)
        return;
    cache_object_unref(entry->object);
    if (entry->memory != NULL)
        (void)munmap(entry->memory, CACHE_BLOCK_BYTES);
    free(entry);
}
DEFINE_CLEANUP(struct entry, free_entry)

void checked_blocks_free(struct checked_blocks *blocks)
{
    if (blocks == NULL)
        return;
    worker_pool_free(blocks->loaders);
    while (blocks->listed != NULL) {
        struct entry *entry = blocks->listed;

        blocks->listed = entry->next;
        free_entry(entry);
    }
    free_entry(blocks->spare);
    (void)pthread_cond_destroy(&blocks->changed);
    (void)pthread_mutex_destroy(&blocks->mutex);
    free(blocks);
}

/* Gives a reference back. The result, if not NULL, is for the caller to free without the lock.
 * Locked. */
static struct entry *unref(struct checked_blocks *blocks, struct entry *entry)
{
    if (--entry->references > 0)
        return NULL;
    if (blocks->spare != NULL)
        return entry;
    cache_object_unref(steal(&entry->object));
    blocks->spare = entry;
    return NULL;
}

void checked_blocks_put(struct checked_blocks *blocks, struct checked_block *block)
{
    struct entry *unused;

    if (block == NULL)
        return;
    (void)pthread_mutex_lock(&blocks->mutex);
    unused = unref(blocks, (struct entry *)block);
    (void)pthread_mutex_unlock(&blocks->mutex);
    free_entry(unused);
}

/* The block, if it is listed, with a reference and in front; else NULL. Locked. */
static struct entry *find(struct checked_blocks *blocks, const struct cache_object *object,
                          uint64_t number)
{
    struct entry **link = &blocks->listed;
    struct entry *entry;

    while (*link != NULL && ((*link)->object != object || (*link)->number != number))
        link = &(*link)->next;
    entry = *link;
    if (entry == NULL)
        return NULL;
    *link = entry->next;
    entry->next = blocks->listed;
    blocks->listed = entry;
    entry->references++;
    return entry;
}

/* Takes the last block off the list when there are `count` or more; NULL when not. Locked. */
static struct entry *unlist_last(struct checked_blocks *blocks, unsigned count)
{
    struct entry **link = &blocks->listed;
    struct entry *last;

    for (unsigned i = 1; *link != NULL && ((*link)->next != NULL || i < count); i++)
        link = &(*link)->next;
    last = *link;
    if (last != NULL)
        *link = last->next;
    return last;
}

/* Keeps fewer than `count` blocks on the list; the memory of the last may become the spare one. The
 * result, if not NULL, is for the caller to free without the lock. Locked. */
static struct entry *make_room(struct checked_blocks *blocks, unsigned count)
{
    struct entry *last = unlist_last(blocks, count);

    return last == NULL ? NULL : unref(blocks, last);
}

/* Puts a block in front; see make_room. Locked. */
static struct entry *list(struct checked_blocks *blocks, struct entry *entry)
{
    entry->next = blocks->listed;
    entry->references++;
    blocks->listed = entry;
    return make_room(blocks, CHECKED_BLOCKS_KEPT + 1);
}

/* Memory for a block: the spare one, that of the block used least, or new. Mapped, so that it goes
 * back to the system. */
static int take_memory(struct checked_blocks *blocks, struct entry **ret, struct error *err)
{
    CLEANUP(free_entry) struct entry *entry = NULL;
    struct entry *unused;
    void *memory;

    (void)pthread_mutex_lock(&blocks->mutex);
    unused = make_room(blocks, CHECKED_BLOCKS_KEPT);
    entry = steal(&blocks->spare);
    (void)pthread_mutex_unlock(&blocks->mutex);
    free_entry(unused);
    if (entry == NULL) {
        entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        memory = mmap(NULL, CACHE_BLOCK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory == MAP_FAILED)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
        entry->memory = memory;
    }
    atomic_store(&entry->state, ENTRY_LOADED);
    *ret = steal(&entry);
    return 0;
}

static int read_block(const struct entry *entry, size_t size, struct byte_source *file,
                      bool may_wait, struct cancel *cancel, size_t *ret_size, struct error *err)
{
    const uint64_t offset = entry->number * CACHE_BLOCK_BYTES;

    if (may_wait)
        return byte_source_pread(file, entry->memory, size, offset, cancel, ret_size, err);
    return file_source_pread_now(file, entry->memory, size, offset, ret_size, err);
}

/* Reads and checks. */
static int load(struct entry *entry, struct byte_source *file, bool may_wait, struct cancel *cancel,
                struct error *err)
{
    const uint64_t rest = entry->object->size - entry->number * CACHE_BLOCK_BYTES;
    const size_t size = rest < CACHE_BLOCK_BYTES ? (size_t)rest : CACHE_BLOCK_BYTES;
    size_t got;

    if (read_block(entry, size, file, may_wait, cancel, &got, err) < 0 ||
        gmac_table_check(entry->object->tags, entry->number, entry->memory, got, err) < 0)
        return -1;
    entry->block = (struct checked_block){.bytes = entry->memory, .size = size};
    return 0;
}

int checked_blocks_get(struct checked_blocks *blocks, struct cache_object *object, uint64_t number,
                       struct byte_source *file, bool may_wait, struct cancel *cancel,
                       struct checked_block **ret, struct error *err)
{
    CLEANUP(free_entry) struct entry *fresh = NULL;
    struct entry *unused;
    struct entry *entry;

    (void)pthread_mutex_lock(&blocks->mutex);
    entry = find(blocks, object, number);
    (void)pthread_mutex_unlock(&blocks->mutex);
    if (entry == NULL) {
        if (take_memory(blocks, &fresh, err) < 0)
            return -1;
        fresh->object = cache_object_ref(object);
        fresh->number = number;
        if (load(fresh, file, may_wait, cancel, err) < 0)
            return -1;
        entry = steal(&fresh);
        entry->references = 1;
        (void)pthread_mutex_lock(&blocks->mutex);
        unused = list(blocks, entry);
        (void)pthread_mutex_unlock(&blocks->mutex);
        free_entry(unused);
    }
    *ret = &entry->block;
    return 0;
}

/* --- in the background --- */

static void load_ahead(struct job *job)
{
    struct entry *entry = (struct entry *)((char *)job - offsetof(struct entry, job));
    struct checked_blocks *blocks = entry->blocks;
    struct entry *last = NULL;
    struct entry *unused;
    struct error ignored = ERROR_INIT;
    const bool is_loaded = load(entry, entry->file, false, NULL, &ignored) == 0;

    (void)pthread_mutex_lock(&blocks->mutex);
    atomic_store(&entry->state, is_loaded ? ENTRY_LOADED : ENTRY_FAILED);
    if (is_loaded)
        last = list(blocks, entry);
    unused = unref(blocks, entry);
    (void)pthread_cond_broadcast(&blocks->changed);
    (void)pthread_mutex_unlock(&blocks->mutex);
    free_entry(last);
    free_entry(unused);
}

struct checked_block *checked_blocks_start(struct checked_blocks *blocks,
                                           struct cache_object *object, uint64_t number,
                                           struct byte_source *file)
{
    struct error ignored = ERROR_INIT;
    struct entry *entry;

    (void)pthread_mutex_lock(&blocks->mutex);
    entry = find(blocks, object, number);
    (void)pthread_mutex_unlock(&blocks->mutex);
    if (entry != NULL)
        return &entry->block;
    if (take_memory(blocks, &entry, &ignored) < 0)
        return NULL;
    entry->object = cache_object_ref(object);
    entry->number = number;
    entry->job.run = load_ahead;
    entry->blocks = blocks;
    entry->file = file;
    atomic_store(&entry->state, ENTRY_LOADING);
    entry->references = 2; /* the caller's and the job's */
    if (worker_pool_submit(blocks->loaders, &entry->job, &ignored) == 0)
        return &entry->block;
    free_entry(entry);
    return NULL;
}

bool checked_blocks_finish(struct checked_blocks *blocks, struct checked_block *block)
{
    struct entry *entry = (struct entry *)block;
    struct entry *unused = NULL;
    bool is_loaded;

    if (block == NULL)
        return false;
    spin_wait_while(&entry->state, ENTRY_LOADING);
    (void)pthread_mutex_lock(&blocks->mutex);
    while (atomic_load(&entry->state) == ENTRY_LOADING)
        (void)pthread_cond_wait(&blocks->changed, &blocks->mutex);
    is_loaded = atomic_load(&entry->state) == ENTRY_LOADED;
    if (!is_loaded)
        unused = unref(blocks, entry);
    (void)pthread_mutex_unlock(&blocks->mutex);
    free_entry(unused);
    return is_loaded;
}

/* --- forgetting --- */

/* Takes the first block of `object` off the list; false when there is none. */
static bool forget_one(struct checked_blocks *blocks, const struct cache_object *object)
{
    struct entry **link = &blocks->listed;
    struct entry *unused = NULL;
    struct entry *entry;

    (void)pthread_mutex_lock(&blocks->mutex);
    while (*link != NULL && (*link)->object != object)
        link = &(*link)->next;
    entry = *link;
    if (entry != NULL) {
        *link = entry->next;
        unused = unref(blocks, entry);
    }
    (void)pthread_mutex_unlock(&blocks->mutex);
    free_entry(unused);
    return entry != NULL;
}

void checked_blocks_forget(struct checked_blocks *blocks, const struct cache_object *object)
{
    while (forget_one(blocks, object))
        ;
}
