/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_RUNS ((size_t)8)

/* Between two chunks of a run stands the length of the second. */
#define LENGTH_BYTES 1

void packet_index_clear(struct packet_index *index)
{
    free(index->runs);
    *index = (struct packet_index){.runs = NULL};
}

static struct packet_run *last_run(const struct packet_index *index)
{
    return index->count > 0 ? &index->runs[index->count - 1] : NULL;
}

static uint64_t container_of(const struct packet_run *run, uint64_t offset)
{
    const uint64_t chunk = (offset - run->body) / run->chunk_size;

    return run->container + (offset - run->body) + chunk * LENGTH_BYTES;
}

static bool has_room(struct packet_index *index)
{
    const size_t capacity = index->capacity > 0 ? 2 * index->capacity : FIRST_RUNS;
    struct packet_run *runs;

    if (index->runs != NULL && index->count < index->capacity)
        return true;
    if (capacity > PACKET_INDEX_MAXIMUM_RUNS)
        return false;
    runs = realloc(index->runs, capacity * sizeof *runs);
    if (runs == NULL)
        return false;
    index->runs = runs;
    index->capacity = capacity;
    return true;
}

void packet_index_add(struct packet_index *index, uint64_t container, uint64_t size)
{
    const struct packet_run *last = last_run(index);
    const bool goes_on = last != NULL && size == last->chunk_size &&
                         container == container_of(last, index->body_size);
    uint64_t body_size;

    if (size == 0 || index->is_lost)
        return;
    if (__builtin_add_overflow(index->body_size, size, &body_size) ||
        (!goes_on && !has_room(index))) {
        index->is_lost = true;
        return;
    }
    if (!goes_on)
        index->runs[index->count++] = (struct packet_run){
            .body = index->body_size, .container = container, .chunk_size = size};
    index->body_size = body_size;
}

/* The run that holds byte `offset` of the body. */
static const struct packet_run *find_run(const struct packet_index *index, uint64_t offset)
{
    size_t low = 0, high = index->count;

    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;

        if (index->runs[middle].body <= offset)
            low = middle;
        else
            high = middle;
    }
    return &index->runs[low];
}

/* Where byte `offset` stands, and how many follow it in one piece. */
static uint64_t find(const struct packet_index *index, uint64_t offset, uint64_t *ret_piece)
{
    const struct packet_run *run = find_run(index, offset);

    *ret_piece = run->chunk_size - (offset - run->body) % run->chunk_size;
    return container_of(run, offset);
}

uint64_t packet_index_position(const struct packet_index *index, uint64_t offset)
{
    uint64_t piece;

    return find(index, offset, &piece);
}

/* `size` bytes of the container, from body byte `offset` on, become the body bytes among them;
 * returns how many those are. */
static size_t close_up(const struct packet_index *index, uint8_t *bytes, size_t size,
                       uint64_t offset)
{
    uint64_t piece, start = find(index, offset, &piece);
    size_t done = piece < size ? (size_t)piece : size;

    while (offset + done < index->body_size) {
        const uint64_t skip = find(index, offset + done, &piece) - start;

        if (skip >= size)
            break;
        if (piece > size - skip)
            piece = size - skip;
        memmove(bytes + done, bytes + skip, (size_t)piece);
        done += (size_t)piece;
    }
    return done;
}

int packet_index_read(const struct packet_index *index, const struct packet_container *container,
                      void *buffer, size_t size, uint64_t offset, struct cancel *cancel,
                      struct error *err)
{
    uint8_t *next = buffer;

    assert(!index->is_lost && offset <= index->body_size && size <= index->body_size - offset);
    while (size > 0) {
        uint64_t piece;
        size_t done;

        if (container->read(container->context, next, size, find(index, offset, &piece), cancel,
                            err) < 0)
            return -1;
        done = close_up(index, next, size, offset);
        next += done;
        offset += done;
        size -= done;
    }
    return 0;
}
