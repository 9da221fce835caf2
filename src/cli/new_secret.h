/* SPDX-License-Identifier: Apache-2.0 */
/* New keys for the key manager, made of 256 random bits. */
#ifndef CLI_NEW_SECRET_H
#define CLI_NEW_SECRET_H

#include "glancefs/key_manager.h"

/** Barbican's names of the two types that can be made. */
#define SECRET_TYPE_PASSPHRASE "passphrase"
#define SECRET_TYPE_SYMMETRIC "symmetric"

/**
 * Makes the payload of a secret of `type`: the base64 text of the bits for a passphrase, the 32
 * bytes themselves for a symmetric key. ERROR_INVALID for any other type.
 */
int new_secret_make(const char *type, struct secure_arena *arena, struct secure_buffer **ret,
                    struct error *err);

/** Makes a passphrase and stores it under `name` (may be NULL). Its id goes to ret_id. */
int new_secret_store(struct key_manager *keys, struct secure_arena *arena, const char *name,
                     struct cancel *cancel, char ret_id[37], struct error *err);

#endif
