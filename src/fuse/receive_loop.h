/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that receive requests. libfuse's stock loops read into plain heap, where plaintext
 * that is written would stay; here requests arrive in locked memory, wiped after each one, or by
 * whoever keeps the buffer (request_buffers.h).
 */
#ifndef FUSE_RECEIVE_LOOP_H
#define FUSE_RECEIVE_LOOP_H

#include "fuse/libfuse.h"
#include "fuse/request_buffers.h"
#include "glancefs/cleanup.h"
#include "glancefs/error.h"

struct receive_loop;

/**
 * Starts `threads` threads on a mounted session; everything is borrowed. `ended_fd` is an
 * eventfd(2) to which one is added when a thread ends because the mount is gone.
 */
int receive_loop_start(struct fuse_session *session, struct request_buffers *buffers,
                       unsigned threads, int ended_fd, struct receive_loop **ret,
                       struct error *err);

/** Ends the threads, each after the request it handles, and frees. NULL is allowed. */
void receive_loop_stop(struct receive_loop *loop);
DEFINE_CLEANUP(struct receive_loop, receive_loop_stop)

#endif
