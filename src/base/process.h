/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that handles secrets does to itself before it touches one. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "glancefs/error.h"

/** RLIMIT_CORE 0, PR_SET_DUMPABLE 0, umask 077. First thing in main. */
int process_harden(struct error *err);

#endif
