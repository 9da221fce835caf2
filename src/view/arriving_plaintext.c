/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/limits.h"
#include "view/plaintext.h"
#include "view/plaintext_ring.h"

#include <inttypes.h>
#include <stdlib.h>

/* What was delivered, a request, and what is withheld behind it; more than a message's end may turn
 * up behind the last byte that was promised. */
#define RING_BYTES (STREAM_HISTORY_BYTES + FUSE_REQUEST_BYTES + STREAM_WITHHELD_BYTES + 4 * KIB)

struct arriving {
    struct plaintext plaintext;
    struct codec_stream *stream;
    struct verified_listener listener;
    struct plaintext_ring ring; /* its end is how far the message is decrypted */
    bool has_ended;             /* all of it arrived and was verified */
};

/* The message was verified to its end. */
static int end(struct arriving *arriving, struct error *err)
{
    struct plaintext *plaintext = &arriving->plaintext;
    CLEANUP(codec_message_unref) struct codec_message *message = NULL;

    if (plaintext->size != BYTE_SOURCE_SIZE_UNKNOWN && plaintext->size != arriving->ring.end)
        return error_set(err, ERROR_CORRUPT,
                         "the plaintext ends at %" PRIu64 " of %" PRIu64 " bytes",
                         arriving->ring.end, plaintext->size);
    arriving->has_ended = true;
    plaintext->size = arriving->ring.end;
    plaintext->is_verified = true;
    message = codec_stream_message(arriving->stream);
    if (message != NULL)
        arriving->listener.verified(arriving->listener.context, message);
    return 0;
}

/* Decrypts on, to `target` at most; tells the end. */
static int decrypt(struct arriving *arriving, uint64_t target, struct cancel *cancel,
                   struct error *err)
{
    struct plaintext_ring *ring = &arriving->ring;
    const struct iovec room = plaintext_ring_piece(ring, ring->end, target);
    size_t got = 0;

    if (codec_stream_read(arriving->stream, room.iov_base, room.iov_len, cancel, &got, err) < 0)
        return -1;
    if (got == 0)
        return end(arriving, err);
    ring->end += got;
    if (ring->end > arriving->plaintext.size)
        return error_set(err, ERROR_CORRUPT, "the plaintext goes on after its %" PRIu64 " bytes",
                         arriving->plaintext.size);
    return 0;
}

static int decrypt_up_to(struct arriving *arriving, uint64_t target, struct cancel *cancel,
                         struct error *err)
{
    const struct verified_listener *listener = &arriving->listener;

    while (!arriving->has_ended && arriving->ring.end < target) {
        if (decrypt(arriving, target, cancel, err) == 0)
            continue;
        listener->failed(listener->context, err, cancel);
        return -1;
    }
    return 0;
}

/* How far to decrypt before the bytes up to `end` may be given. With a known size one byte more
 * than there should be is asked for: only the end itself says that everything was right. */
static uint64_t needed_for(const struct arriving *arriving, uint64_t needed_end)
{
    const uint64_t size = arriving->plaintext.size;

    if (size == BYTE_SOURCE_SIZE_UNKNOWN)
        return needed_end + STREAM_WITHHELD_BYTES;
    if (size >= STREAM_WITHHELD_BYTES && needed_end <= size - STREAM_WITHHELD_BYTES)
        return needed_end;
    return size + 1;
}

static int arriving_get(struct plaintext *plaintext, uint64_t offset, size_t size,
                        struct cancel *cancel, struct plaintext_pieces *ret, struct error *err)
{
    struct arriving *arriving = (struct arriving *)plaintext;
    const uint64_t target = needed_for(arriving, offset + size);
    uint64_t limit;

    if (plaintext_ring_prepare(&arriving->ring, err) < 0 ||
        decrypt_up_to(arriving, target, cancel, err) < 0)
        return -1;
    limit = arriving->has_ended ? plaintext->size : offset + size;
    if (limit > offset + size)
        limit = offset + size;
    plaintext_ring_pieces(&arriving->ring, offset, limit > offset ? limit : offset, ret);
    return 0;
}

static void arriving_free(struct plaintext *plaintext)
{
    struct arriving *arriving = (struct arriving *)plaintext;

    codec_stream_free(arriving->stream);
    plaintext_ring_clear(&arriving->ring);
    free(arriving);
}

int plaintext_arriving_new(struct codec_stream *stream, uint64_t size, struct secure_arena *arena,
                           struct verified_listener listener, struct plaintext **ret,
                           struct error *err)
{
    static const struct plaintext_ops ops = {.get = arriving_get, .free = arriving_free};
    struct arriving *arriving = calloc(1, sizeof *arriving);

    if (arriving == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    arriving->plaintext = (struct plaintext){.ops = &ops, .size = size};
    arriving->stream = stream;
    arriving->listener = listener;
    plaintext_ring_init(&arriving->ring, arena, RING_BYTES);
    *ret = &arriving->plaintext;
    return 0;
}
