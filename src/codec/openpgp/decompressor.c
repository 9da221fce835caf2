/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/decompressor.h"

#include "codec/openpgp/message_damaged.h"

#include <bzlib.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

/* zlib's name for a DEFLATE stream without wrapper: a negative window size, in bits. */
#define RAW_DEFLATE_WINDOW_BITS (-15)
#define ZLIB_WINDOW_BITS 15

struct decompressor {
    int (*step)(struct decompressor *decompressor, struct decompressor_buffers *buffers,
                bool *ret_ended, struct error *err);
    void (*end)(struct decompressor *decompressor); /* NULL when the library has no state yet */
    union {
        z_stream zlib;
        bz_stream bzip2;
    };
};

static void *allocate_for_zlib(void *arena, unsigned count, unsigned size)
{
    size_t bytes;

    if (__builtin_mul_overflow((size_t)count, (size_t)size, &bytes))
        return Z_NULL;
    return secure_arena_allocate(arena, bytes);
}

static void *allocate_for_bzip2(void *arena, int count, int size)
{
    return count < 0 || size < 0 ? NULL : allocate_for_zlib(arena, (unsigned)count, (unsigned)size);
}

static void release(void *arena, void *memory)
{
    secure_arena_release(arena, memory);
}

static int out_of_memory(struct error *err)
{
    return error_set(err, ERROR_EXHAUSTED, "locked memory is used up (max_memory)");
}

static int zlib_step(struct decompressor *decompressor, struct decompressor_buffers *buffers,
                     bool *ret_ended, struct error *err)
{
    z_stream *zlib = &decompressor->zlib;
    int result;

    zlib->next_in = buffers->in;
    zlib->avail_in = (unsigned)buffers->in_size;
    zlib->next_out = buffers->out;
    zlib->avail_out = (unsigned)buffers->out_size;
    result = inflate(zlib, Z_NO_FLUSH);
    *buffers = (struct decompressor_buffers){.in = zlib->next_in,
                                             .in_size = zlib->avail_in,
                                             .out = zlib->next_out,
                                             .out_size = zlib->avail_out};
    *ret_ended = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR)
        return out_of_memory(err);
    /* Z_BUF_ERROR: no step was possible, for lack of input. */
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return message_damaged(err);
    return 0;
}

static void zlib_end(struct decompressor *decompressor)
{
    (void)inflateEnd(&decompressor->zlib);
}

static int zlib_start(struct decompressor *decompressor, struct secure_arena *arena,
                      int window_bits, struct error *err)
{
    decompressor->step = zlib_step;
    decompressor->zlib.zalloc = allocate_for_zlib;
    decompressor->zlib.zfree = release;
    decompressor->zlib.opaque = arena;
    if (inflateInit2(&decompressor->zlib, window_bits) != Z_OK)
        return out_of_memory(err);
    decompressor->end = zlib_end;
    return 0;
}

static int bzip2_step(struct decompressor *decompressor, struct decompressor_buffers *buffers,
                      bool *ret_ended, struct error *err)
{
    bz_stream *bzip2 = &decompressor->bzip2;
    int result;

    /* libbz2 does not write to its input. */
    bzip2->next_in = (char *)(uintptr_t)buffers->in;
    bzip2->avail_in = (unsigned)buffers->in_size;
    bzip2->next_out = (char *)buffers->out;
    bzip2->avail_out = (unsigned)buffers->out_size;
    result = BZ2_bzDecompress(bzip2);
    *buffers = (struct decompressor_buffers){.in = (const uint8_t *)bzip2->next_in,
                                             .in_size = bzip2->avail_in,
                                             .out = (uint8_t *)bzip2->next_out,
                                             .out_size = bzip2->avail_out};
    *ret_ended = result == BZ_STREAM_END;
    if (result == BZ_MEM_ERROR)
        return out_of_memory(err);
    return result == BZ_OK || result == BZ_STREAM_END ? 0 : message_damaged(err);
}

static void bzip2_end(struct decompressor *decompressor)
{
    (void)BZ2_bzDecompressEnd(&decompressor->bzip2);
}

static int bzip2_start(struct decompressor *decompressor, struct secure_arena *arena,
                       struct error *err)
{
    const int quiet = 0, full_speed = 0;

    decompressor->step = bzip2_step;
    decompressor->bzip2.bzalloc = allocate_for_bzip2;
    decompressor->bzip2.bzfree = release;
    decompressor->bzip2.opaque = arena;
    if (BZ2_bzDecompressInit(&decompressor->bzip2, quiet, full_speed) != BZ_OK)
        return out_of_memory(err);
    decompressor->end = bzip2_end;
    return 0;
}

int decompressor_new(enum compression_id algorithm, struct secure_arena *arena,
                     struct decompressor **ret, struct error *err)
{
    CLEANUP(decompressor_free)
    struct decompressor *decompressor = calloc(1, sizeof *decompressor);
    int result;

    if (decompressor == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (algorithm == COMPRESSION_ID_BZIP2)
        result = bzip2_start(decompressor, arena, err);
    else
        result = zlib_start(
            decompressor, arena,
            algorithm == COMPRESSION_ID_ZIP ? RAW_DEFLATE_WINDOW_BITS : ZLIB_WINDOW_BITS, err);
    if (result < 0)
        return -1;
    *ret = steal(&decompressor);
    return 0;
}

void decompressor_free(struct decompressor *decompressor)
{
    if (decompressor == NULL)
        return;
    if (decompressor->end != NULL)
        decompressor->end(decompressor);
    free(decompressor);
}

int decompressor_step(struct decompressor *decompressor, struct decompressor_buffers *buffers,
                      bool *ret_ended, struct error *err)
{
    return decompressor->step(decompressor, buffers, ret_ended, err);
}
