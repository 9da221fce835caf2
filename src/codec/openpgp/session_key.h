/* SPDX-License-Identifier: Apache-2.0 */
/* A message's session key: what the encrypted data packet is encrypted with. Lives in the arena. */
#ifndef CODEC_OPENPGP_SESSION_KEY_H
#define CODEC_OPENPGP_SESSION_KEY_H

#include "crypto/cfb_cipher.h"
#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_key {
    struct secure_arena *arena;
    enum cipher_algorithm algorithm;
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    size_t size;      /* of the key: cipher_key_size(algorithm) */
    bool is_doubtful; /* set by session_key_fits */
};

/** An empty one. ERROR_EXHAUSTED when the arena is full. */
int session_key_new(struct secure_arena *arena, struct session_key **ret, struct error *err);

/** Wipes and frees; NULL is allowed. */
void session_key_free(struct session_key *key);
DEFINE_CLEANUP(struct session_key, session_key_free)

/** Bytes at the start of the encrypted data that session_key_fits looks at. */
#define SESSION_KEY_SAMPLE_BYTES 48

/**
 * Whether `key` opens encrypted data (SEIPD version 1, after the version octet) that starts with
 * `sample`: the random prefix repeats its last two octets (the quick check, RFC 9580 section
 * 5.13.1) and a packet that may stand first in a message follows. A wrong key passes once in half a
 * million; only the MDC proves. *ret is false also for a sample too short for a message.
 *
 * When it fits, `is_doubtful` tells that the first packet is one that readers ignore, whatever it
 * holds: that is how nearly all wrong keys pass, while hardly any writer begins with one.
 */
int session_key_fits(struct session_key *key, const uint8_t *sample, size_t sample_size, bool *ret,
                     struct error *err);

#endif
