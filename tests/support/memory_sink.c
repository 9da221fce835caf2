/* SPDX-License-Identifier: Apache-2.0 */
#include "support/memory_sink.h"

#include "support/delay.h"

#include <stdlib.h>
#include <string.h>

struct memory_sink {
    struct byte_sink base;
    struct memory_sink_record *record;
    struct memory_sink_options options;
};

static void reserve(struct memory_sink_record *record, size_t size)
{
    size_t capacity = record->capacity == 0 ? 4096 : record->capacity;

    while (capacity < size)
        capacity *= 2;
    if (capacity == record->capacity)
        return;
    record->bytes = realloc(record->bytes, capacity);
    if (record->bytes == NULL)
        abort();
    record->capacity = capacity;
}

static int fail(const struct memory_sink *memory, struct error *err)
{
    const enum error_kind kind = memory->options.fail_kind;

    return error_set(err, kind == ERROR_NONE ? ERROR_NO_SPACE : kind, "the memory sink fails here");
}

static int memory_write(struct byte_sink *sink, const void *bytes, size_t size,
                        struct cancel *cancel, struct error *err)
{
    struct memory_sink *memory = (struct memory_sink *)sink;
    struct memory_sink_record *record = memory->record;

    record->writes++;
    if (delay(memory->options.delay_ms, cancel, err) < 0)
        return -1;
    if (memory->options.fails && record->size + size > memory->options.fail_at)
        return fail(memory, err);
    reserve(record, record->size + size);
    memcpy(record->bytes + record->size, bytes, size);
    record->size += size;
    return 0;
}

static int memory_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct memory_sink *memory = (struct memory_sink *)sink;

    (void)cancel;
    memory->record->commits++;
    return memory->options.fails_commit ? fail(memory, err) : 0;
}

static void memory_abort(struct byte_sink *sink)
{
    ((struct memory_sink *)sink)->record->aborts++;
}

static void memory_free(struct byte_sink *sink)
{
    ((struct memory_sink *)sink)->record->frees++;
    free(sink);
}

static const struct byte_sink_ops memory_ops = {
    .write = memory_write,
    .commit = memory_commit,
    .abort = memory_abort,
    .free = memory_free,
};

struct byte_sink *memory_sink_new(struct memory_sink_record *record,
                                  const struct memory_sink_options *options)
{
    struct memory_sink *memory = calloc(1, sizeof *memory);

    if (memory == NULL)
        abort();
    memory->base.ops = &memory_ops;
    memory->record = record;
    if (options != NULL)
        memory->options = *options;
    return &memory->base;
}

void memory_sink_record_clear(struct memory_sink_record *record)
{
    free(record->bytes);
    memset(record, 0, sizeof *record);
}
