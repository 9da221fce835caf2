/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gpg says on its status descriptor (doc/DETAILS in GnuPG's source). gpgme's own verdict is too
 * kind: it calls messages with two literals, with none or with a cut compressed packet a success.
 * So all lines are counted, and only one combination is believed.
 */
#ifndef CODEC_GPGME_GPG_STATUS_H
#define CODEC_GPGME_GPG_STATUS_H

#include "glancefs/secure_arena.h"

#include <stdbool.h>
#include <stdint.h>

/** Longest session key in text: "9:", 64 digits and a NUL, with room to spare. */
#define GPG_SESSION_KEY_TEXT_BYTES 128

struct gpg_status {
    unsigned plaintexts; /* literals that were begun */
    unsigned lengths;    /* that said how long they are */
    unsigned okays;      /* DECRYPTION_OKAY */
    unsigned good_mdcs;
    unsigned signatures; /* inside the message */
    unsigned endings;    /* of the decryption or encryption */
    unsigned errors;     /* lines that tell any failure */
    unsigned bad_keys;   /* of them, those that blame the key */
    uint64_t length;     /* what a literal said, in bytes */
    char *session_key;   /* "ALGORITHM:HEX" in the arena, or empty; NULL when nobody asked */
};

/** All zero, with room in `arena` for a session key when `wants_session_key`. */
int gpg_status_init(struct gpg_status *status, struct secure_arena *arena, bool wants_session_key,
                    struct error *err);

/** Wipes and frees the session key. */
void gpg_status_clear(struct gpg_status *status, struct secure_arena *arena);

/** Takes one line. A session key is moved out of `arguments`: what gpgme keeps of it is blank. */
void gpg_status_add(struct gpg_status *status, const char *keyword, char *arguments);

/** True when gpg vouches for exactly one literal of `plaintext_size` bytes and nothing went wrong. */
bool gpg_status_is_sound(const struct gpg_status *status, uint64_t plaintext_size);

/** True when gpg says that all was encrypted and nothing went wrong. */
bool gpg_status_is_encrypted(const struct gpg_status *status);

#endif
