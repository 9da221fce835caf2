/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp: which system calls a process may still make. */
#ifndef BASE_SANDBOX_FILTER_H
#define BASE_SANDBOX_FILTER_H

#include "base/sandbox.h"

/** Allows the calls of the list in sandbox_filter.c, to all threads; sandbox.h tells what others
 *  answer. */
int sandbox_filter_install(const struct sandbox_needs *needs, struct error *err);

#endif
