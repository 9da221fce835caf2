/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit line: who asked for an image, and what came of it.
 *
 *     audit: event=open view=decrypt image=ID uid=0 pid=123 key=ID verified=first result=ok
 *
 * One line of the log, of key=value in this order. A value that is not known or does not apply is
 * "-". Values from outside are escaped: whatever is no letter, digit or one of "-._:+" comes as %XX,
 * so that they can forge neither a field nor a line. Ids only; nothing secret.
 */
#ifndef BASE_AUDIT_H
#define BASE_AUDIT_H

#include <stdbool.h>
#include <sys/types.h>

/** One event; borrowed. A NULL or empty string is not known. */
struct audit_event {
    const char *event;    /* "open" or "seal" */
    const char *view;     /* "decrypt" or "encrypt" */
    const char *image;    /* its id, or the name that was asked for where that tells none */
    bool has_caller;      /* the next two are known */
    uid_t uid;            /* of who asked */
    pid_t pid;            /* 0: outside our pid namespace */
    const char *key_id;   /* in the key manager */
    const char *verified; /* how the bytes were proved: see read_stream_verification */
    int errnum;           /* what the caller got; 0: it succeeded */
};

/** Logs the event, whatever the log's level is. Any thread; waits as the log does. */
void audit_write(const struct audit_event *event);

#endif
