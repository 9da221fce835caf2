/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/ciphertext_stream.h"

static int ciphertext_stream_read(struct byte_stream *stream, void *buffer, size_t size,
                                  struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct ciphertext_stream *ciphertext = (struct ciphertext_stream *)stream;
    const uint64_t most =
        ciphertext->arrived > CIPHERTEXT_FIRST_BYTES ? ciphertext->arrived : CIPHERTEXT_FIRST_BYTES;

    if (size > most)
        size = (size_t)most;
    if (cancel_check(cancel, err) < 0 ||
        byte_source_pread(ciphertext->source, buffer, size, ciphertext->position, cancel, ret_size,
                          err) < 0)
        return -1;
    ciphertext->position += *ret_size;
    ciphertext->arrived += *ret_size;
    return 0;
}

void ciphertext_stream_init(struct ciphertext_stream *ciphertext, struct byte_source *source,
                            uint64_t offset)
{
    static const struct byte_stream_ops ops = {.read = ciphertext_stream_read};

    ciphertext->stream.ops = &ops;
    ciphertext->source = source;
    ciphertext->position = offset;
    ciphertext->arrived = 0;
}
