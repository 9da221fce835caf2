/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_source.h"

#include "codec/openpgp/encrypted_message.h"
#include "codec/openpgp/message_damaged.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct openpgp_source {
    struct byte_source source;
    struct openpgp_message *message;
    struct byte_source *ciphertext;
    struct encrypted_message *encrypted; /* NULL until the first read */
    uint64_t position;                   /* of the next pread */
    struct secure_buffer *kept; /* plaintext from `position` on, after a failure; or NULL */
    size_t kept_read;           /* how much of it was handed out since */
    bool has_lost_plaintext;    /* a failure whose plaintext could not be kept */
};

/* What was kept comes first; it leaves only when the whole read succeeds. */
static size_t copy_kept(const struct openpgp_source *openpgp, void *buffer, size_t size)
{
    size_t left;

    if (openpgp->kept == NULL)
        return 0;
    left = secure_buffer_size(openpgp->kept) - openpgp->kept_read;
    size = size < left ? size : left;
    memcpy(buffer, secure_buffer_bytes(openpgp->kept) + openpgp->kept_read, size);
    return size;
}

static void drop_kept(struct openpgp_source *openpgp, size_t size)
{
    openpgp->kept_read += size;
    if (openpgp->kept != NULL && openpgp->kept_read == secure_buffer_size(openpgp->kept)) {
        secure_buffer_free(steal(&openpgp->kept));
        openpgp->kept_read = 0;
    }
}

/* The layers below have moved on past these bytes, the position has not. */
static void keep(struct openpgp_source *openpgp, const void *bytes, size_t size)
{
    struct secure_buffer *kept = NULL;
    struct error ignored = ERROR_INIT;

    if (secure_buffer_copy_of(openpgp->message->key->arena, bytes, size, &kept, &ignored) < 0) {
        openpgp->has_lost_plaintext = true;
        return;
    }
    secure_buffer_free(openpgp->kept);
    openpgp->kept = kept;
    openpgp->kept_read = 0;
}

static int read_content(struct openpgp_source *openpgp, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    if (openpgp->encrypted == NULL &&
        encrypted_message_reopen(openpgp->ciphertext, openpgp->message->seipd_offset,
                                 openpgp->message->key, cancel, &openpgp->encrypted, err) < 0)
        return -1;
    if (byte_stream_read(literal_message_content(openpgp->encrypted->inside), buffer, size, cancel,
                         ret_size, err) < 0)
        return -1;
    return *ret_size > 0 ? 0 : message_damaged(err);
}

static int openpgp_source_pread(struct byte_source *source, void *buffer, size_t size,
                                uint64_t offset, struct cancel *cancel, size_t *ret_size,
                                struct error *err)
{
    struct openpgp_source *openpgp = (struct openpgp_source *)source;
    uint64_t left = openpgp->message->plaintext_size - openpgp->position;
    uint8_t *bytes = buffer;
    size_t from_kept, done;

    if (offset != openpgp->position)
        return error_set_errno(err, ESPIPE, "plaintext is read forward only");
    if (openpgp->has_lost_plaintext)
        return error_set(err, ERROR_EXHAUSTED, "out of locked memory");
    size = size < left ? size : (size_t)left;
    from_kept = copy_kept(openpgp, bytes, size);
    for (done = from_kept; done < size;) {
        size_t got;

        if (read_content(openpgp, bytes + done, size - done, cancel, &got, err) < 0) {
            if (done > from_kept)
                keep(openpgp, bytes, done);
            return -1;
        }
        done += got;
    }
    drop_kept(openpgp, from_kept);
    openpgp->position += done;
    *ret_size = done;
    return 0;
}

static uint64_t openpgp_source_size(struct byte_source *source)
{
    return ((struct openpgp_source *)source)->message->plaintext_size;
}

static void openpgp_source_free(struct byte_source *source)
{
    struct openpgp_source *openpgp = (struct openpgp_source *)source;

    encrypted_message_free(openpgp->encrypted);
    secure_buffer_free(openpgp->kept);
    byte_source_free(openpgp->ciphertext);
    codec_message_unref(&openpgp->message->message);
    free(openpgp);
}

int openpgp_source_new(struct openpgp_message *message, struct byte_source *ciphertext,
                       struct byte_source **ret, struct error *err)
{
    static const struct byte_source_ops ops = {.pread = openpgp_source_pread,
                                               .size = openpgp_source_size,
                                               .free = openpgp_source_free,
                                               .is_forward_only = true};
    struct openpgp_source *openpgp = calloc(1, sizeof *openpgp);

    if (openpgp == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    openpgp->source.ops = &ops;
    openpgp->message = message;
    (void)codec_message_ref(&message->message);
    openpgp->ciphertext = ciphertext;
    *ret = &openpgp->source;
    return 0;
}
