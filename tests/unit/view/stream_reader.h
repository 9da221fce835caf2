/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of a stream that wait for their answer, and such that do not. */
#ifndef STREAM_READER_H
#define STREAM_READER_H

#include "glancefs/image_view.h"
#include "support/testing.h"

#include <pthread.h>

/** One read under way; its answer is copied before the stream may reuse the bytes. */
struct pending_read {
    struct read_request request;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    unsigned answers; /* must become 1 */
    uint8_t *bytes;   /* borrowed; room for request.size bytes */
    size_t size;
    int result;
    struct error error;
};

/** Submits a read of `size` bytes at `offset` into `bytes`. */
void pending_read_start(struct pending_read *read, struct read_stream *stream, void *bytes,
                        size_t size, uint64_t offset, struct cancel *cancel);

/** Waits for the answer, as byte_source_pread would give it. */
int pending_read_finish(struct pending_read *read, size_t *ret_size, struct error *err);

/** Both at once. */
int stream_read(struct read_stream *stream, void *bytes, size_t size, uint64_t offset,
                struct cancel *cancel, size_t *ret_size, struct error *err);

/** Reads the rest of the stream from `offset` in steps; it must be exactly `expected`. */
void assert_stream_gives(struct read_stream *stream, uint64_t offset, const uint8_t *expected,
                         size_t size, size_t step);

#endif
