/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that handles secrets does to itself before it touches one. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"

#include <sys/types.h>

/**
 * Opens the standard descriptors that are closed: what is opened later must not get their numbers, to
 * be written to as standard error or replaced by who goes into the background. First thing in main.
 */
int process_open_standard(struct error *err);

/** Undoes that whoever started us ignores SIGCHLD, which we inherit: the kernel would forget how our
 *  children ended. Before the first one. */
void process_keep_child_status(void);

/**
 * Starts the program anew, once, with LD_BIND_NOW set: otherwise the dynamic loader binds functions
 * between libraries at their first call, and saves registers on an unlocked stack for it, which may
 * hold plaintext. Returns when that is so already, or cannot be had. Next in main.
 */
void process_bind_now(char **argv);

/** Keeps the heap from growing with the number of threads and with large buffers that are gone. Once,
 *  before threads. */
void process_keep_heap_small(void);

/** RLIMIT_CORE 0, PR_SET_DUMPABLE 0, umask 077. Before any secret. */
int process_harden(struct error *err);

/** Tells the service manager that started us, if one did, say "READY=1": see sd_notify(3). */
void process_notify(const char *state);

/** Takes the one listening socket that the service manager passed us: sd_listen_fds(3).
 *  ERROR_INVALID when there is none. */
int process_take_listener(int *ret_fd, struct error *err);

/** Somebody of the user database. */
struct process_user {
    char *name;
    char *home;
    uid_t uid;
    gid_t gid; /* the primary group */
};

/** Looks up a name, or a number as text; ERROR_INVALID when there is no such user. To be freed with
 *  process_user_free. May load a library of the name service: call it before the sandbox. */
int process_user_find(const char *name, struct process_user **ret, struct error *err);

/** NULL is allowed. */
void process_user_free(struct process_user *user);
DEFINE_CLEANUP(struct process_user, process_user_free)

/**
 * Root becomes `user` for good: ids, groups and HOME. Of root's capabilities only CAP_IPC_LOCK is
 * left, to lock memory whatever RLIMIT_MEMLOCK says, until process_drop_capabilities. Before the
 * first thread. Fails for who is not root, unless that is `user` already.
 */
int process_become(const struct process_user *user, struct error *err);

/**
 * Of root's capabilities only those are left that unmount a path, for good: CAP_SYS_ADMIN and
 * CAP_DAC_READ_SEARCH. Before the first thread. Does nothing for who is not root.
 */
int process_keep_unmounting(struct error *err);

/**
 * Gives up every capability: effective, permitted, inheritable, ambient and, where CAP_SETPCAP
 * allows it, the bounding set, with securebits locked so that uid 0 means nothing any more. What
 * cannot be given up without CAP_SETPCAP cannot be used either once no_new_privs is set, which is
 * done here, too. Binds the calling thread and those that it starts: before the first one.
 */
int process_drop_capabilities(struct error *err);

/** ERROR_SYSTEM unless the process has only the calling thread; waits a moment for one that is
 *  ending. */
int process_check_single_thread(struct error *err);

#endif
