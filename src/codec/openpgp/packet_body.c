/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/packet_body.h"

#include "codec/openpgp/message_damaged.h"
#include "glancefs/byte_source.h"

/* Reads lengths until a chunk has bytes or the body ends; *ret is how many may be read on. */
static int enter_chunk(struct packet_body *body, struct cancel *cancel, uint64_t *ret,
                       struct error *err)
{
    while (body->form == PACKET_LENGTH_PARTIAL && body->remaining == 0) {
        struct byte_cursor cursor;
        const uint8_t *bytes;
        size_t size;

        if (lookahead_peek(body->packets, PACKET_LENGTH_MAXIMUM_BYTES, cancel, &bytes, &size, err) <
            0)
            return -1;
        cursor = byte_cursor_over(bytes, size);
        if (packet_length_parse(&cursor, &body->form, &body->remaining, err) < 0) {
            body->form = PACKET_LENGTH_PARTIAL;
            body->remaining = 0;
            return -1;
        }
        lookahead_skip(body->packets, cursor.position);
        if (body->index != NULL)
            packet_index_add(body->index, lookahead_position(body->packets), body->remaining);
    }
    *ret = body->form == PACKET_LENGTH_INDETERMINATE ? UINT64_MAX : body->remaining;
    return 0;
}

/* Counts bytes off the chunk; the container must not have ended inside it. */
static int leave(struct packet_body *body, size_t size, struct error *err)
{
    if (body->form == PACKET_LENGTH_INDETERMINATE)
        return 0;
    if (size == 0)
        return message_damaged(err);
    body->remaining -= size;
    return 0;
}

static int read_chunk(struct packet_body *body, void *buffer, size_t size, struct cancel *cancel,
                      size_t *ret_size, struct error *err)
{
    uint64_t available;

    *ret_size = 0;
    if (enter_chunk(body, cancel, &available, err) < 0)
        return -1;
    if (available == 0)
        return 0;
    if (size > available)
        size = (size_t)available;
    if (byte_stream_read(&body->packets->stream, buffer, size, cancel, ret_size, err) < 0)
        return -1;
    return leave(body, *ret_size, err);
}

/* True when reading on, length and all, waits for nobody. */
static bool has_more_at_hand(const struct packet_body *body)
{
    return body->form == PACKET_LENGTH_PARTIAL &&
           lookahead_available(body->packets) > PACKET_LENGTH_MAXIMUM_BYTES;
}

/* Small chunks are joined into one large piece for the layer above, which has to decrypt and hash
 * it. A failure after the first of them shows again in the next read. */
static int packet_body_read(struct byte_stream *stream, void *buffer, size_t size,
                            struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct packet_body *body = (struct packet_body *)stream;
    size_t done = 0, got;

    do {
        struct error chunk_err = ERROR_INIT;

        if (read_chunk(body, (uint8_t *)buffer + done, size - done, cancel, &got, &chunk_err) < 0) {
            if (done > 0)
                break;
            *err = chunk_err;
            return -1;
        }
        done += got;
    } while (done < size && got > 0 && has_more_at_hand(body));
    *ret_size = done;
    return 0;
}

void packet_body_init(struct packet_body *body, struct lookahead *packets,
                      const struct packet_header *header)
{
    static const struct byte_stream_ops ops = {.read = packet_body_read};

    body->stream.ops = &ops;
    body->packets = packets;
    body->form = header->form;
    body->remaining = header->length;
    body->index = NULL;
}

void packet_body_note(struct packet_body *body, struct packet_index *index)
{
    const uint64_t position = lookahead_position(body->packets);

    body->index = index;
    packet_index_add(index, position,
                     body->form == PACKET_LENGTH_INDETERMINATE ? UINT64_MAX : body->remaining);
}

uint64_t packet_body_remaining(const struct packet_body *body)
{
    return body->form == PACKET_LENGTH_DEFINITE ? body->remaining : BYTE_SOURCE_SIZE_UNKNOWN;
}

int packet_body_peek(struct packet_body *body, struct cancel *cancel, const uint8_t **ret_bytes,
                     size_t *ret_size, struct error *err)
{
    uint64_t available;

    *ret_bytes = NULL;
    *ret_size = 0;
    if (enter_chunk(body, cancel, &available, err) < 0)
        return -1;
    if (available == 0)
        return 0;
    if (lookahead_peek(body->packets, 1, cancel, ret_bytes, ret_size, err) < 0)
        return -1;
    if (*ret_size == 0 && body->form != PACKET_LENGTH_INDETERMINATE)
        return message_damaged(err);
    if (*ret_size > available)
        *ret_size = (size_t)available;
    return 0;
}

void packet_body_skip(struct packet_body *body, size_t size)
{
    lookahead_skip(body->packets, size);
    if (body->form != PACKET_LENGTH_INDETERMINATE)
        body->remaining -= size;
}

/* Steps over at most `limit` bytes; *ret is how many there were. */
static int skip_up_to(struct packet_body *body, uint64_t limit, struct cancel *cancel,
                      uint64_t *ret, struct error *err)
{
    *ret = 0;
    while (*ret < limit) {
        const uint8_t *bytes;
        size_t size;

        if (packet_body_peek(body, cancel, &bytes, &size, err) < 0)
            return -1;
        if (size == 0)
            break;
        if (size > limit - *ret)
            size = (size_t)(limit - *ret);
        packet_body_skip(body, size);
        *ret += size;
    }
    return 0;
}

int packet_body_skip_exact(struct packet_body *body, uint64_t size, struct cancel *cancel,
                           struct error *err)
{
    uint64_t skipped;

    if (skip_up_to(body, size, cancel, &skipped, err) < 0)
        return -1;
    return skipped == size ? 0 : message_damaged(err);
}

int packet_body_skip_rest(struct packet_body *body, struct cancel *cancel, struct error *err)
{
    uint64_t skipped;

    return skip_up_to(body, UINT64_MAX, cancel, &skipped, err);
}

int packet_body_finish(struct packet_body *body, struct cancel *cancel, struct error *err)
{
    const uint8_t *bytes;
    size_t size;

    if (packet_body_peek(body, cancel, &bytes, &size, err) < 0)
        return -1;
    return size == 0 ? 0 : message_damaged(err);
}
