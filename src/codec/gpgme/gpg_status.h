/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gpg says on its status descriptor (doc/DETAILS in GnuPG's source). gpgme's own verdict is too
 * kind, so all lines are counted, and only one combination is believed. It is about the encryption
 * alone: the packets inside are for our own parser (gpg_decryption.h).
 */
#ifndef CODEC_GPGME_GPG_STATUS_H
#define CODEC_GPGME_GPG_STATUS_H

#include "glancefs/secure_arena.h"

#include <stdbool.h>

/** Longest session key in text: "9:", 64 digits and a NUL, with room to spare. */
#define GPG_SESSION_KEY_TEXT_BYTES 128

struct gpg_status {
    unsigned okays; /* DECRYPTION_OKAY */
    unsigned good_mdcs;
    unsigned endings;      /* of the decryption or encryption */
    unsigned errors;       /* lines that tell any failure */
    unsigned bad_keys;     /* of them, those that blame a key that was tried */
    unsigned missing_keys; /* PKESK packets of other people: one of ours may stand beside them */
    char *session_key;     /* "ALGORITHM:HEX" in the arena, or empty; NULL when nobody asked */
};

/** All zero, with room in `arena` for a session key when `wants_session_key`. */
int gpg_status_init(struct gpg_status *status, struct secure_arena *arena, bool wants_session_key,
                    struct error *err);

/** Wipes and frees the session key. */
void gpg_status_clear(struct gpg_status *status, struct secure_arena *arena);

/** Takes one line. A session key is moved out of `arguments`: what gpgme keeps of it is blank. */
void gpg_status_add(struct gpg_status *status, const char *keyword, char *arguments);

/** True when gpg vouches for one encrypted data packet and nothing went wrong. */
bool gpg_status_is_sound(const struct gpg_status *status);

/** True when gpg has no key to any PKESK packet: none was tried. Needs room for a session key. */
bool gpg_status_lacks_key(const struct gpg_status *status);

/** True when gpg says that all was encrypted and nothing went wrong. */
bool gpg_status_is_encrypted(const struct gpg_status *status);

#endif
