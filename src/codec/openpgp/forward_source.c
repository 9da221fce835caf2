/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/forward_source.h"

#include "codec/openpgp/encrypted_message.h"
#include "codec/openpgp/kept_plaintext.h"
#include "codec/openpgp/message_damaged.h"

#include <errno.h>
#include <stdlib.h>

struct forward_source {
    struct byte_source source;
    struct openpgp_message *message;
    struct byte_source *ciphertext;
    struct encrypted_message *encrypted; /* NULL until the first read */
    uint64_t position;                   /* of the next pread */
    struct kept_plaintext kept;          /* from `position` on */
};

static int reopen(struct forward_source *forward, struct cancel *cancel, struct error *err)
{
    CLEANUP(encrypted_message_free) struct encrypted_message *encrypted = NULL;

    if (encrypted_message_reenter(forward->ciphertext, forward->message->layout->data_offset, NULL,
                                  cancel, &encrypted, err) < 0 ||
        encrypted_message_decrypt(encrypted, forward->message->key, false, cancel, err) < 0)
        return -1;
    forward->encrypted = steal(&encrypted);
    return 0;
}

static int read_content(struct forward_source *forward, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    if (forward->encrypted == NULL && reopen(forward, cancel, err) < 0)
        return -1;
    if (byte_stream_read(literal_message_content(forward->encrypted->inside), buffer, size, cancel,
                         ret_size, err) < 0)
        return -1;
    return *ret_size > 0 ? 0 : message_damaged(err);
}

static int forward_source_pread(struct byte_source *source, void *buffer, size_t size,
                                uint64_t offset, struct cancel *cancel, size_t *ret_size,
                                struct error *err)
{
    struct forward_source *forward = (struct forward_source *)source;
    uint64_t left = forward->message->layout->plaintext_size - forward->position;
    uint8_t *bytes = buffer;
    size_t from_kept, done;

    if (offset != forward->position)
        return error_set_errno(err, ESPIPE, "plaintext is read forward only");
    if (kept_plaintext_check(&forward->kept, err) < 0)
        return -1;
    size = size < left ? size : (size_t)left;
    from_kept = kept_plaintext_copy(&forward->kept, bytes, size);
    for (done = from_kept; done < size;) {
        size_t got;

        if (read_content(forward, bytes + done, size - done, cancel, &got, err) < 0) {
            if (done > from_kept)
                kept_plaintext_keep(&forward->kept, forward->message->key->arena, bytes, done);
            return -1;
        }
        done += got;
    }
    kept_plaintext_drop(&forward->kept, from_kept);
    forward->position += done;
    *ret_size = done;
    return 0;
}

static uint64_t forward_source_size(struct byte_source *source)
{
    return ((struct forward_source *)source)->message->layout->plaintext_size;
}

static void forward_source_free(struct byte_source *source)
{
    struct forward_source *forward = (struct forward_source *)source;

    encrypted_message_free(forward->encrypted);
    kept_plaintext_clear(&forward->kept);
    byte_source_free(forward->ciphertext);
    codec_message_unref(&forward->message->message);
    free(forward);
}

int forward_source_new(struct openpgp_message *message, struct byte_source *ciphertext,
                       struct byte_source **ret, struct error *err)
{
    static const struct byte_source_ops ops = {.pread = forward_source_pread,
                                               .size = forward_source_size,
                                               .free = forward_source_free,
                                               .is_forward_only = true};
    struct forward_source *forward = calloc(1, sizeof *forward);

    if (forward == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    forward->source.ops = &ops;
    forward->message = message;
    (void)codec_message_ref(&message->message);
    forward->ciphertext = ciphertext;
    *ret = &forward->source;
    return 0;
}
