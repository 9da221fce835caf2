/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_decryption.h"

#include "codec/gpgme/gpg_operation.h"
#include "codec/gpgme/gpg_session_key.h"
#include "codec/gpgme/outer_message.h"
#include "codec/openpgp/literal_message.h"
#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

#include <inttypes.h>

/* What is decrypted only to be verified goes by in pieces of this size. */
#define PIECE_BYTES (64 * KIB)

struct gpg_decryption {
    struct byte_stream packets; /* what gpg makes of the encrypted data */
    const struct gpgme_codec *codec;
    struct secure_arena *arena;
    const struct secure_buffer *passphrase;
    struct outer_message *message;
    struct gpg_operation *operation;
    struct literal_message *inside;
    size_t packet;
    uint64_t decrypted;      /* bytes that gpg gave */
    uint64_t plaintext_size; /* bytes of content among them, so far */
};

/* --- which session key packet --- */

static enum gpg_home home_of(size_t packet)
{
    return packet == OUTER_MESSAGE_PUBLIC_KEYS ? GPG_HOME_KEYRING : GPG_HOME_PRIVATE;
}

static const struct secure_buffer *passphrase_of(const struct gpg_decryption *decryption,
                                                 size_t packet)
{
    return packet == OUTER_MESSAGE_PUBLIC_KEYS ? NULL : decryption->passphrase;
}

/* A gpg that cannot even begin with the packet, which is kept in *unavailable, does not open it. */
static int try_packet(const struct gpg_decryption *decryption, size_t packet, struct cancel *cancel,
                      bool *ret, struct error *unavailable, struct error *err)
{
    CLEANUP(memory_free) uint8_t *excerpt = NULL;
    struct gpg_session_key found;
    size_t size;

    *ret = false;
    if (outer_message_excerpt(decryption->message, packet, cancel, &excerpt, &size, err) < 0)
        return -1;
    if (gpg_session_key_find(decryption->codec->helper, home_of(packet), decryption->arena,
                             passphrase_of(decryption, packet), excerpt, size, cancel, &found,
                             err) < 0) {
        if (err->kind != ERROR_UNAVAILABLE)
            return -1;
        *unavailable = *err;
        return 0;
    }
    *ret = found.fits;
    session_key_free(found.key);
    return 0;
}

/* Passphrases first, in the order of the message, then the keyring. */
static size_t candidate(const struct gpg_decryption *decryption, size_t i)
{
    return i < outer_message_passphrase_packets(decryption->message) ? i
                                                                     : OUTER_MESSAGE_PUBLIC_KEYS;
}

static int choose_packet(struct gpg_decryption *decryption, struct cancel *cancel,
                         struct error *err)
{
    const struct outer_message *message = decryption->message;
    const bool asks_keyring =
        outer_message_has_public_key_packets(message) && decryption->codec->has_keyring;
    const size_t count = outer_message_passphrase_packets(message) + (asks_keyring ? 1 : 0);
    struct error unavailable = ERROR_INIT, try_err = ERROR_INIT;
    bool fits = count == 1;

