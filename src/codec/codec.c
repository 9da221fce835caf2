/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/codec.h"

#include "codec/openpgp/openpgp_codec.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Longest format name that is worth repeating in a message. */
#define FORMAT_NAME_SHOWN_BYTES 32

static bool is_showable(const char *format)
{
    if (format[0] == '\0' || strlen(format) > FORMAT_NAME_SHOWN_BYTES)
        return false;
    for (; *format != '\0'; format++)
        if (!isalnum((unsigned char)*format) && *format != '-' && *format != '_')
            return false;
    return true;
}

int codec_for_format(const char *format, const struct codec **ret, struct error *err)
{
    static const struct codec *const codecs[] = {&openpgp_codec};

    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (strcasecmp(format, codecs[i]->format) == 0) {
            *ret = codecs[i];
            return 0;
        }
    }
    if (!is_showable(format))
        return error_set(err, ERROR_UNSUPPORTED, "the encryption format is not supported");
    return error_set(err, ERROR_UNSUPPORTED, "encryption format %s is not supported", format);
}

int codec_decrypt(const struct codec *codec, struct secure_arena *arena,
                  struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                  struct byte_sink *plaintext, struct cancel *cancel, struct codec_message **ret,
                  struct error *err)
{
    return codec->decrypt(arena, ciphertext, passphrase, plaintext, cancel, ret, err);
}

void codec_message_init(struct codec_message *message, const struct codec_message_ops *ops)
{
    message->ops = ops;
    message->reference_count = 1;
}

struct codec_message *codec_message_ref(struct codec_message *message)
{
    (void)__atomic_add_fetch(&message->reference_count, 1, __ATOMIC_RELAXED);
    return message;
}

void codec_message_unref(struct codec_message *message)
{
    if (message != NULL && __atomic_sub_fetch(&message->reference_count, 1, __ATOMIC_ACQ_REL) == 0)
        message->ops->free(message);
}

uint64_t codec_message_plaintext_size(const struct codec_message *message)
{
    return message->ops->plaintext_size(message);
}

bool codec_message_is_compressed(const struct codec_message *message)
{
    return message->ops->is_compressed(message);
}

int codec_message_open(struct codec_message *message, struct byte_source *ciphertext,
                       struct byte_source **ret, struct error *err)
{
    return message->ops->open(message, ciphertext, ret, err);
}

int codec_open_sink(const struct codec *codec, struct secure_arena *arena,
                    const struct secure_buffer *passphrase, uint64_t declared_size,
                    struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err)
{
    return codec->open_sink(arena, passphrase, declared_size, ciphertext, ret, err);
}
