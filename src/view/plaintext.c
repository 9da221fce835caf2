/* SPDX-License-Identifier: Apache-2.0 */
#include "view/plaintext.h"

#include "glancefs/ciphertext_cache.h"
#include "glancefs/limits.h"
#include "view/plaintext_ring.h"

#include <inttypes.h>
#include <stdlib.h>

int plaintext_get(struct plaintext *plaintext, uint64_t offset, size_t size, struct cancel *cancel,
                  struct plaintext_pieces *ret, struct error *err)
{
    return plaintext->ops->get(plaintext, offset, size, cancel, ret, err);
}

void plaintext_put(struct plaintext *plaintext, const struct plaintext_pieces *pieces)
{
    if (plaintext->ops->put != NULL)
        plaintext->ops->put(plaintext, pieces);
}

bool plaintext_can_avoid_waiting(const struct plaintext *plaintext)
{
    return plaintext->ops->set_waiting != NULL;
}

void plaintext_set_waiting(struct plaintext *plaintext, bool may_wait)
{
    plaintext->ops->set_waiting(plaintext, may_wait);
}

void plaintext_free(struct plaintext *plaintext)
{
    if (plaintext != NULL)
        plaintext->ops->free(plaintext);
}

static int ended_early(uint64_t at, uint64_t size, struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the plaintext ends at %" PRIu64 " of %" PRIu64, at, size);
}

/* --- direct --- */

struct direct {
    struct plaintext plaintext;
    struct byte_source *source;
    struct byte_source *ciphertext; /* what `source` reads; borrowed from it */
    struct reply_buffers *buffers;
    const struct secure_arena *arena; /* theirs */
};

static int direct_get(struct plaintext *plaintext, uint64_t offset, size_t size,
                      struct cancel *cancel, struct plaintext_pieces *ret, struct error *err)
{
    struct direct *direct = (struct direct *)plaintext;
    void *buffer;
    size_t got = 0;
    int result;

    *ret = (struct plaintext_pieces){.count = 0};
    if (offset >= plaintext->size)
        return 0;
    if (size > plaintext->size - offset)
        size = (size_t)(plaintext->size - offset);
    buffer = reply_buffers_take(direct->buffers);
    if (buffer == NULL)
        return secure_arena_refuse(direct->arena, err);
    result = byte_source_pread(direct->source, buffer, size, offset, cancel, &got, err);
    if (result == 0 && got < size)
        result = ended_early(offset + got, plaintext->size, err);
    if (result < 0) {
        reply_buffers_give(direct->buffers, buffer, size);
        return -1;
    }
    *ret = (struct plaintext_pieces){
        .pieces = {{.iov_base = buffer, .iov_len = got}}, .count = 1, .size = got};
    return 0;
}

static void direct_put(struct plaintext *plaintext, const struct plaintext_pieces *pieces)
{
    if (pieces->count > 0)
        reply_buffers_give(((struct direct *)plaintext)->buffers, pieces->pieces[0].iov_base,
                           pieces->size);
}

static void direct_set_waiting(struct plaintext *plaintext, bool may_wait)
{
    ciphertext_cache_set_waiting(((struct direct *)plaintext)->ciphertext, may_wait);
}

static void direct_free(struct plaintext *plaintext)
{
    struct direct *direct = (struct direct *)plaintext;

    byte_source_free(direct->source);
    free(direct);
}

static int direct_new(struct byte_source *source, uint64_t size, struct byte_source *ciphertext,
                      struct reply_buffers *buffers, const struct secure_arena *arena,
                      struct plaintext **ret, struct error *err)
{
    static const struct plaintext_ops ops = {.get = direct_get,
                                             .put = direct_put,
                                             .set_waiting = direct_set_waiting,
                                             .free = direct_free};
    static const struct plaintext_ops waiting_ops = {
        .get = direct_get, .put = direct_put, .free = direct_free};
    struct direct *direct = calloc(1, sizeof *direct);

    if (direct == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    direct->plaintext = (struct plaintext){
        .ops = ciphertext != NULL ? &ops : &waiting_ops, .size = size, .is_verified = true};
    direct->source = source;
    direct->ciphertext = ciphertext;
    direct->buffers = buffers;
    direct->arena = arena;
    *ret = &direct->plaintext;
    return 0;
}

/* --- forward --- */

struct forward {
    struct plaintext plaintext;
    struct byte_source *source;
    struct plaintext_ring ring; /* its end is the source's position */
};

static int forward_get(struct plaintext *plaintext, uint64_t offset, size_t size,
                       struct cancel *cancel, struct plaintext_pieces *ret, struct error *err)
{
    struct forward *forward = (struct forward *)plaintext;
    struct plaintext_ring *ring = &forward->ring;
    uint64_t end = offset;

    if (offset < plaintext->size)
        end = size < plaintext->size - offset ? offset + size : plaintext->size;
    if (plaintext_ring_prepare(ring, err) < 0)
        return -1;
    while (ring->end < end) {
        const struct iovec room = plaintext_ring_piece(ring, ring->end, end);
        size_t got = 0;

        if (byte_source_pread(forward->source, room.iov_base, room.iov_len, ring->end, cancel, &got,
                              err) < 0)
            return -1;
        ring->end += got;
        if (got < room.iov_len)
            return ended_early(ring->end, plaintext->size, err);
    }
    plaintext_ring_pieces(ring, offset, end, ret);
    return 0;
}

static void forward_free(struct plaintext *plaintext)
{
    struct forward *forward = (struct forward *)plaintext;

    byte_source_free(forward->source);
    plaintext_ring_clear(&forward->ring);
    free(forward);
}

static int forward_new(struct byte_source *source, uint64_t size, struct secure_arena *arena,
                       struct plaintext **ret, struct error *err)
{
    static const struct plaintext_ops ops = {.get = forward_get, .free = forward_free};
    struct forward *forward = calloc(1, sizeof *forward);

    if (forward == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    forward->plaintext = (struct plaintext){.ops = &ops, .size = size, .is_verified = true};
    forward->source = source;
    plaintext_ring_init(&forward->ring, arena, STREAM_HISTORY_BYTES + FUSE_REQUEST_BYTES);
    *ret = &forward->plaintext;
    return 0;
}

int plaintext_new(struct byte_source *source, uint64_t size, struct byte_source *ciphertext,
                  struct reply_buffers *buffers, struct secure_arena *arena, struct plaintext **ret,
                  struct error *err)
{
    if (byte_source_is_forward_only(source))
        return forward_new(source, size, arena, ret, err);
    return direct_new(source, size, ciphertext, buffers, arena, ret, err);
}
