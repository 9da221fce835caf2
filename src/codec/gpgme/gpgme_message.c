/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_message.h"

#include "codec/gpgme/gpgme_source.h"

#include <stdlib.h>

static uint64_t plaintext_size(const struct codec_message *message)
{
    return ((const struct gpgme_message *)message)->plaintext_size;
}

static bool is_compressed(const struct codec_message *message)
{
    (void)message;
    return true;
}

static int open_source(struct codec_message *message, struct byte_source *ciphertext,
                       struct cancel *cancel, struct byte_source **ret, struct error *err)
{
    (void)cancel;
    return gpgme_source_new((struct gpgme_message *)message, ciphertext, ret, err);
}

static void free_message(struct codec_message *message)
{
    secure_buffer_free(((struct gpgme_message *)message)->passphrase);
    free(message);
}

int gpgme_message_new(const struct gpgme_codec *codec, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, size_t packet, uint64_t size,
                      struct codec_message **ret, struct error *err)
{
    static const struct codec_message_ops ops = {.plaintext_size = plaintext_size,
                                                 .is_compressed = is_compressed,
                                                 .open = open_source,
                                                 .free = free_message};
    CLEANUP(secure_buffer_free) struct secure_buffer *copy = NULL;
    struct gpgme_message *message;

    if (secure_buffer_copy_of(arena, secure_buffer_bytes(passphrase),
                              secure_buffer_size(passphrase), &copy, err) < 0)
        return -1;
    message = calloc(1, sizeof *message);
    if (message == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    codec_message_init(&message->message, &ops);
    message->codec = codec;
    message->arena = arena;
    message->passphrase = steal(&copy);
    message->packet = packet;
    message->plaintext_size = size;
    *ret = &message->message;
    return 0;
}
