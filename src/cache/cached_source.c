/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cached_source.h"

#include "cache/object_directory.h"
#include "glancefs/limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NO_BLOCK UINT64_MAX

struct cached_source {
    struct byte_source source;
    struct cache_object *object;
    struct byte_source *file; /* unchecked bytes */
    struct checked_blocks *blocks;
    struct reader_listener listener;
    atomic_bool may_wait;
    atomic_bool looks_ahead; /* once somebody asked for bytes at hand */
    pthread_mutex_t mutex;   /* guards what follows; nothing else is locked inside */
    struct checked_block *last;
    uint64_t last_number;        /* NO_BLOCK when there is none */
    struct checked_block *ahead; /* on its way, to be finished; may be NULL */
    uint64_t ahead_number;
    uint64_t next_number; /* behind the one that was read last */
};

/* --- the last block --- */

/* Takes the last block out, if it is number `number`; else NULL. */
static struct checked_block *take_last(struct cached_source *cached, uint64_t number)
{
    struct checked_block *block = NULL;

    (void)pthread_mutex_lock(&cached->mutex);
    if (cached->last_number == number) {
        block = steal(&cached->last);
        cached->last_number = NO_BLOCK;
    }
    (void)pthread_mutex_unlock(&cached->mutex);
    return block;
}

/* Keeps `block` as the last one, but not the object's end: nobody goes on from there. */
static void keep_last(struct cached_source *cached, struct checked_block *block, uint64_t number)
{
    struct checked_block *old = block;

    (void)pthread_mutex_lock(&cached->mutex);
    if (block->size == CACHE_BLOCK_BYTES) {
        old = cached->last;
        cached->last = block;
        cached->last_number = number;
    }
    (void)pthread_mutex_unlock(&cached->mutex);
    checked_blocks_put(cached->blocks, old);
}

/* Gives the last block back before memory for another one is taken: a reader who goes on needs two
 * blocks, not three. */
static void drop_last(struct cached_source *cached)
{
    struct checked_block *block;

    (void)pthread_mutex_lock(&cached->mutex);
    block = steal(&cached->last);
    cached->last_number = NO_BLOCK;
    (void)pthread_mutex_unlock(&cached->mutex);
    checked_blocks_put(cached->blocks, block);
}

/* The block on its way, if it is number `number`, once it is there; else NULL. */
static struct checked_block *take_ahead(struct cached_source *cached, uint64_t number)
{
    struct checked_block *block = NULL;

    (void)pthread_mutex_lock(&cached->mutex);
    if (cached->ahead_number == number)
        block = steal(&cached->ahead);
    (void)pthread_mutex_unlock(&cached->mutex);
    return checked_blocks_finish(cached->blocks, block) ? block : NULL;
}

static void drop_ahead(struct cached_source *cached, struct checked_block *block)
{
    if (checked_blocks_finish(cached->blocks, block))
        checked_blocks_put(cached->blocks, block);
}

/* Lets block `number` be made ready while the reader is busy with the one before. */
static void look_ahead(struct cached_source *cached, uint64_t number)
{
    struct checked_block *ahead;
    struct checked_block *old;

    if (number * CACHE_BLOCK_BYTES >= cached->object->size)
        return;
    ahead = checked_blocks_start(cached->blocks, cached->object, number, cached->file);
    (void)pthread_mutex_lock(&cached->mutex);
    old = cached->ahead;
    cached->ahead = ahead;
    cached->ahead_number = number;
    (void)pthread_mutex_unlock(&cached->mutex);
    drop_ahead(cached, old);
}

/* True when block `number` follows the last one: the reader moves forward. */
static bool moves_on_to(struct cached_source *cached, uint64_t number)
{
    bool result;

    (void)pthread_mutex_lock(&cached->mutex);
    result = number == cached->next_number;
    cached->next_number = number + 1;
    (void)pthread_mutex_unlock(&cached->mutex);
    return result;
}

