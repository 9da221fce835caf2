/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/cfb_reader.h"

#include "codec/openpgp/seipd_v1.h"
#include "crypto/cfb_cipher.h"
#include "glancefs/limits.h"

/* Copied and decrypted at a time: what stays in the processor's own cache in between. */
#define PIECE_BYTES ((size_t)64 * KIB)

/* Lives in the arena: the head holds plaintext. */
struct cfb_reader {
    struct decrypted_reader reader;
    struct encrypted_body body;
    struct secure_arena *arena;
    struct cfb_cipher *cipher;
    size_t block_size;
    uint8_t head[2 * CIPHER_MAXIMUM_BLOCK_BYTES]; /* the block before, and what comes before a read
                                                     in its own */
};

/* Where a byte stands behind the version octet. */
static uint64_t body_offset(const struct cfb_reader *cfb, uint64_t offset)
{
    return cfb->block_size + SEIPD_V1_PREFIX_REPEAT_BYTES + offset;
}

static int seek(struct cfb_reader *cfb, uint64_t offset, struct cancel *cancel, struct error *err)
{
    const uint64_t in_body = body_offset(cfb, offset);
    const size_t in_block = (size_t)(in_body % cfb->block_size);
    const size_t head_size = cfb->block_size + in_block;

    if (encrypted_body_read(&cfb->body, cfb->head, head_size, in_body - head_size, cancel, err) < 0)
        return -1;
    cfb_cipher_restart(cfb->cipher, cfb->head);
    cfb_cipher_decrypt(cfb->cipher, cfb->head, cfb->head + cfb->block_size, in_block);
    cfb->reader.position = offset;
    return 0;
}

/* On its way from ciphertext that is shown to the caller's buffer. */
struct decryption {
    struct cfb_reader *cfb;
    uint8_t *next;
};

static int decrypt_shown(void *context, const uint8_t *bytes, size_t size, struct error *err)
{
    struct decryption *decryption = context;

    (void)err;
    cfb_cipher_decrypt(decryption->cfb->cipher, decryption->next, bytes, size);
    decryption->next += size;
    decryption->cfb->reader.position += size;
    return 0;
}

static int read_shown(struct cfb_reader *cfb, uint8_t *out, size_t size, struct cancel *cancel,
                      struct error *err)
{
    struct decryption decryption = {.cfb = cfb, .next = out};
    const struct byte_visitor visitor = {.visit = decrypt_shown, .context = &decryption};

    return encrypted_body_visit(&cfb->body, size, body_offset(cfb, cfb->reader.position), &visitor,
                                cancel, err);
}

static int read_copied(struct cfb_reader *cfb, uint8_t *out, size_t size, struct cancel *cancel,
                       struct error *err)
{
    while (size > 0) {
        const size_t piece = size < PIECE_BYTES ? size : PIECE_BYTES;

        if (encrypted_body_read(&cfb->body, out, piece, body_offset(cfb, cfb->reader.position),
                                cancel, err) < 0)
            return -1;
        cfb_cipher_decrypt(cfb->cipher, out, out, piece);
        cfb->reader.position += piece;
        out += piece;
        size -= piece;
    }
    return 0;
}

/* Whatever was decrypted before a failure counts: cipher and position go together. */
static int cfb_reader_read(struct decrypted_reader *reader, void *buffer, size_t size,
                           uint64_t offset, struct cancel *cancel, struct error *err)
{
    struct cfb_reader *cfb = (struct cfb_reader *)reader;

    if (reader->position != offset && seek(cfb, offset, cancel, err) < 0)
        return -1;
    return encrypted_body_can_be_visited(&cfb->body, size, body_offset(cfb, offset))
               ? read_shown(cfb, buffer, size, cancel, err)
               : read_copied(cfb, buffer, size, cancel, err);
}

static void cfb_reader_free(struct decrypted_reader *reader)
{
    struct cfb_reader *cfb = (struct cfb_reader *)reader;

    cfb_cipher_free(cfb->cipher);
    secure_arena_release(cfb->arena, cfb);
}

int cfb_reader_new(const struct encrypted_body *body, const struct session_key *key,
                   struct decrypted_reader **ret, struct error *err)
{
    static const struct decrypted_reader_ops ops = {.read = cfb_reader_read,
                                                    .free = cfb_reader_free};
    struct cfb_reader *cfb = secure_arena_allocate(key->arena, sizeof *cfb);

    if (cfb == NULL)
        return secure_arena_refuse(key->arena, err);
    cfb->reader = (struct decrypted_reader){.ops = &ops, .position = DECRYPTED_READER_NOWHERE};
    cfb->body = *body;
    cfb->arena = key->arena;
    cfb->block_size = cipher_block_size(key->algorithm);
    if (cfb_cipher_new(key->algorithm, key->key, NULL, &cfb->cipher, err) < 0) {
        cfb_reader_free(&cfb->reader);
        return -1;
    }
    *ret = &cfb->reader;
    return 0;
}
