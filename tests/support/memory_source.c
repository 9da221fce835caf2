/* SPDX-License-Identifier: Apache-2.0 */
#include "support/memory_source.h"

#include "support/delay.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct memory_source {
    struct byte_source base;
    const uint8_t *bytes;
    size_t size;
    struct memory_source_options options;
    atomic_uint reads;
    atomic_ullong position;
};

static bool touches_failure(const struct memory_source *memory, size_t size, uint64_t offset)
{
    return memory->options.fails &&
           (offset > memory->options.fail_at || size > memory->options.fail_at - offset);
}

static int memory_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct memory_source *memory = (struct memory_source *)source;
    const enum error_kind kind = memory->options.fail_kind;
    size_t available;

    atomic_fetch_add(&memory->reads, 1);
    if (delay(memory->options.delay_ms, cancel, err) < 0 || cancel_check(cancel, err) < 0)
        return -1;
    if (memory->options.is_forward_only && offset != atomic_load(&memory->position))
        return error_set_errno(err, ESPIPE, "memory source");
    if (touches_failure(memory, size, offset))
        return error_set(err, kind == ERROR_NONE ? ERROR_UNAVAILABLE : kind,
                         "the memory source fails here");
    available = offset < memory->size ? memory->size - (size_t)offset : 0;
    *ret_size = size < available ? size : available;
    if (*ret_size > 0)
        memcpy(buffer, memory->bytes + offset, *ret_size);
    if (memory->options.is_forward_only)
        atomic_store(&memory->position, offset + *ret_size);
    return 0;
}

/* Bytes shown at a time. */
#define SHOWN_BYTES ((size_t)777)

static int memory_visit(struct byte_source *source, size_t size, uint64_t offset,
                        const struct byte_visitor *visitor, struct cancel *cancel, size_t *ret_size,
                        struct error *err)
{
    uint8_t piece[SHOWN_BYTES];
    size_t got = sizeof piece;

    for (*ret_size = 0; *ret_size < size && got > 0; *ret_size += got) {
        const size_t wanted = size - *ret_size < sizeof piece ? size - *ret_size : sizeof piece;

        if (memory_pread(source, piece, wanted, offset + *ret_size, cancel, &got, err) < 0 ||
            (got > 0 && visitor->visit(visitor->context, piece, got, err) < 0))
            return -1;
    }
    return 0;
}

static uint64_t memory_size(struct byte_source *source)
{
    const struct memory_source *memory = (const struct memory_source *)source;

    return memory->options.hides_size ? BYTE_SOURCE_SIZE_UNKNOWN : memory->size;
}

static void memory_free(struct byte_source *source)
{
    free(source);
}

static const struct byte_source_ops random_ops = {
    .pread = memory_pread,
    .size = memory_size,
    .free = memory_free,
    .is_forward_only = false,
};

static const struct byte_source_ops visited_ops = {
    .pread = memory_pread,
    .visit = memory_visit,
    .size = memory_size,
    .free = memory_free,
    .is_forward_only = false,
};

static const struct byte_source_ops forward_ops = {
    .pread = memory_pread,
    .size = memory_size,
    .free = memory_free,
    .is_forward_only = true,
};

struct byte_source *memory_source_new(const void *bytes, size_t size,
                                      const struct memory_source_options *options)
{
    struct memory_source *memory = calloc(1, sizeof *memory);

    if (memory == NULL)
        abort();
    if (options != NULL)
        memory->options = *options;
    memory->base.ops = memory->options.is_forward_only  ? &forward_ops
                       : memory->options.can_be_visited ? &visited_ops
                                                        : &random_ops;
    memory->bytes = bytes;
    memory->size = size;
    atomic_init(&memory->reads, 0);
    atomic_init(&memory->position, 0);
    return &memory->base;
}

unsigned memory_source_reads(struct byte_source *source)
{
    return atomic_load(&((struct memory_source *)source)->reads);
}

uint64_t memory_source_position(struct byte_source *source)
{
    return atomic_load(&((struct memory_source *)source)->position);
}
