/* SPDX-License-Identifier: Apache-2.0 */
/* The codec_message of OpenPGP: what the verify pass learnt about a sound message. */
#ifndef CODEC_OPENPGP_OPENPGP_MESSAGE_H
#define CODEC_OPENPGP_OPENPGP_MESSAGE_H

#include "codec/openpgp/session_key.h"
#include "glancefs/codec.h"

struct openpgp_message {
    struct codec_message message;
    struct session_key *key;
    uint64_t seipd_offset;   /* of the SEIPD packet's header in the ciphertext, in bytes */
    uint64_t plaintext_size; /* in bytes */
    bool is_compressed;
};

/** One reference to a message of size 0; takes over `key` on success. */
int openpgp_message_new(struct session_key *key, uint64_t seipd_offset,
                        struct openpgp_message **ret, struct error *err);

#endif
