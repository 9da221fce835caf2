/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_session_key.h"

#include "codec/gpgme/gpg_operation.h"
#include "codec/openpgp/algorithm.h"
#include "crypto/encoding.h"

#include <string.h>

/* What gpg decrypts of the excerpt is thrown away. */
#define OUTPUT_BYTES 4096

/* Text: decimal algorithm, colon, hexadecimal key. */
static int parse(const char *text, struct secure_arena *arena, struct session_key **ret,
                 struct error *err)
{
    CLEANUP(session_key_free) struct session_key *key = NULL;
    char *digits;
    const unsigned long id = strtoul(text, &digits, 10);

    if (*digits++ != ':' || id > UINT8_MAX)
        return 0;
    if (session_key_new(arena, &key, err) < 0)
        return -1;
    if (!cipher_algorithm_from_id((uint8_t)id, &key->algorithm))
        return 0;
    key->size = cipher_key_size(key->algorithm);
    if (strlen(digits) == 2 * key->size && decode_hex(digits, key->size, key->key))
        *ret = steal(&key);
    return 0;
}

static int feed(struct gpg_operation *operation, const uint8_t *message, size_t size,
                struct secure_buffer *output, struct cancel *cancel, struct error *err)
{
    struct gpg_exchange exchange = {.output = secure_buffer_data(output),
                                    .output_size = secure_buffer_capacity(output)};
    size_t done = 0;

    while (!gpg_operation_has_ended(operation)) {
        exchange.input = message + done;
        exchange.input_size = size - done;
        exchange.is_last = done == size;
        if (gpg_operation_exchange(operation, &exchange, cancel, err) < 0)
            return -1;
        done += exchange.taken;
    }
    return 0;
}

int gpg_session_key_find(const struct gpg_helper *helper, enum gpg_home home,
                         struct secure_arena *arena, const struct secure_buffer *passphrase,
                         const uint8_t *message, size_t size, struct cancel *cancel,
                         struct gpg_session_key *ret, struct error *err)
{
    const struct gpg_operation_options options = {.helper = helper,
                                                  .verb = GPG_DECRYPT,
                                                  .home = home,
                                                  .arena = arena,
                                                  .passphrase = passphrase,
                                                  .exports_session_key = true,
                                                  .total_seconds = GPG_SESSION_KEY_SECONDS};
    CLEANUP(gpg_operation_free) struct gpg_operation *operation = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *output = NULL;
    const struct gpg_status *status;

    *ret = (struct gpg_session_key){.key = NULL};
    if (secure_buffer_new(arena, OUTPUT_BYTES, &output, err) < 0 ||
        gpg_operation_start(&options, cancel, &operation, err) < 0 ||
        feed(operation, message, size, output, cancel, err) < 0)
        return -1;
    status = gpg_operation_status(operation);
    if (passphrase != NULL && !gpg_operation_asked(operation))
        return error_set(err, ERROR_UNAVAILABLE, "gpg failed before it asked for the passphrase");
    if (parse(status->session_key, arena, &ret->key, err) < 0)
        return -1;
    ret->fits = ret->key != NULL && status->bad_keys == 0;
    ret->lacks_key = gpg_status_lacks_key(status);
    return 0;
}