static int get_block(struct cached_source *cached, uint64_t number, struct cancel *cancel,
                     struct checked_block **ret, struct error *err)
{
    *ret = take_last(cached, number);
    if (*ret == NULL)
        *ret = take_ahead(cached, number);
    if (*ret != NULL || checked_blocks_get(cached->blocks, cached->object, number, cached->file,
                                           atomic_load(&cached->may_wait), cancel, ret, err) == 0)
        return 0;
    (void)object_directory_blame_disk(err);
    if (err->kind == ERROR_CORRUPT)
        cached->listener.damaged(cached->listener.context, cached->object, cached->listener.inode);
    return -1;
}

/* --- the source --- */

/* Shows the part of a block that was asked for, and gives the block back. */
static int visit_block(struct cached_source *cached, uint64_t number, size_t start, size_t size,
                       const struct byte_visitor *visitor, struct cancel *cancel, size_t *ret_size,
                       struct error *err)
{
    struct checked_block *block;
    int result;

    if (get_block(cached, number, cancel, &block, err) < 0)
        return -1;
    drop_last(cached);
    *ret_size = block->size - start < size ? block->size - start : size;
    if (moves_on_to(cached, number) && atomic_load(&cached->looks_ahead))
        look_ahead(cached, number + 1);
    result = visitor->visit(visitor->context, block->bytes + start, *ret_size, err);
    keep_last(cached, block, number);
    return result;
}

static int cached_visit(struct byte_source *source, size_t size, uint64_t offset,
                        const struct byte_visitor *visitor, struct cancel *cancel, size_t *ret_size,
                        struct error *err)
{
    struct cached_source *cached = (struct cached_source *)source;
    size_t got = 0;

    while (got < size && offset + got < cached->object->size) {
        const uint64_t number = (offset + got) / CACHE_BLOCK_BYTES;
        const size_t start = (size_t)((offset + got) % CACHE_BLOCK_BYTES);
        size_t part;

        if (visit_block(cached, number, start, size - got, visitor, cancel, &part, err) < 0)
            return -1;
        got += part;
    }
    *ret_size = got;
    return 0;
}

static int copy_out(void *context, const uint8_t *bytes, size_t size, struct error *err)
{
    uint8_t **next = context;

    (void)err;
    memcpy(*next, bytes, size);
    *next += size;
    return 0;
}

static int cached_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    uint8_t *next = buffer;
    const struct byte_visitor visitor = {.visit = copy_out, .context = &next};

    return cached_visit(source, size, offset, &visitor, cancel, ret_size, err);
}

static uint64_t cached_size(struct byte_source *source)
{
    return ((struct cached_source *)source)->object->size;
}

static void cached_free(struct byte_source *source)
{
    struct cached_source *cached = (struct cached_source *)source;

    cached->listener.closed(cached->listener.context, cached->object);
    drop_ahead(cached, cached->ahead);
    checked_blocks_put(cached->blocks, cached->last);
    if (atomic_fetch_sub(&cached->object->readers, 1) == 1)
        checked_blocks_forget(cached->blocks, cached->object);
    cache_object_unref(cached->object);
    byte_source_free(cached->file);
    (void)pthread_mutex_destroy(&cached->mutex);
    free(cached);
}

void cached_source_set_waiting(struct byte_source *source, bool may_wait)
{
    struct cached_source *cached = (struct cached_source *)source;

    atomic_store(&cached->may_wait, may_wait);
    atomic_store(&cached->looks_ahead, true);
}

static const struct byte_source_ops cached_ops = {
    .pread = cached_pread, .visit = cached_visit, .size = cached_size, .free = cached_free};

int cached_source_new(struct cache_object *object, struct byte_source *file,
                      struct checked_blocks *blocks, struct reader_listener listener,
                      struct byte_source **ret, struct error *err)
{
    struct cached_source *cached = calloc(1, sizeof *cached);

    if (cached == NULL) {
        byte_source_free(file);
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    cached->source.ops = &cached_ops;
    cached->object = cache_object_ref(object);
    atomic_fetch_add(&object->readers, 1);
    cached->file = file;
    cached->blocks = blocks;
    cached->listener = listener;
    atomic_init(&cached->may_wait, true);
    (void)pthread_mutex_init(&cached->mutex, NULL);
    cached->last_number = NO_BLOCK;
    cached->next_number = NO_BLOCK;
    *ret = &cached->source;
    return 0;
}
