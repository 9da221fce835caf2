/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of gpg, as a transfer in both directions that never waits longer than its caller wants.
 * gpg is run by a child of the helper; the bytes go between the caller's memory and gpg's pipes
 * directly, in an event loop with a cancel token and a watchdog. It runs in the caller's thread,
 * which must be one that may wait. One thread at a time.
 */
#ifndef CODEC_GPGME_GPG_OPERATION_H
#define CODEC_GPGME_GPG_OPERATION_H

#include "codec/gpgme/gpg_helper.h"
#include "codec/gpgme/gpg_protocol.h"
#include "codec/gpgme/gpg_status.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/secure_buffer.h"

#include <stdbool.h>
#include <stddef.h>

/** gpg is ended when it neither takes nor gives a byte for so long, in seconds; that includes the
 *  time a person has for a smart card's PIN. */
#define GPG_STALL_SECONDS 60

/** The same for all that gpg does to find a session key, in seconds. */
#define GPG_SESSION_KEY_SECONDS 60

/** What gpg has to end when it is told to, before it is killed, in milliseconds. */
#define GPG_TERMINATION_MS 500

struct gpg_operation_options {
    const struct gpg_helper *helper; /* borrowed */
    enum gpg_verb verb;
    enum gpg_home home;
    struct secure_arena *arena;             /* for what is secret */
    const struct secure_buffer *passphrase; /* borrowed; NULL: gpg-agent knows or asks */
    bool exports_session_key;               /* into the status */
    unsigned stall_seconds;                 /* 0: GPG_STALL_SECONDS */
    unsigned total_seconds;                 /* from start to end; 0: without limit */
};

struct gpg_operation;

/** Starts gpg. ERROR_UNSUPPORTED when that cannot be done with this GnuPG, ERROR_UNAVAILABLE when the
 *  helper has ended. */
int gpg_operation_start(const struct gpg_operation_options *options, struct cancel *cancel,
                        struct gpg_operation **ret, struct error *err);

/** Wipes and frees. gpg ends, if it still runs, within GPG_TERMINATION_MS. NULL is allowed. */
void gpg_operation_free(struct gpg_operation *operation);
DEFINE_CLEANUP(struct gpg_operation, gpg_operation_free)

/** What the caller has for gpg and what it wants of it. */
struct gpg_exchange {
    const void *input; /* may be NULL when there is nothing */
    size_t input_size;
    bool is_last; /* nothing follows `input` */
    void *output;
    size_t output_size; /* 0: output has to wait */
    size_t taken;       /* result: bytes of input that gpg has taken */
    size_t given;       /* result: bytes of output that it gave */
};

/**
 * Waits until gpg takes or gives bytes, or has ended: then both results are 0 and
 * gpg_operation_has_ended is true. Gpg that ends early takes no more input.
 *
 * ERROR_CANCELLED, with nothing lost; ERROR_TIMEOUT once gpg stalls or its time is up;
 * ERROR_UNAVAILABLE when the process that runs it was killed.
 */
int gpg_operation_exchange(struct gpg_operation *operation, struct gpg_exchange *exchange,
                           struct cancel *cancel, struct error *err);

/** True when gpg is gone and everything it gave was handed out. */
bool gpg_operation_has_ended(const struct gpg_operation *operation);

/** True when gpg has taken all input, up to the end of it. */
bool gpg_operation_took_all(const struct gpg_operation *operation);

/** True when gpg came to ask for the passphrase: what fails before is not the message's fault. Known
 *  once it has ended. */
bool gpg_operation_asked(const struct gpg_operation *operation);

/** What gpg said, once it has ended. */
const struct gpg_status *gpg_operation_status(const struct gpg_operation *operation);

#endif
