/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox.h"

#include "base/process.h"
#include "base/sandbox_filter.h"
#include "base/sandbox_paths.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ ||                                 \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

int sandbox_enter(const struct sandbox_needs *needs, struct sandbox_state *ret, struct error *err)
{
    struct sandbox_state state = {.is_entered = true};

    if (!IS_SANITIZED && process_check_single_thread(err) < 0)
        return error_prefix(err, "sandbox");
    if (process_drop_capabilities(err) < 0)
        return error_prefix(err, "sandbox");
    if (!IS_SANITIZED) {
        if (sandbox_paths_restrict(needs, &state.landlock_abi, err) < 0 ||
            sandbox_filter_install(needs, err) < 0)
            return error_prefix(err, "sandbox");
        state.has_filter = true;
    }
    *ret = state;
    return 0;
}
