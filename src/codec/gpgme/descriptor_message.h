/* SPDX-License-Identifier: Apache-2.0 */
/* Messages over a socket of type SOCK_SEQPACKET that may carry descriptors: unix(7), SCM_RIGHTS. */
#ifndef CODEC_GPGME_DESCRIPTOR_MESSAGE_H
#define CODEC_GPGME_DESCRIPTOR_MESSAGE_H

#include "glancefs/error.h"

#include <stddef.h>

/** Descriptors in one message, at most. */
#define DESCRIPTOR_MESSAGE_MAXIMUM 2

/** A pair of connected sockets, close-on-exec and none of them a standard descriptor; the caller
 *  closes both. */
int descriptor_message_pair(int ret[2], struct error *err);

/** Sends `size` (> 0) bytes and `count` descriptors, which stay the caller's. Never waits:
 *  ERROR_SYSTEM with EAGAIN when the peer takes nothing, with EPIPE when it is gone. */
int descriptor_message_send(int socket, const void *bytes, size_t size, const int *fds,
                            size_t count, struct error *err);

/**
 * Waits for a message and gives its *ret_size (<= capacity) bytes, 0 when the peer is gone. It must
 * have `count` descriptors, which become the caller's: close-on-exec, in `fds`; or, where `count` is
 * not 0, none: then all of `fds` are -1. Anything else is ERROR_CORRUPT.
 */
int descriptor_message_receive(int socket, void *buffer, size_t capacity, size_t *ret_size,
                               int *fds, size_t count, struct error *err);

#endif
