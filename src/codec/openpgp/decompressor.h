/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression of one stream of ZIP (raw DEFLATE), ZLIB or BZip2 data, by zlib and libbz2, whose
 * state lives in the arena.
 */
#ifndef CODEC_OPENPGP_DECOMPRESSOR_H
#define CODEC_OPENPGP_DECOMPRESSOR_H

#include "codec/openpgp/algorithm.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"

#include <stddef.h>
#include <stdint.h>

struct decompressor;

/** For COMPRESSION_ID_ZIP, _ZLIB or _BZIP2. Arena: 48 KiB; for BZip2 64 KiB, and up to 3.5 MiB more
 *  as soon as the stream says its block size. ERROR_EXHAUSTED when that is not there. */
int decompressor_new(enum compression_id algorithm, struct secure_arena *arena,
                     struct decompressor **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void decompressor_free(struct decompressor *decompressor);
DEFINE_CLEANUP(struct decompressor, decompressor_free)

/** What is left of input and output; a step moves the pointers on. */
struct decompressor_buffers {
    const uint8_t *in;
    size_t in_size; /* at most UINT32_MAX, like the next */
    uint8_t *out;
    size_t out_size;
};

/**
 * Decompresses until the input is used up, the output full or the stream at its end, which
 * *ret_ended tells and after which no step may follow. A step without input may still give output.
 * The uniform error for a malformed stream; ERROR_EXHAUSTED when the arena is full.
 */
int decompressor_step(struct decompressor *decompressor, struct decompressor_buffers *buffers,
                      bool *ret_ended, struct error *err);

#endif
