/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded pipe inside the process: a sink for one thread, a forward-only source for another. It
 * connects the downloader with the codec that verifies bytes as they arrive. For ciphertext: its
 * memory is not locked.
 */
#ifndef BASE_BYTE_PIPE_H
#define BASE_BYTE_PIPE_H

#include "glancefs/byte_sink.h"
#include "glancefs/byte_source.h"

/**
 * Makes both ends over a ring of `capacity` bytes. Each end is freed by its user, in any order.
 *
 * The sink's write waits while the ring is full; commit marks the end; abort makes the reader fail
 * with ERROR_CORRUPT. When the source is freed before the end, writes succeed and are dropped: the
 * reader's own result tells why it stopped.
 */
int byte_pipe_new(size_t capacity, struct byte_sink **ret_sink, struct byte_source **ret_source,
                  struct error *err);

#endif
