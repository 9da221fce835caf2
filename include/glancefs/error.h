/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error model. A function that can fail returns 0 or -1 and takes `struct error *err`
 * as its last argument, never NULL. The struct lives on the caller's stack: failing allocates
 * nothing, and an error moves between threads with the job that met it. A message is one line: control
 * characters in what it quotes become "?".
 *
 * The core never logs a failure; whoever answers it (src/fuse, src/cli) logs one line. No
 * secret, token or image byte may stand in a message.
 */
#ifndef GLANCEFS_ERROR_H
#define GLANCEFS_ERROR_H

#include <stdbool.h>

/** Why something failed: callers decide on the kind, people read the message. */
enum error_kind {
    ERROR_NONE = 0,
    ERROR_NOT_FOUND,    /* ENOENT: no such image, secret or file */
    ERROR_DENIED,       /* EACCES: a service or a policy refused */
    ERROR_LOGIN,        /* EACCES: our login is refused, which says nothing of what was asked */
    ERROR_NO_KEY,       /* ENOKEY: the image names no key, or the key is gone */
    ERROR_KEY_REJECTED, /* EKEYREJECTED: secret unusable before any ciphertext is touched */
    ERROR_UNAVAILABLE,  /* EIO: a service does not answer, after all retries */
    ERROR_TIMEOUT,      /* ETIMEDOUT */
    ERROR_CORRUPT,      /* EBADMSG: damaged data or a wrong passphrase, on purpose not told apart */
    ERROR_UNSUPPORTED,  /* EOPNOTSUPP: a format or feature we name but do not serve */
    ERROR_TOO_LARGE,    /* EFBIG: over a cap of limits.h */
    ERROR_EXHAUSTED,    /* EAGAIN: locked memory or streams used up; try later */
    ERROR_CANCELLED,    /* EINTR: the caller was interrupted */
    ERROR_READ_ONLY,    /* EROFS */
    ERROR_BUSY,         /* EBUSY */
    ERROR_NO_SPACE,     /* ENOSPC */
    ERROR_EXISTS,       /* EEXIST: already there, or an image that is already active */
    ERROR_INVALID,      /* EINVAL: bad argument, option or record */
    ERROR_SYSTEM,       /* the errno of the call that failed */
};

/** Room for one line of explanation, with the terminating NUL, in bytes. */
#define ERROR_MESSAGE_BYTES 256

struct error {
    enum error_kind kind;
    int errnum; /* what a FUSE reply or an exit reports; from the table, or the system's own */
    char message[ERROR_MESSAGE_BYTES];
};

/** A struct error with no error in it. */
#define ERROR_INIT                                                                                 \
    {                                                                                              \
        .kind = ERROR_NONE                                                                         \
    }

/** The errno of `kind` (the table above); EIO for ERROR_SYSTEM and unknown values. */
int error_kind_errno(enum error_kind kind);

/** The name of `kind` in lower case, for logs and JSON. Static storage. */
const char *error_kind_name(enum error_kind kind);

/** Fills *err with kind, its errno and a message (cut at the buffer's end). Returns -1. */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, enum error_kind kind,
                                                    const char *format, ...);

/**
 * Fills *err for a failed system call: message + ": " + text of `errnum`. ENOSPC and EDQUOT
 * become ERROR_NO_SPACE, ENOMEM ERROR_EXHAUSTED, ENOENT ERROR_NOT_FOUND, EACCES and EPERM
 * ERROR_DENIED, EEXIST ERROR_EXISTS; the rest is ERROR_SYSTEM. errnum is kept as it is, but
 * EINTR, which becomes EIO: only ERROR_CANCELLED may report an interruption. Returns -1.
 */
__attribute__((format(printf, 3, 4))) int error_set_errno(struct error *err, int errnum,
                                                          const char *format, ...);

/** Puts "prefix: " before the message, for context the callee did not have. Returns -1. */
__attribute__((format(printf, 2, 3))) int error_prefix(struct error *err, const char *format, ...);

/** True when *err holds an error. */
bool error_is_set(const struct error *err);

#endif
