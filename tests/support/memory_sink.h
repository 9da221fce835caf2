/* SPDX-License-Identifier: Apache-2.0 */
/* A byte_sink that collects into memory, remembers what was done to it and can fail. */
#ifndef SUPPORT_MEMORY_SINK_H
#define SUPPORT_MEMORY_SINK_H

#include "glancefs/byte_sink.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What happened to a sink; outlives it. Start with all zero. */
struct memory_sink_record {
    uint8_t *bytes; /* everything written, in order; kept also after an abort */
    size_t size;
    size_t capacity;
    /* Calls of each verb, failing ones included; may be read while the sink is at work. */
    atomic_uint writes;
    atomic_uint commits;
    atomic_uint aborts;
    atomic_uint frees;
};

/** Frees the bytes and makes everything zero. */
void memory_sink_record_clear(struct memory_sink_record *record);

/** `CLEANUP(memory_sink_record) struct memory_sink_record record = {0};` clears at scope's end. */
__attribute__((unused)) static inline void
memory_sink_record_cleanup(struct memory_sink_record *record)
{
    memory_sink_record_clear(record);
}

/** How a sink misbehaves; all zero is a well-behaved one. */
struct memory_sink_options {
    bool fails;                /* the write that would bring byte number `fail_at` fails */
    size_t fail_at;            /* so many bytes are taken before */
    bool fails_commit;         /* commit fails */
    enum error_kind fail_kind; /* ERROR_NONE stands for ERROR_NO_SPACE */
    unsigned delay_ms;         /* each write waits so long, or until cancelled */
};

/** A sink that reports to `record`, borrowed; `options` may be NULL and is copied. Aborts without
 *  memory. */
struct byte_sink *memory_sink_new(struct memory_sink_record *record,
                                  const struct memory_sink_options *options);

#endif
