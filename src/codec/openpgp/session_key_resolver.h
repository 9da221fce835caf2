/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who opens messages that are encrypted to public keys: takes their PKESK packets to a keyring or
 * a smart card and comes back with the session key. One is made with the codec and outlives every
 * open.
 */
#ifndef CODEC_OPENPGP_SESSION_KEY_RESOLVER_H
#define CODEC_OPENPGP_SESSION_KEY_RESOLVER_H

#include "codec/openpgp/encrypted_data.h"
#include "codec/openpgp/session_key.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"

struct session_key_resolver;

struct session_key_resolver_ops {
    /** See session_key_resolver_resolve. */
    int (*resolve)(struct session_key_resolver *resolver, enum encrypted_data_kind kind,
                   const uint8_t *packets, size_t size, struct secure_arena *arena,
                   struct cancel *cancel, struct session_key **ret, struct error *err);
    /** Releases the object. */
    void (*free)(struct session_key_resolver *resolver);
};

/** First member of an implementation. */
struct session_key_resolver {
    const struct session_key_resolver_ops *ops;
};

/**
 * Asks for the session key of a message whose public-key session key packets are `packets`: whole
 * PKESK packets one after another, with definite lengths and headers in the OpenPGP format, in the
 * order of the message, all of the version that goes with `kind`, at most LIMIT_PKESK_BYTES
 * together. Nothing else of the message is given.
 *
 * *ret has `arena`, `algorithm`, `key` and `size` set (for SEIPD version 2, which has its cipher
 * elsewhere, `algorithm` does not count). The answer is not trusted: it is checked against the
 * message like any other candidate.
 *
 * *ret is NULL, with success, only when none of the packets is for a key at hand. When one is, and it
 * does not open, or not to a session key that makes sense, that is the uniform error
 * (message_damaged.h): who alters messages must not learn which of the two it was, nor how that
 * differs from a session key that turns out wrong.
 *
 * ERROR_UNSUPPORTED: a version or algorithm that the keyring's program has not. ERROR_CANCELLED.
 * Any thread, several at once.
 */
static inline int session_key_resolver_resolve(struct session_key_resolver *resolver,
                                               enum encrypted_data_kind kind,
                                               const uint8_t *packets, size_t size,
                                               struct secure_arena *arena, struct cancel *cancel,
                                               struct session_key **ret, struct error *err)
{
    return resolver->ops->resolve(resolver, kind, packets, size, arena, cancel, ret, err);
}

/** Releases; NULL is allowed. */
static inline void session_key_resolver_free(struct session_key_resolver *resolver)
{
    if (resolver != NULL)
        resolver->ops->free(resolver);
}
DEFINE_CLEANUP(struct session_key_resolver, session_key_resolver_free)

#endif
