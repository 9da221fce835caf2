/* SPDX-License-Identifier: Apache-2.0 */
/* The codec_message of OpenPGP: a sound message's session key and layout. */
#ifndef CODEC_OPENPGP_OPENPGP_MESSAGE_H
#define CODEC_OPENPGP_OPENPGP_MESSAGE_H

#include "codec/openpgp/openpgp_layout.h"
#include "codec/openpgp/session_key.h"
#include "glancefs/codec.h"

struct openpgp_message {
    struct codec_message message;
    struct session_key *key;
    struct openpgp_layout *layout;
};

/** One reference to a message; takes over `*key` on success (which becomes NULL) and one more
 *  reference of `layout`, which must not change any more. */
int openpgp_message_new(struct session_key **key, struct openpgp_layout *layout,
                        struct codec_message **ret, struct error *err);

#endif
