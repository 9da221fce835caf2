/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that handles secrets does to itself before it touches one. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "glancefs/error.h"

/**
 * Starts the program anew, once, with LD_BIND_NOW set: otherwise the dynamic loader binds functions
 * between libraries at their first call, and saves registers on an unlocked stack for it, which may
 * hold plaintext. Returns when that is so already, or cannot be had. First thing in main.
 */
void process_bind_now(char **argv);

/** RLIMIT_CORE 0, PR_SET_DUMPABLE 0, umask 077. Before any secret. */
int process_harden(struct error *err);

#endif
