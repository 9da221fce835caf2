/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_keys.h"

#include "codec/gpgme/gpg_helper.h"
#include "codec/gpgme/gpg_session_key.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/packet_header.h"
#include "codec/openpgp/packet_type.h"
#include "codec/openpgp/seipd_v1.h"

#include <stdlib.h>
#include <string.h>

/* Encrypted data for gpg to fail on, when it has told the key. */
#define DUMMY_BODY_BYTES 64

struct gpgme_keys {
    struct session_key_resolver resolver;
    const struct gpg_helper *helper;
};

static int make_message(const uint8_t *packets, size_t size, uint8_t **ret, size_t *ret_size,
                        struct error *err)
{
    uint8_t *message = calloc(1, size + PACKET_HEADER_MAXIMUM_BYTES + DUMMY_BODY_BYTES);

    if (message == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    memcpy(message, packets, size);
    size += packet_header_write(PACKET_SEIPD, DUMMY_BODY_BYTES, message + size);
    message[size] = SEIPD_V1_VERSION;
    *ret = message;
    *ret_size = size + DUMMY_BODY_BYTES;
    return 0;
}

static int resolve(struct session_key_resolver *resolver, enum encrypted_data_kind kind,
                   const uint8_t *packets, size_t size, struct secure_arena *arena,
                   struct cancel *cancel, struct session_key **ret, struct error *err)
{
    const struct gpg_helper *helper = ((struct gpgme_keys *)resolver)->helper;
    CLEANUP(memory_free) uint8_t *message = NULL;
    struct gpg_session_key found;
    size_t message_size = 0;

    if (kind == ENCRYPTED_DATA_SEIPD_V2)
        return error_set(err, ERROR_UNSUPPORTED,
                         "GnuPG knows no public-key session key packets of version 6");
    if (make_message(packets, size, &message, &message_size, err) < 0 ||
        gpg_session_key_find(helper, GPG_HOME_KEYRING, arena, NULL, message, message_size, cancel,
                             &found, err) < 0)
        return -1;
    if (found.key == NULL && !found.lacks_key)
        return message_damaged(err);
    *ret = found.key;
    return 0;
}

static void free_keys(struct session_key_resolver *resolver)
{
    free(resolver);
}

int gpgme_keys_new(const struct gpg_helper *helper, struct session_key_resolver **ret,
                   struct error *err)
{
    static const struct session_key_resolver_ops ops = {.resolve = resolve, .free = free_keys};
    struct gpgme_keys *keys = calloc(1, sizeof *keys);

    if (keys == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    keys->resolver.ops = &ops;
    keys->helper = helper;
    *ret = &keys->resolver;
    return 0;
}
