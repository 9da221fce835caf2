/* SPDX-License-Identifier: Apache-2.0 */
/* From a secret to the passphrase of a message: the rule that os-brick settled. */
#include "crypto/encoding.h"
#include "glancefs/key_manager.h"

#include <string.h>

/* Puts the type's rule in the place of KEY_ENCODING_AUTO, the only one that needs the type. */
static int resolve_encoding(struct key_manager *manager, const char *secret_id,
                            struct cancel *cancel, enum key_encoding *encoding, struct error *err)
{
    struct secret_metadata metadata;

    if (*encoding != KEY_ENCODING_AUTO)
        return 0;
    if (key_manager_get_metadata(manager, secret_id, cancel, &metadata, err) < 0)
        return -1;
    *encoding =
        strcmp(metadata.secret_type, "passphrase") == 0 ? KEY_ENCODING_RAW : KEY_ENCODING_HEX;
    return 0;
}

static size_t encoded_size(enum key_encoding encoding, size_t size)
{
    if (encoding == KEY_ENCODING_HEX)
        return 2 * size;
    return encoding == KEY_ENCODING_BASE64 ? encode_base64_size(size) : size;
}

static void encode(enum key_encoding encoding, const struct secure_buffer *payload, uint8_t *out)
{
    const uint8_t *bytes = secure_buffer_bytes(payload);
    size_t size = secure_buffer_size(payload);

    if (encoding == KEY_ENCODING_HEX)
        encode_hex(bytes, size, (char *)out);
    else if (encoding == KEY_ENCODING_BASE64)
        encode_base64(bytes, size, (char *)out);
    else
        memcpy(out, bytes, size);
}

int key_manager_get_passphrase(struct key_manager *manager, struct secure_arena *arena,
                               const char *secret_id, enum key_encoding encoding,
                               struct cancel *cancel, struct secure_buffer **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    size_t size;

    if (resolve_encoding(manager, secret_id, cancel, &encoding, err) < 0 ||
        key_manager_get_payload(manager, secret_id, cancel, &payload, err) < 0)
        return -1;
    size = encoded_size(encoding, secure_buffer_size(payload));
    if (secure_buffer_new(arena, size, &passphrase, err) < 0)
        return -1;
    secure_buffer_set_size(passphrase, size);
    encode(encoding, payload, secure_buffer_data(passphrase));
    *ret = steal(&passphrase);
    return 0;
}
