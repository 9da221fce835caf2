/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/codec.h"

#include "codec/gpgme/gpg_helper.h"
#include "codec/gpgme/gpgme_codec.h"
#include "codec/openpgp/openpgp_codec.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct codecs {
    struct gpg_helper *helper; /* NULL when no gpg is wanted */
    struct codec *openpgp;
};

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

static int start_helper(const struct codecs_options *options, struct gpg_helper **ret,
                        struct error *err)
{
    const struct gpg_helper_options helper = {.has_home = options->engine == CODEC_ENGINE_GPGME,
                                              .runtime = options->runtime,
                                              .keyring = options->keyring};

    if (!helper.has_home && helper.keyring == NULL)
        return 0;
    return gpg_helper_start(&helper, ret, err);
}

static int new_openpgp(const struct codecs_options *options, const struct gpg_helper *helper,
                       struct codec **ret, struct error *err)
{
    if (options->engine == CODEC_ENGINE_GPGME)
        return gpgme_codec_new(options, helper, ret, err);
    return openpgp_codec_new(options, helper, ret, err);
}

int codecs_new(const struct codecs_options *options, struct codecs **ret, struct error *err)
{
    static const struct codecs_options defaults = {.engine = CODEC_ENGINE_NATIVE};
    CLEANUP(codecs_free) struct codecs *codecs = calloc(1, sizeof *codecs);

    if (codecs == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (options == NULL)
        options = &defaults;
    if (start_helper(options, &codecs->helper, err) < 0 ||
        new_openpgp(options, codecs->helper, &codecs->openpgp, err) < 0)
        return -1;
    *ret = steal(&codecs);
    return 0;
}

void codecs_free(struct codecs *codecs)
{
    if (codecs == NULL)
        return;
    if (codecs->openpgp != NULL)
        codecs->openpgp->ops->free(codecs->openpgp);
    gpg_helper_free(codecs->helper);
    free(codecs);
}

int codecs_confine(struct codecs *codecs, bool enters_sandbox, struct error *err)
{
    return codecs->helper == NULL ? 0 : gpg_helper_confine(codecs->helper, enters_sandbox, err);
}

enum codecs_helper codecs_helper(const struct codecs *codecs)
{
    if (codecs->helper == NULL)
        return CODECS_HELPER_NONE;
    return gpg_helper_is_alive(codecs->helper) ? CODECS_HELPER_RUNNING : CODECS_HELPER_ENDED;
}

int codecs_find(struct codecs *codecs, const char *format, const struct codec **ret,
                struct error *err)
{
    if (strcasecmp(format, codecs->openpgp->format) == 0) {
        *ret = codecs->openpgp;
        return 0;
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
    return codec->ops->decrypt(codec, arena, ciphertext, passphrase, plaintext, cancel, ret, err);
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
                       struct cancel *cancel, struct byte_source **ret, struct error *err)
{
    return message->ops->open(message, ciphertext, cancel, ret, err);
}

void codec_layout_init(struct codec_layout *layout, void (*free)(struct codec_layout *layout))
{
    layout->free = free;
    layout->reference_count = 1;
}

struct codec_layout *codec_message_layout(const struct codec_message *message)
{
    return message->ops->layout == NULL ? NULL : message->ops->layout(message);
}

struct codec_layout *codec_layout_ref(struct codec_layout *layout)
{
    (void)__atomic_add_fetch(&layout->reference_count, 1, __ATOMIC_RELAXED);
    return layout;
}

void codec_layout_unref(struct codec_layout *layout)
{
    if (layout != NULL && __atomic_sub_fetch(&layout->reference_count, 1, __ATOMIC_ACQ_REL) == 0)
        layout->free(layout);
}

int codec_reopen(const struct codec *codec, struct secure_arena *arena, struct codec_layout *layout,
                 struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                 struct cancel *cancel, struct codec_message **ret, struct error *err)
{
    if (codec->ops->reopen == NULL)
        return error_set(err, ERROR_UNSUPPORTED, "this engine only decrypts whole messages");
    return codec->ops->reopen(codec, arena, layout, ciphertext, passphrase, cancel, ret, err);
}

int codec_open_stream(const struct codec *codec, struct secure_arena *arena,
                      struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                      struct cancel *cancel, struct codec_stream **ret, struct error *err)
{
    if (codec->ops->open_stream == NULL)
        return error_set(err, ERROR_UNSUPPORTED, "this engine only decrypts whole messages");
    return codec->ops->open_stream(codec, arena, ciphertext, passphrase, cancel, ret, err);
}

void codec_stream_free(struct codec_stream *stream)
{
    if (stream != NULL)
        stream->ops->free(stream);
}

int codec_stream_read(struct codec_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                      size_t *ret_size, struct error *err)
{
    return stream->ops->read(stream, buffer, size, cancel, ret_size, err);
}

uint64_t codec_stream_plaintext_size(const struct codec_stream *stream)
{
    return stream->ops->plaintext_size(stream);
}

bool codec_stream_is_compressed(const struct codec_stream *stream)
{
    return stream->ops->is_compressed(stream);
}

struct codec_message *codec_stream_message(struct codec_stream *stream)
{
    return stream->ops->message(stream);
}

int codec_open_sink(const struct codec *codec, struct secure_arena *arena,
                    const struct secure_buffer *passphrase, uint64_t declared_size,
                    struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err)
{
    return codec->ops->open_sink(codec, arena, passphrase, declared_size, ciphertext, ret, err);
}
