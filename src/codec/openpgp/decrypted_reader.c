/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/decrypted_reader.h"

#include "codec/openpgp/aead_reader.h"
#include "codec/openpgp/cfb_reader.h"
#include "codec/openpgp/message_damaged.h"

static int read_ciphertext(void *context, void *buffer, size_t size, uint64_t position,
                           struct cancel *cancel, struct error *err)
{
    const struct encrypted_body *body = context;
    size_t got;

    if (byte_source_pread(body->ciphertext, buffer, size, position, cancel, &got, err) < 0)
        return -1;
    return got == size ? 0 : message_damaged(err);
}

int encrypted_body_read(const struct encrypted_body *body, void *buffer, size_t size,
                        uint64_t offset, struct cancel *cancel, struct error *err)
{
    struct encrypted_body copy = *body;
    const struct packet_container container = {.read = read_ciphertext, .context = &copy};

    return packet_index_read(body->index, &container, buffer, size, offset, cancel, err);
}

bool encrypted_body_can_be_visited(const struct encrypted_body *body, size_t size, uint64_t offset)
{
    return byte_source_can_be_visited(body->ciphertext) &&
           offset + size <= body->index->body_size &&
           packet_index_position(body->index, offset + size - 1) -
                   packet_index_position(body->index, offset) ==
               size - 1;
}

int encrypted_body_visit(const struct encrypted_body *body, size_t size, uint64_t offset,
                         const struct byte_visitor *visitor, struct cancel *cancel,
                         struct error *err)
{
    size_t got;

    if (byte_source_visit(body->ciphertext, size, packet_index_position(body->index, offset),
                          visitor, cancel, &got, err) < 0)
        return -1;
    return got == size ? 0 : message_damaged(err);
}

int decrypted_reader_new(const struct openpgp_layout *layout, const struct session_key *key,
                         struct byte_source *ciphertext, struct decrypted_reader **ret,
                         struct error *err)
{
    const struct encrypted_body body = {.ciphertext = ciphertext, .index = &layout->body};

    if (layout->kind == ENCRYPTED_DATA_SEIPD_V1)
        return cfb_reader_new(&body, key, ret, err);
    return aead_reader_new(&body, &layout->aead, layout->decrypted_size, key, ret, err);
}

void decrypted_reader_free(struct decrypted_reader *reader)
{
    if (reader != NULL)
        reader->ops->free(reader);
}

int decrypted_reader_read(struct decrypted_reader *reader, void *buffer, size_t size,
                          uint64_t offset, struct cancel *cancel, struct error *err)
{
    return reader->ops->read(reader, buffer, size, offset, cancel, err);
}
