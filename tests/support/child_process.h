/* SPDX-License-Identifier: Apache-2.0 */
/* Running what changes a process for good (limits, privileges, umask) in a child of its own. */
#ifndef SUPPORT_CHILD_PROCESS_H
#define SUPPORT_CHILD_PROCESS_H

/**
 * Calls `function` in a forked child and gives its result, 0 to 255: the child's exit status; or
 * 256 + the number of the signal that ended it. The child must not use cmocka's assertions.
 */
int run_in_child(int (*function)(void *context), void *context);

#endif
