/* SPDX-License-Identifier: Apache-2.0 */
#include "stream_reader.h"

#include <stdlib.h>
#include <string.h>

static void take_answer(struct read_request *request, const struct iovec *pieces, int piece_count,
                        const struct error *err)
{
    struct pending_read *read = (struct pending_read *)request;

    (void)pthread_mutex_lock(&read->mutex);
    read->answers++;
    read->result = err == NULL ? 0 : -1;
    if (err != NULL)
        read->error = *err;
    for (int i = 0; i < piece_count; i++) {
        memcpy(read->bytes + read->size, pieces[i].iov_base, pieces[i].iov_len);
        read->size += pieces[i].iov_len;
    }
    (void)pthread_cond_signal(&read->answered);
    (void)pthread_mutex_unlock(&read->mutex);
}

void pending_read_start(struct pending_read *read, struct read_stream *stream, void *bytes,
                        size_t size, uint64_t offset, struct cancel *cancel)
{
    *read = (struct pending_read){
        .request = {.offset = offset, .size = size, .cancel = cancel, .complete = take_answer},
        .bytes = bytes};
    (void)pthread_mutex_init(&read->mutex, NULL);
    (void)pthread_cond_init(&read->answered, NULL);
    read_stream_submit(stream, &read->request);
}

int pending_read_finish(struct pending_read *read, size_t *ret_size, struct error *err)
{
    (void)pthread_mutex_lock(&read->mutex);
    while (read->answers == 0)
        (void)pthread_cond_wait(&read->answered, &read->mutex);
    (void)pthread_mutex_unlock(&read->mutex);
    (void)pthread_cond_destroy(&read->answered);
    (void)pthread_mutex_destroy(&read->mutex);
    *ret_size = read->size;
    if (read->result < 0)
        *err = read->error;
    return read->result;
}

int stream_read(struct read_stream *stream, void *bytes, size_t size, uint64_t offset,
                struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct pending_read read;

    pending_read_start(&read, stream, bytes, size, offset, cancel);
    return pending_read_finish(&read, ret_size, err);
}

void assert_stream_gives(struct read_stream *stream, uint64_t offset, const uint8_t *expected,
                         size_t size, size_t step)
{
    CLEANUP(memory_free) uint8_t *bytes = malloc(step);
    struct error err = ERROR_INIT;
    size_t done = 0;
    size_t got;

    assert_non_null(bytes);
    do {
        assert_succeeds(stream_read(stream, bytes, step, offset + done, NULL, &got, &err));
        assert_int_equal(got, step < size - done ? step : size - done);
        assert_memory_equal(bytes, expected + done, got);
        done += got;
    } while (got > 0);
    assert_int_equal(done, size);
}
