/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_decryption.h"

#include "codec/gpgme/gpg_operation.h"
#include "codec/gpgme/gpg_session_key.h"
#include "codec/gpgme/outer_message.h"
#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

struct gpg_decryption {
    const struct gpgme_codec *codec;
    struct secure_arena *arena;
    const struct secure_buffer *passphrase;
    struct outer_message *message;
    struct gpg_operation *operation;
    size_t packet;
    uint64_t taken; /* bytes that gpg took */
    uint64_t given; /* bytes of plaintext that it gave */
};

/* --- which session key packet --- */

static const char *home_of(const struct gpg_decryption *decryption, size_t packet)
{
    if (packet == OUTER_MESSAGE_PUBLIC_KEYS)
        return gpg_keyring_use(decryption->codec->keyring);
    return gnupg_home_path(decryption->codec->home);
}

static const struct secure_buffer *passphrase_of(const struct gpg_decryption *decryption,
                                                 size_t packet)
{
    return packet == OUTER_MESSAGE_PUBLIC_KEYS ? NULL : decryption->passphrase;
}

static int try_packet(const struct gpg_decryption *decryption, size_t packet, struct cancel *cancel,
                      bool *ret, struct error *err)
{
    CLEANUP(memory_free) uint8_t *excerpt = NULL;
    struct gpg_session_key found;
    size_t size;

    if (outer_message_excerpt(decryption->message, packet, cancel, &excerpt, &size, err) < 0 ||
        gpg_session_key_find(home_of(decryption, packet), decryption->arena,
                             passphrase_of(decryption, packet), excerpt, size, cancel, &found,
                             err) < 0)
        return -1;
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
        outer_message_has_public_key_packets(message) && decryption->codec->keyring != NULL;
    const size_t count = outer_message_passphrase_packets(message) + (asks_keyring ? 1 : 0);
    bool fits = count == 1;

    if (count == 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the message is encrypted to public keys only, and there is no keyring");
    for (size_t i = 0; i < count; i++) {
        decryption->packet = candidate(decryption, i);
        if (count > 1 && try_packet(decryption, decryption->packet, cancel, &fits, err) < 0)
            return -1;
        if (fits)
            return 0;
    }
    return message_damaged(err);
}

/* --- the whole message --- */

static int start(struct gpg_decryption *decryption, struct error *err)
{
    const struct gpg_operation_options options = {
        .verb = GPG_DECRYPT,
        .home = home_of(decryption, decryption->packet),
        .arena = decryption->arena,
        .passphrase = passphrase_of(decryption, decryption->packet)};

    if (outer_message_begin(decryption->message, decryption->packet, err) < 0)
        return -1;
    return gpg_operation_start(&options, &decryption->operation, err);
}

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
    if (start(decryption, err) < 0)
        return -1;
    *ret = steal(&decryption);
    return 0;
}

void gpg_decryption_free(struct gpg_decryption *decryption)
{
    if (decryption == NULL)
        return;
    gpg_operation_free(decryption->operation);
    outer_message_free(decryption->message);
    free(decryption);
}

size_t gpg_decryption_packet(const struct gpg_decryption *decryption)
{
    return decryption->packet;
}

static int judge(const struct gpg_decryption *decryption, struct error *err)
{
    const struct gpg_operation *operation = decryption->operation;
    const struct gpg_status *status = gpg_operation_status(operation);

    if (gpg_operation_took_all(operation) && gpg_status_is_sound(status, decryption->given)) {
        if (status->signatures == 0)
            return 0;
        return error_set(err, ERROR_UNSUPPORTED, "signed messages are not supported");
    }
    if (decryption->packet != OUTER_MESSAGE_PUBLIC_KEYS && !gpg_operation_asked(operation))
        return error_set(err, ERROR_UNAVAILABLE, "gpg failed before it asked for the passphrase");
    return message_damaged(err);
}

static bool is_too_large(const struct gpg_decryption *decryption)
{
    return decryption->given > LIMIT_PLAINTEXT_BYTES ||
           (decryption->given > LIMIT_EXPANSION_FREE_BYTES &&
            decryption->given / LIMIT_EXPANSION_RATIO > decryption->taken);
}

int gpg_decryption_read(struct gpg_decryption *decryption, void *buffer, size_t size,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct gpg_exchange exchange = {.output = buffer, .output_size = size};
    const uint8_t *input;

    *ret_size = 0;
    while (!gpg_operation_has_ended(decryption->operation)) {
        if (outer_message_next(decryption->message, cancel, &input, &exchange.input_size, err) < 0)
            return -1;
        exchange.input = input;
        exchange.is_last = exchange.input_size == 0;
        if (gpg_operation_exchange(decryption->operation, &exchange, cancel, err) < 0)
            return -1;
        outer_message_skip(decryption->message, exchange.taken);
        decryption->taken += exchange.taken;
        decryption->given += exchange.given;
        *ret_size = exchange.given;
        if (is_too_large(decryption))
            return message_damaged(err);
        if (exchange.given > 0)
            return 0;
    }
    return judge(decryption, err);
}
