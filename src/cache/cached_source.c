/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cached_source.h"

#include "glancefs/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NO_BLOCK UINT64_MAX

struct cached_source {
    struct byte_source source;
    struct cache_object *object;
    struct byte_source *file; /* unchecked bytes */
    struct damage_listener listener;
    pthread_mutex_t mutex; /* guards the block below. Held while it is read and checked: a source
                              has one reader, who would have to wait anyway */
    uint8_t *block;
    uint64_t block_number; /* NO_BLOCK when none is loaded */
    size_t block_size;
};

static size_t size_of_block(const struct cache_object *object, uint64_t number)
{
    const uint64_t rest = object->size - number * CACHE_BLOCK_BYTES;

    return rest < CACHE_BLOCK_BYTES ? (size_t)rest : CACHE_BLOCK_BYTES;
}

/* Makes block `number` the current one, checked. Locked. */
static int load_block(struct cached_source *cached, uint64_t number, struct cancel *cancel,
                      struct error *err)
{
    const size_t size = size_of_block(cached->object, number);
    size_t got;

    if (cached->block_number == number)
        return 0;
    cached->block_number = NO_BLOCK;
    if (byte_source_pread(cached->file, cached->block, size, number * CACHE_BLOCK_BYTES, cancel,
                          &got, err) < 0)
        return -1;
    if (gmac_table_check(cached->object->tags, number, cached->block, got, err) < 0) {
        if (err->kind == ERROR_CORRUPT)
            cached->listener.damaged(cached->listener.context, cached->object);
        return -1;
    }
    cached->block_number = number;
    cached->block_size = size;
    return 0;
}

static int cached_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct cached_source *cached = (struct cached_source *)source;
    uint8_t *next = buffer;
    size_t got = 0;
    int result = 0;

    (void)pthread_mutex_lock(&cached->mutex);
    while (got < size && offset + got < cached->object->size) {
        const size_t start = (size_t)((offset + got) % CACHE_BLOCK_BYTES);
        size_t part;

        result = load_block(cached, (offset + got) / CACHE_BLOCK_BYTES, cancel, err);
        if (result < 0)
            break;
        part = cached->block_size - start;
        part = part < size - got ? part : size - got;
        memcpy(next + got, cached->block + start, part);
        got += part;
    }
    (void)pthread_mutex_unlock(&cached->mutex);
    *ret_size = result < 0 ? 0 : got;
    return result;
}

static uint64_t cached_size(struct byte_source *source)
{
    return ((struct cached_source *)source)->object->size;
}

static void cached_free(struct byte_source *source)
{
    struct cached_source *cached = (struct cached_source *)source;

    cache_object_unref(cached->object);
    byte_source_free(cached->file);
    (void)pthread_mutex_destroy(&cached->mutex);
    free(cached->block);
    free(cached);
}

static const struct byte_source_ops cached_ops = {
    .pread = cached_pread, .size = cached_size, .free = cached_free};

int cached_source_new(struct cache_object *object, struct byte_source *file,
                      struct damage_listener listener, struct byte_source **ret, struct error *err)
{
    struct cached_source *cached = calloc(1, sizeof *cached);
    uint8_t *block = malloc(CACHE_BLOCK_BYTES);

    if (cached == NULL || block == NULL) {
        free(cached);
        free(block);
        byte_source_free(file);
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    cached->source.ops = &cached_ops;
    cached->object = cache_object_ref(object);
    cached->file = file;
    cached->listener = listener;
    (void)pthread_mutex_init(&cached->mutex, NULL);
    cached->block = block;
    cached->block_number = NO_BLOCK;
    *ret = &cached->source;
    return 0;
}
