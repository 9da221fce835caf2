/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_source.h"

#include "codec/gpgme/gpg_decryption.h"
#include "codec/openpgp/kept_plaintext.h"
#include "codec/openpgp/message_damaged.h"

#include <errno.h>
#include <stdlib.h>

struct gpgme_source {
    struct byte_source source;
    struct gpgme_message *message;
    struct byte_source *ciphertext;
    struct gpg_decryption *decryption; /* NULL until the first read */
    uint64_t position;                 /* of the next pread */
    struct kept_plaintext kept;        /* from `position` on */
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

static int gpgme_source_pread(struct byte_source *source, void *buffer, size_t size,
                              uint64_t offset, struct cancel *cancel, size_t *ret_size,
                              struct error *err)
{
    struct gpgme_source *gpgme = (struct gpgme_source *)source;
    const uint64_t left = gpgme->message->plaintext_size - gpgme->position;
    uint8_t *bytes = buffer;
    size_t from_kept, done, got;

    if (offset != gpgme->position)
        return error_set_errno(err, ESPIPE, "plaintext is read forward only");
    if (kept_plaintext_check(&gpgme->kept, err) < 0)
        return -1;
    size = size < left ? size : (size_t)left;
    from_kept = kept_plaintext_copy(&gpgme->kept, bytes, size);
    for (done = from_kept; done < size; done += got) {
        if (read_plaintext(gpgme, bytes + done, size - done, cancel, &got, err) < 0) {
            if (done > from_kept)
                kept_plaintext_keep(&gpgme->kept, gpgme->message->arena, bytes, done);
            return -1;
        }
    }
    kept_plaintext_drop(&gpgme->kept, from_kept);
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
    kept_plaintext_clear(&gpgme->kept);
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
