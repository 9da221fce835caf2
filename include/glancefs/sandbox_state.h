/* SPDX-License-Identifier: Apache-2.0 */
/* What a daemon was left with after it gave up what it does not need, for whoever asks its status. */
#ifndef GLANCEFS_SANDBOX_STATE_H
#define GLANCEFS_SANDBOX_STATE_H

#include <stdbool.h>

/** Written once, before the first request. All zeros: no sandbox. */
struct sandbox_state {
    bool is_entered;  /* no capabilities, no_new_privs */
    int landlock_abi; /* of the rules in force; 0: the kernel lacks Landlock, or it is too old */
    bool has_filter;  /* seccomp; not in builds with a sanitizer */
};

#endif
