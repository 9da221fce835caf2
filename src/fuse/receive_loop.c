/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/receive_loop.h"

#include "glancefs/secure_arena.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct receiver {
    struct receive_loop *loop;
    pthread_t thread;
    void *buffer;
};

struct receive_loop {
    struct fuse_session *session;
    struct request_buffers *buffers;
    int ended_fd;
    unsigned count; /* receivers that run */
    struct receiver receivers[];
};

/* Receives one request; what fuse_session_receive_buf gives. Only here can the thread be ended. */
static int receive(struct fuse_session *session, struct fuse_buf *buffer)
{
    int size;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    size = fuse_session_receive_buf(session, buffer);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    return size;
}

static void *run_receiver(void *argument)
{
    struct receiver *receiver = argument;
    const struct receive_loop *loop = receiver->loop;
    int size;

    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_setname_np(pthread_self(), "receive");
    request_buffers_set_receiver(loop->buffers, &receiver->buffer);
    do {
        struct fuse_buf buffer = {.mem = receiver->buffer};

        size = receive(loop->session, &buffer);
        if (size > 0) {
            fuse_session_process_buf(loop->session, &buffer);
            if (receiver->buffer == buffer.mem) /* else the request has it */
                explicit_bzero(buffer.mem, (size_t)size);
            secure_registers_clear();
        }
    } while (size > 0 || size == -EINTR);
    (void)eventfd_write(loop->ended_fd, 1);
    return NULL;
}

/* Starts one more receiver, with all signals blocked. */
static int add_receiver(struct receive_loop *loop, struct error *err)
{
    struct receiver *receiver = &loop->receivers[loop->count];
    sigset_t all, before;
    int result;

    receiver->loop = loop;
    receiver->buffer = request_buffers_take(loop->buffers);
    if (receiver->buffer == NULL)
        return error_set(err, ERROR_EXHAUSTED,
                         "no locked memory for requests: raise max_memory or RLIMIT_MEMLOCK");
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&receiver->thread, NULL, run_receiver, receiver);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result == 0) {
        loop->count++;
        return 0;
    }
    request_buffers_give(loop->buffers, receiver->buffer, 0);
    return error_set_errno(err, result, "cannot start a thread");
}

int receive_loop_start(struct fuse_session *session, struct request_buffers *buffers,
                       unsigned threads, int ended_fd, struct receive_loop **ret, struct error *err)
{
    CLEANUP(receive_loop_stop)
    struct receive_loop *loop = calloc(1, sizeof *loop + threads * sizeof loop->receivers[0]);

    if (loop == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    loop->session = session;
    loop->buffers = buffers;
    loop->ended_fd = ended_fd;
    while (loop->count < threads)
        if (add_receiver(loop, err) < 0)
            return -1;
    *ret = steal(&loop);
    return 0;
}

void receive_loop_stop(struct receive_loop *loop)
{
    if (loop == NULL)
        return;
    for (unsigned i = 0; i < loop->count; i++)
        (void)pthread_cancel(loop->receivers[i].thread);
    for (unsigned i = 0; i < loop->count; i++) {
        (void)pthread_join(loop->receivers[i].thread, NULL);
        request_buffers_give(loop->buffers, loop->receivers[i].buffer, 0);
    }
    free(loop);
}
