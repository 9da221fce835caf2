/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/new_secret.h"

#include "crypto/encoding.h"
#include "crypto/random.h"

#include <stdio.h>
#include <string.h>

/* 256 bits: what AES-256 can use, and beyond guessing as a passphrase. */
#define NEW_KEY_BYTES 32

int new_secret_make(const char *type, struct secure_arena *arena, struct secure_buffer **ret,
                    struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *key = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *text = NULL;

    if (strcmp(type, SECRET_TYPE_PASSPHRASE) != 0 && strcmp(type, SECRET_TYPE_SYMMETRIC) != 0)
        return error_set(err, ERROR_INVALID,
                         "type '%s' cannot be made here: passphrase or symmetric", type);
    if (secure_buffer_new(arena, NEW_KEY_BYTES, &key, err) < 0 ||
        secure_buffer_new(arena, encode_base64_size(NEW_KEY_BYTES), &text, err) < 0)
        return -1;
    secure_buffer_set_size(key, NEW_KEY_BYTES);
    random_bytes(secure_buffer_data(key), NEW_KEY_BYTES);
    if (strcmp(type, SECRET_TYPE_SYMMETRIC) == 0) {
        *ret = steal(&key);
        return 0;
    }
    secure_buffer_set_size(text, secure_buffer_capacity(text));
    encode_base64(secure_buffer_bytes(key), NEW_KEY_BYTES, (char *)secure_buffer_data(text));
    *ret = steal(&text);
    return 0;
}

int new_secret_store(struct key_manager *keys, struct secure_arena *arena, const char *name,
                     struct cancel *cancel, char ret_id[37], struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    struct secret_metadata metadata = {.secret_type = SECRET_TYPE_PASSPHRASE};

    if (name != NULL && strlen(name) >= sizeof metadata.name)
        return error_set(err, ERROR_INVALID, "the name is longer than %zu bytes",
                         sizeof metadata.name - 1);
    (void)snprintf(metadata.name, sizeof metadata.name, "%s", name == NULL ? "" : name);
    if (new_secret_make(metadata.secret_type, arena, &payload, err) < 0)
        return -1;
    return key_manager_store(keys, &metadata, payload, cancel, ret_id, err);
}
