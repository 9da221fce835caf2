/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for a message's session key: candidates one by one, as its session key packets yield
 * them. A candidate is plausible, not proven: when the whole message does not turn out sound with
 * it, the next one is asked for and the message read again. (About one in a million wrong keys is
 * plausible for SEIPD version 1; the authentication tag of SKESK version 5 and 6 leaves no doubt.)
 */
#ifndef CODEC_OPENPGP_SESSION_KEY_SEARCH_H
#define CODEC_OPENPGP_SESSION_KEY_SEARCH_H

#include "codec/openpgp/encrypted_data.h"
#include "codec/openpgp/esk_sequence.h"
#include "codec/openpgp/session_key.h"
#include "codec/openpgp/session_key_resolver.h"

struct argon2_gate;
struct session_key_search;

/** What the search has at hand; all of it borrowed until session_key_search_free. */
struct session_key_means {
    struct secure_arena *arena; /* for the keys and everything on the way to them */
    const struct secure_buffer *passphrase;
    struct session_key_resolver *resolver; /* NULL: messages to public keys are not opened */
    struct argon2_gate *argon2_gate;       /* NULL: nobody else derives keys */
};

/**
 * Begins a search, without any work yet. Takes over `*sequence` on success (which becomes NULL);
 * copies `data` with its sample.
 */
int session_key_search_new(struct esk_sequence **sequence, const struct encrypted_data *data,
                           const struct session_key_means *means, struct session_key_search **ret,
                           struct error *err);

/** Frees; NULL is allowed. */
void session_key_search_free(struct session_key_search *search);
DEFINE_CLEANUP(struct session_key_search, session_key_search_free)

/** False when there can be no more than one candidate. */
bool session_key_search_has_choice(const struct session_key_search *search);

/**
 * The next candidate: from the SKESKs in their order, then from the resolver, then those that are
 * doubtful (see session_key_fits). Its `algorithm` is the cipher to decrypt with, whatever the kind.
 * All key derivations of a search together may take LIMIT_DERIVATION_SECONDS of CPU; at most
 * LIMIT_SESSION_KEY_CANDIDATES are given.
 *
 * The uniform error when there is none (left), after which the search stays at its end.
 * ERROR_UNSUPPORTED, at the first call only: no packet is of a kind that we can use.
 * ERROR_TOO_LARGE: over a limit of limits.h. ERROR_CANCELLED; ERROR_EXHAUSTED: the arena is full.
 */
int session_key_search_next(struct session_key_search *search, struct cancel *cancel,
                            struct session_key **ret, struct error *err);

#endif
