/* SPDX-License-Identifier: Apache-2.0 */
/* A byte_source over bytes in memory that can be slow, fail, hide its size or be forward-only. */
#ifndef SUPPORT_MEMORY_SOURCE_H
#define SUPPORT_MEMORY_SOURCE_H

#include "glancefs/byte_source.h"

/** How a source misbehaves; all zero is a well-behaved one with random access. */
struct memory_source_options {
    bool is_forward_only;      /* other offsets than the position fail with ESPIPE */
    bool can_be_visited;       /* shows its bytes, in small pieces */
    bool hides_size;           /* size is BYTE_SOURCE_SIZE_UNKNOWN */
    bool fails;                /* reads that touch offset `fail_at` or pass it fail */
    uint64_t fail_at;          /* may be the size: then the read of the end fails */
    enum error_kind fail_kind; /* ERROR_NONE stands for ERROR_UNAVAILABLE */
    unsigned delay_ms;         /* each read waits so long, or until cancelled */
};

/** A source over `size` borrowed bytes; `options` may be NULL and is copied. Aborts without memory. */
struct byte_source *memory_source_new(const void *bytes, size_t size,
                                      const struct memory_source_options *options);

/** Calls of pread so far; any thread. */
unsigned memory_source_reads(struct byte_source *source);

/** First offset that was not yet handed out by a forward-only source. */
uint64_t memory_source_position(struct byte_source *source);

#endif
