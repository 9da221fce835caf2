/* SPDX-License-Identifier: Apache-2.0 */
/* The codec_layout of OpenPGP: all that a pass over a sound message learnt but its key. */
#ifndef CODEC_OPENPGP_OPENPGP_LAYOUT_H
#define CODEC_OPENPGP_OPENPGP_LAYOUT_H

#include "codec/openpgp/aead_header.h"
#include "codec/openpgp/encrypted_data.h"
#include "codec/openpgp/packet_index.h"
#include "codec/openpgp/session_key.h"
#include "glancefs/codec.h"

/** Bytes of a key check value (SHA-256). */
#define KEY_CHECK_BYTES 32

struct openpgp_layout {
    struct codec_layout layout;
    bool is_armored;               /* "ciphertext" below is then what armor_open gives for it */
    uint64_t data_offset;          /* of the encrypted data packet's header in the ciphertext */
    enum encrypted_data_kind kind; /* of that packet */
    struct aead_header aead;       /* of that packet, unless SEIPD version 1 */
    struct packet_index body;      /* of that packet in the ciphertext, what follows its header */
    uint64_t decrypted_size;       /* bytes inside the encryption */
    struct packet_index content;   /* of the literal in those; empty unless it stands right there */
    uint64_t plaintext_size;       /* bytes */
    bool is_compressed;
    uint8_t key_check[KEY_CHECK_BYTES];
};

/** An empty one with one reference; ERROR_EXHAUSTED only. */
int openpgp_layout_new(struct openpgp_layout **ret, struct error *err);

/** Notes what tells `key` from others. */
int openpgp_layout_set_key(struct openpgp_layout *layout, const struct session_key *key,
                           struct error *err);

/** *ret is true for the very key that was noted. */
int openpgp_layout_check_key(const struct openpgp_layout *layout, const struct session_key *key,
                             bool *ret, struct error *err);

/** True when any byte of the plaintext can be found without reading those before it. */
bool openpgp_layout_is_random_access(const struct openpgp_layout *layout);

#endif