    if (count == 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the message is encrypted to public keys only, and there is no keyring");
    for (size_t i = 0; i < count; i++) {
        decryption->packet = candidate(decryption, i);
        if (count > 1 &&
            try_packet(decryption, decryption->packet, cancel, &fits, &unavailable, &try_err) < 0) {
            *err = try_err;
            return -1;
        }
        if (fits)
            return 0;
    }
    if (!error_is_set(&unavailable))
        return message_damaged(err);
    *err = unavailable;
    return -1;
}

/* --- gpg --- */

static int start(struct gpg_decryption *decryption, struct cancel *cancel, struct error *err)
{
    const struct gpg_operation_options options = {
        .helper = decryption->codec->helper,
        .verb = GPG_DECRYPT,
        .home = home_of(decryption->packet),
        .arena = decryption->arena,
        .passphrase = passphrase_of(decryption, decryption->packet)};

    if (outer_message_begin(decryption->message, decryption->packet, err) < 0)
        return -1;
    return gpg_operation_start(&options, cancel, &decryption->operation, err);
}

/* Ends with gpg, whatever that thinks of the message. */
static int read_packets(struct byte_stream *stream, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct gpg_decryption *decryption = (struct gpg_decryption *)stream;
    struct gpg_exchange exchange = {.output = buffer, .output_size = size};
    const uint8_t *input;

    while (exchange.given == 0 && !gpg_operation_has_ended(decryption->operation)) {
        if (outer_message_next(decryption->message, cancel, &input, &exchange.input_size, err) < 0)
            return -1;
        exchange.input = input;
        exchange.is_last = exchange.input_size == 0;
        if (gpg_operation_exchange(decryption->operation, &exchange, cancel, err) < 0)
            return -1;
        outer_message_skip(decryption->message, exchange.taken);
    }
    decryption->decrypted += exchange.given;
    *ret_size = exchange.given;
    return 0;
}

static bool has_not_begun(const struct gpg_decryption *decryption)
{
    return gpg_operation_has_ended(decryption->operation) &&
           decryption->packet != OUTER_MESSAGE_PUBLIC_KEYS &&
           !gpg_operation_asked(decryption->operation);
}

static int fail(const struct gpg_decryption *decryption, struct error *err)
{
    if (has_not_begun(decryption))
        return error_set(err, ERROR_UNAVAILABLE, "gpg failed before it asked for the passphrase");
    return message_damaged(err);
}

/* Once gpg has ended. */
static int judge(const struct gpg_decryption *decryption, struct error *err)
{
    if (gpg_operation_took_all(decryption->operation) &&
        gpg_status_is_sound(gpg_operation_status(decryption->operation)))
        return 0;
    return fail(decryption, err);
}

/* --- the packets inside --- */

/* Has gpg verify the rest of a message whose content is refused: then it may be told. */
static int confirm(struct gpg_decryption *decryption, const struct error *refusal,
                   struct cancel *cancel, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *piece = NULL;
    size_t got;

    if (secure_buffer_new(decryption->arena, PIECE_BYTES, &piece, err) < 0)
        return -1;
    do {
        if (byte_stream_read(&decryption->packets, secure_buffer_data(piece),
                             secure_buffer_capacity(piece), cancel, &got, err) < 0)
            return -1;
    } while (got > 0);
    if (judge(decryption, err) < 0)
        return -1;
    *err = *refusal;
    return -1;
}

/* What may be told of a failure of the layers above gpg. */
static int explain(struct gpg_decryption *decryption, const struct error *failure,
                   struct cancel *cancel, struct error *err)
{
    if (failure->kind == ERROR_UNSUPPORTED || failure->kind == ERROR_TOO_LARGE)
        return confirm(decryption, failure, cancel, err);
    if (failure->kind == ERROR_CORRUPT && has_not_begun(decryption))
        return fail(decryption, err);
    *err = *failure;
    return -1;
}

static int enter(struct gpg_decryption *decryption, struct cancel *cancel, struct error *err)
{
    static const struct byte_stream_ops ops = {.read = read_packets};
    struct error failure = ERROR_INIT;

    decryption->packets.ops = &ops;
    if (literal_message_new(&decryption->packets, &decryption->decrypted, decryption->arena, cancel,
                            &decryption->inside, &failure) < 0)
        return explain(decryption, &failure, cancel, err);
    return 0;
}

static int read_content(struct gpg_decryption *decryption, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    if (byte_stream_read(literal_message_content(decryption->inside), buffer, size, cancel,
                         ret_size, err) < 0)
        return -1;
    decryption->plaintext_size += *ret_size;
    if (decryption->plaintext_size > LIMIT_PLAINTEXT_BYTES)
        return error_set(err, ERROR_TOO_LARGE, "the plaintext is over %" PRIu64 " bytes",
                         LIMIT_PLAINTEXT_BYTES);
    return *ret_size > 0 ? 0 : literal_message_finish(decryption->inside, cancel, err);
}

/* --- the whole message --- */

int gpg_decryption_new(const struct gpgme_codec *codec, struct secure_arena *arena,
                       struct byte_source *ciphertext, const struct secure_buffer *passphrase,
                       size_t packet, struct cancel *cancel, struct gpg_decryption **ret,
                       struct error *err)
{
    CLEANUP(gpg_decryption_free)
    struct gpg_decryption *decryption = calloc(1, sizeof *decryption);

    if (decryption == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    decryption->codec = codec;
    decryption->arena = arena;
    decryption->passphrase = passphrase;
    decryption->packet = packet;
    if (outer_message_new(ciphertext, cancel, &decryption->message, err) < 0)
        return -1;
    if (packet == GPG_DECRYPTION_UNKNOWN_PACKET && choose_packet(decryption, cancel, err) < 0)
        return -1;
    if (start(decryption, cancel, err) < 0 || enter(decryption, cancel, err) < 0)
        return -1;
    *ret = steal(&decryption);
    return 0;
}

void gpg_decryption_free(struct gpg_decryption *decryption)
{
    if (decryption == NULL)
        return;
    literal_message_free(decryption->inside);
    gpg_operation_free(decryption->operation);
    outer_message_free(decryption->message);
    free(decryption);
}

size_t gpg_decryption_packet(const struct gpg_decryption *decryption)
{
    return decryption->packet;
}

int gpg_decryption_read(struct gpg_decryption *decryption, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct error failure = ERROR_INIT;

    if (read_content(decryption, buffer, size, cancel, ret_size, &failure) < 0)
        return explain(decryption, &failure, cancel, err);
    return *ret_size > 0 ? 0 : judge(decryption, err);
}
