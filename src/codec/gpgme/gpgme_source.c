/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_source.h"

#include "codec/gpgme/gpg_decryption.h"
#include "codec/openpgp/message_damaged.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct gpgme_source {
    struct byte_source source;
    struct gpgme_message *message;
    struct byte_source *ciphertext;
    struct gpg_decryption *decryption; /* NULL until the first read */
    uint64_t position;                 /* of the next pread */
    struct secure_buffer *kept;        /* plaintext from `position` on, after a failure; or NULL */
    bool has_lost_plaintext;           /* a failure whose plaintext could not be kept */
};

static int read_plaintext(struct gpgme_source *source, void *buffer, size_t size,
                          struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct gpgme_message *message = source->message;

    if (source->decryption == NULL &&
        gpg_decryption_new(message->codec, message->arena, source->ciphertext, message->passphrase,
                           message->packet, cancel, &source->decryption, err) < 0)
        return -1;
    if (gpg_decryption_read(source->decryption, buffer, size, cancel, ret_size, err) < 0)
        return -1;
    return *ret_size > 0 ? 0 : message_damaged(err);
}

/* gpg has moved on past these bytes, the position has not. */
static void keep(struct gpgme_source *source, const uint8_t *bytes, size_t size)
{
    struct secure_buffer *kept = NULL;
    struct error ignored = ERROR_INIT;

    if (secure_buffer_copy_of(source->message->arena, bytes, size, &kept, &ignored) < 0) {
        source->has_lost_plaintext = true;
        return;
    }
    secure_buffer_free(source->kept);
    source->kept = kept;
}

/* Copies what was kept, all of it, and makes the rest be kept when `size` is less. */
static int take_kept(struct gpgme_source *source, uint8_t *buffer, size_t size, size_t *ret_size,
                     struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *kept = steal(&source->kept);
    size_t left;

    *ret_size = 0;
    if (kept == NULL)
        return 0;
    left = secure_buffer_size(kept);
    *ret_size = size < left ? size : left;
    memcpy(buffer, secure_buffer_bytes(kept), *ret_size);
    if (*ret_size == left)
        return 0;
    keep(source, secure_buffer_bytes(kept) + *ret_size, left - *ret_size);
    return source->has_lost_plaintext ? error_set(err, ERROR_EXHAUSTED, "out of locked memory") : 0;
}

static int gpgme_source_pread(struct byte_source *source, void *buffer, size_t size,
                              uint64_t offset, struct cancel *cancel, size_t *ret_size,
                              struct error *err)
{
    struct gpgme_source *gpgme = (struct gpgme_source *)source;
    const uint64_t left = gpgme->message->plaintext_size - gpgme->position;
    uint8_t *bytes = buffer;
    size_t done, got;

    if (offset != gpgme->position)
        return error_set_errno(err, ESPIPE, "plaintext is read forward only");
    if (gpgme->has_lost_plaintext)
        return error_set(err, ERROR_EXHAUSTED, "out of locked memory");
    size = size < left ? size : (size_t)left;
    if (take_kept(gpgme, bytes, size, &done, err) < 0)
        return -1;
    for (; done < size; done += got) {
        if (read_plaintext(gpgme, bytes + done, size - done, cancel, &got, err) < 0) {
            if (done > 0)
                keep(gpgme, bytes, done);
            return -1;
        }
    }
    gpgme->position += done;
    *ret_size = done;
    return 0;
}

static uint64_t gpgme_source_size(struct byte_source *source)
{
    return ((struct gpgme_source *)source)->message->plaintext_size;
}

static void gpgme_source_free(struct byte_source *source)
{
    struct gpgme_source *gpgme = (struct gpgme_source *)source;

    gpg_decryption_free(gpgme->decryption);
    secure_buffer_free(gpgme->kept);
    byte_source_free(gpgme->ciphertext);
    codec_message_unref(&gpgme->message->message);
    free(gpgme);
}

int gpgme_source_new(struct gpgme_message *message, struct byte_source *ciphertext,
                     struct byte_source **ret, struct error *err)
{
    static const struct byte_source_ops ops = {.pread = gpgme_source_pread,
                                               .size = gpgme_source_size,
                                               .free = gpgme_source_free,
                                               .is_forward_only = true};
    struct gpgme_source *gpgme = calloc(1, sizeof *gpgme);

    if (gpgme == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    gpgme->source.ops = &ops;
    gpgme->message = message;
    (void)codec_message_ref(&message->message);
    gpgme->ciphertext = ciphertext;
    *ret = &gpgme->source;
    return 0;
}
