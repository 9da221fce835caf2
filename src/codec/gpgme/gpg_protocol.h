/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What passes between the daemon and the process that runs gpg for it; see gpg_helper.h. Neither side
 * trusts the other: gpg reads hostile messages, and the daemon talks to the network.
 *
 * The daemon sends an order, a byte, to the helper. GPG_ORDER_RUN comes with a socket, on which the
 * child that is forked for it gets a request, answers with an error or with gpg's pipes, and tells
 * gpg's result in the end. Whoever closes that socket ends the operation.
 */
#ifndef CODEC_GPGME_GPG_PROTOCOL_H
#define CODEC_GPGME_GPG_PROTOCOL_H

#include "codec/gpgme/gpg_status.h"
#include "glancefs/error.h"
#include "glancefs/limits.h"
#include "glancefs/secure_buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gpg_order {
    GPG_ORDER_DROP = 'd',    /* give up capabilities; answered, and the first order if at all */
    GPG_ORDER_CONFINE = 'c', /* enter the sandbox, the same */
    GPG_ORDER_RUN = 'r',     /* with a socket */
};

enum gpg_verb {
    GPG_DECRYPT, /* takes off the encryption alone: the packets inside come out as they are */
    GPG_ENCRYPT, /* with a passphrase, as the home's gpg.conf says */
};

/** GNUPGHOMEs of a helper. */
enum gpg_home {
    GPG_HOME_PRIVATE, /* see gnupg_home.h */
    GPG_HOME_KEYRING, /* see gpg_keyring.h */
};

struct gpg_request {
    enum gpg_verb verb;
    enum gpg_home home;
    bool exports_session_key;
    bool has_passphrase;
    const uint8_t *passphrase; /* borrowed from the message */
    size_t passphrase_size;
};

/** Appends `request` to `message`, which has room for LIMIT_GPG_MESSAGE_BYTES. ERROR_TOO_LARGE. */
int gpg_request_write(const struct gpg_request *request, struct secure_buffer *message,
                      struct error *err);

/** Reads what gpg_request_write wrote; the passphrase is borrowed. ERROR_CORRUPT. */
int gpg_request_read(const struct secure_buffer *message, struct gpg_request *ret,
                     struct error *err);

/** What became of gpg. */
struct gpg_result {
    bool has_asked;           /* for the passphrase */
    struct gpg_status status; /* of the session key only what there is room for is taken */
};

/** Appends `result` to `message`, which has room for LIMIT_GPG_MESSAGE_BYTES. */
int gpg_result_write(const struct gpg_result *result, struct secure_buffer *message,
                     struct error *err);

/** Reads what gpg_result_write wrote into a result whose status was set up. ERROR_CORRUPT. */
int gpg_result_read(const struct secure_buffer *message, struct gpg_result *ret, struct error *err);

/** Puts `answer`, which may hold no error, into `message`. Returns its size. */
size_t gpg_answer_write(const struct error *answer, uint8_t message[LIMIT_GPG_MESSAGE_BYTES]);

/** Reads what gpg_answer_write wrote: -1 with the error that the other side met, or ERROR_CORRUPT. */
int gpg_answer_read(const uint8_t *message, size_t size, struct error *err);

#endif
