/* SPDX-License-Identifier: Apache-2.0 */
#include "message_shapes.h"

/* One octet more than the smallest chunks, so that several lie in a partial chunk and the other way
 * round. */
const struct message_shape message_shapes[] = {
    {.name = "SEIPD 1", FRAMING_FIVE_OCTETS, FRAMING_FIVE_OCTETS, .cipher = CIPHER_AES256},
    {.name = "SEIPD 1, blocks of 8", FRAMING_SHORTEST, FRAMING_SHORTEST, .cipher = CIPHER_CAST5},
    {.name = "SEIPD 1, partial", FRAMING_PARTIAL_512, FRAMING_SHORTEST, .cipher = CIPHER_AES128},
    {.name = "SEIPD 1, partial twice",
     FRAMING_PARTIAL_512,
     FRAMING_PARTIAL_512,
     .cipher = CIPHER_AES256},
    {.name = "SEIPD 1, literal in parts",
     FRAMING_SHORTEST,
     FRAMING_PARTIAL_512,
     .cipher = CIPHER_BLOWFISH},
    {.name = "SEIPD 1, legacy", FRAMING_SHORTEST, FRAMING_LEGACY, .cipher = CIPHER_AES192},
    {.name = "SEIPD 2, OCB",
     FRAMING_FIVE_OCTETS,
     FRAMING_FIVE_OCTETS,
     true,
     CIPHER_AES256,
     false,
     AEAD_ALGORITHM_OCB,
     0},
    {.name = "SEIPD 2, EAX",
     FRAMING_SHORTEST,
     FRAMING_SHORTEST,
     true,
     CIPHER_AES128,
     false,
     AEAD_ALGORITHM_EAX,
     1},
    {.name = "SEIPD 2, GCM, partial twice",
     FRAMING_PARTIAL_512,
     FRAMING_PARTIAL_512,
     true,
     CIPHER_AES256,
     false,
     AEAD_ALGORITHM_GCM,
     3},
    {.name = "SEIPD 2, OCB, large chunks",
     FRAMING_PARTIAL_512,
     FRAMING_SHORTEST,
     true,
     CIPHER_AES256,
     false,
     AEAD_ALGORITHM_OCB,
     16},
    {.name = "packet 20, OCB",
     FRAMING_SHORTEST,
     FRAMING_SHORTEST,
     true,
     CIPHER_AES256,
     true,
     AEAD_ALGORITHM_OCB,
     0},
    {.name = "packet 20, OCB, partial",
     FRAMING_PARTIAL_512,
     FRAMING_SHORTEST,
     true,
     CIPHER_AES192,
     true,
     AEAD_ALGORITHM_OCB,
     6},
    {.name = "packet 20, EAX",
     FRAMING_SHORTEST,
     FRAMING_PARTIAL_512,
     true,
     CIPHER_AES256,
     true,
     AEAD_ALGORITHM_EAX,
     2},
};
const size_t message_shape_count = ELEMENTS_OF(message_shapes);

void build_shape(struct octets *out, const struct message_shape *shape, const void *content,
                 size_t size)
{
    CLEANUP(octets_clear) struct octets packets = {0};
    const struct aead_plan aead = {shape->outer, shape->is_librepgp, shape->cipher,
                                   shape->aead,  shape->chunk_octet, AEAD_SOUND};
    const struct seipd_plan seipd = {.framing = shape->outer};
    struct skesk_plan skesk = usual_skesk(SHAPE_PASSPHRASE);
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    enum cipher_algorithm cipher;

    build_literal(&packets, shape->inner, content, size);
    if (shape->is_aead) {
        build_aead_message(out, &aead, SHAPE_PASSPHRASE, packets.data, packets.size);
        return;
    }
    skesk.cipher = shape->cipher;
    build_skesk(out, &skesk, key, &cipher);
    build_seipd(out, &seipd, cipher, key, packets.data, packets.size);
}

struct codec_message *open_shape(const struct message_shape *shape, const void *content,
                                 size_t size, struct octets *ret_message)
{
    struct codec_message *opened = NULL;
    struct error err = ERROR_INIT;

    build_shape(ret_message, shape, content, size);
    if (bed_decrypt(ret_message->data, ret_message->size, SHAPE_PASSPHRASE, NULL, &opened, &err) <
        0)
        fail_msg("%s of %zu bytes: %s", shape->name, size, err.message);
    assert_int_equal(codec_message_plaintext_size(opened), size);
    return opened;
}
