/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock: which parts of the file system a process may still use. */
#ifndef BASE_SANDBOX_PATHS_H
#define BASE_SANDBOX_PATHS_H

#include "base/sandbox.h"

/**
 * Restricts the calling thread, and those that it starts, to `needs->paths`, to connecting TCP
 * sockets if it uses the network, and to signalling processes inside; each as far as the kernel's
 * Landlock goes. *ret_abi is what it knows, or 0 when nothing is restricted: a kernel before 5.19
 * (ABI 2) cannot allow a file to be renamed into another directory, as the cache does. Needs
 * no_new_privs.
 */
int sandbox_paths_restrict(const struct sandbox_needs *needs, int *ret_abi, struct error *err);

#endif
