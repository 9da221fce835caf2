/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/byte_stream.h"

#include "codec/openpgp/message_damaged.h"

#include <stdint.h>

int byte_stream_read(struct byte_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                     size_t *ret_size, struct error *err)
{
    return stream->ops->read(stream, buffer, size, cancel, ret_size, err);
}

int byte_stream_read_exact(struct byte_stream *stream, void *buffer, size_t size,
                           struct cancel *cancel, struct error *err)
{
    uint8_t *next = buffer;

    while (size > 0) {
        size_t got;

        if (byte_stream_read(stream, next, size, cancel, &got, err) < 0)
            return -1;
        if (got == 0)
            return message_damaged(err);
        next += got;
        size -= got;
    }
    return 0;
}
