/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_sink.h"

#include "codec/gpgme/gpg_operation.h"
#include "codec/gpgme/gpgme_codec.h"
#include "codec/gpgme/gpgme_passphrase.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <stdlib.h>

/* Ciphertext is passed on in pieces of at most this size. */
#define PIECE_BYTES (64 * KIB)

struct gpgme_sink {
    struct byte_sink sink;
    struct byte_sink *ciphertext;
    struct secure_buffer *passphrase; /* until gpg asks for it */
    struct gpg_operation *operation;
    uint64_t declared_size; /* or BYTE_SOURCE_SIZE_UNKNOWN */
    uint64_t written;       /* bytes of plaintext */
    uint8_t piece[PIECE_BYTES];
};

/* One exchange with gpg; its ciphertext goes on at once. */
static int exchange_with_gpg(struct gpgme_sink *gpgme, const uint8_t *bytes, size_t size,
                             bool is_last, struct cancel *cancel, size_t *ret_taken,
                             struct error *err)
{
    struct gpg_exchange exchange = {.input = bytes,
                                    .input_size = size,
                                    .is_last = is_last,
                                    .output = gpgme->piece,
                                    .output_size = sizeof gpgme->piece};

    if (gpg_operation_exchange(gpgme->operation, &exchange, cancel, err) < 0)
        return -1;
    *ret_taken = exchange.taken;
    if (exchange.given == 0)
        return 0;
    return byte_sink_write(gpgme->ciphertext, gpgme->piece, exchange.given, cancel, err);
}

static int check_size(const struct gpgme_sink *gpgme, size_t size, struct error *err)
{
    const bool is_declared = gpgme->declared_size != BYTE_SOURCE_SIZE_UNKNOWN;

    if (is_declared && size > gpgme->declared_size - gpgme->written)
        return error_set(err, ERROR_INVALID,
                         "more plaintext than the %" PRIu64 " bytes that were declared",
                         gpgme->declared_size);
    if (size > LIMIT_PLAINTEXT_BYTES - gpgme->written)
        return error_set(err, ERROR_TOO_LARGE, "the plaintext is over %" PRIu64 " bytes",
                         LIMIT_PLAINTEXT_BYTES);
    return 0;
}

static int gpgme_sink_write(struct byte_sink *sink, const void *bytes, size_t size,
                            struct cancel *cancel, struct error *err)
{
    struct gpgme_sink *gpgme = (struct gpgme_sink *)sink;
    const uint8_t *next = bytes;
    size_t taken;

    if (check_size(gpgme, size, err) < 0)
        return -1;
    gpgme->written += size;
    while (size > 0) {
        if (gpg_operation_has_ended(gpgme->operation))
            return error_set(err, ERROR_UNAVAILABLE, "gpg ended early");
        if (exchange_with_gpg(gpgme, next, size, false, cancel, &taken, err) < 0)
            return -1;
        next += taken;
        size -= taken;
    }
    return 0;
}

static int gpgme_sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct gpgme_sink *gpgme = (struct gpgme_sink *)sink;
    size_t taken;

    if (gpgme->declared_size != BYTE_SOURCE_SIZE_UNKNOWN && gpgme->written != gpgme->declared_size)
        return error_set(err, ERROR_INVALID,
                         "%" PRIu64 " bytes of plaintext where %" PRIu64 " were declared",
                         gpgme->written, gpgme->declared_size);
    while (!gpg_operation_has_ended(gpgme->operation))
        if (exchange_with_gpg(gpgme, NULL, 0, true, cancel, &taken, err) < 0)
            return -1;
    if (!gpg_operation_took_all(gpgme->operation) ||
        !gpg_status_is_encrypted(gpg_operation_status(gpgme->operation)))
        return error_set(err, ERROR_UNAVAILABLE, "gpg did not encrypt everything");
    return byte_sink_commit(gpgme->ciphertext, cancel, err);
}

static void gpgme_sink_abort(struct byte_sink *sink)
{
    byte_sink_abort(((struct gpgme_sink *)sink)->ciphertext);
}

static void gpgme_sink_free(struct byte_sink *sink)
{
    struct gpgme_sink *gpgme = (struct gpgme_sink *)sink;

    gpg_operation_free(gpgme->operation);
    secure_buffer_free(gpgme->passphrase);
    free(gpgme);
}
DEFINE_CLEANUP(struct byte_sink, gpgme_sink_free)

static int start(struct gpgme_sink *gpgme, const struct gpgme_codec *codec,
                 struct secure_arena *arena, const struct secure_buffer *passphrase,
                 struct error *err)
{
    struct gpg_operation_options options = {
        .helper = codec->helper, .verb = GPG_ENCRYPT, .home = GPG_HOME_PRIVATE, .arena = arena};

    if (secure_buffer_copy_of(arena, secure_buffer_bytes(passphrase),
                              secure_buffer_size(passphrase), &gpgme->passphrase, err) < 0)
        return -1;
    options.passphrase = gpgme->passphrase;
    return gpg_operation_start(&options, NULL, &gpgme->operation, err);
}

int gpgme_sink_new(const struct codec *codec, struct secure_arena *arena,
                   const struct secure_buffer *passphrase, uint64_t declared_size,
                   struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err)
{
    static const struct byte_sink_ops ops = {.write = gpgme_sink_write,
                                             .commit = gpgme_sink_commit,
                                             .abort = gpgme_sink_abort,
                                             .free = gpgme_sink_free};
    CLEANUP(gpgme_sink_free) struct byte_sink *sink = NULL;
    struct gpgme_sink *gpgme;

    if (gpgme_passphrase_check(passphrase, err) < 0)
        return -1;
    if (declared_size != BYTE_SOURCE_SIZE_UNKNOWN && declared_size > LIMIT_PLAINTEXT_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "the plaintext is over %" PRIu64 " bytes",
                         LIMIT_PLAINTEXT_BYTES);
    gpgme = calloc(1, sizeof *gpgme);
    if (gpgme == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    sink = &gpgme->sink;
    sink->ops = &ops;
    gpgme->ciphertext = ciphertext;
    gpgme->declared_size = declared_size;
    if (start(gpgme, (const struct gpgme_codec *)codec, arena, passphrase, err) < 0)
        return -1;
    *ret = steal(&sink);
    return 0;
}
