/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting without sleeping, for what another processor will have done in a moment: to be woken on a
 * virtual machine takes longer (75 microseconds) than most of what is waited for.
 */
#ifndef BASE_SPIN_WAIT_H
#define BASE_SPIN_WAIT_H

#include <stdatomic.h>

/** What one wait takes at most, in nanoseconds. */
#define SPIN_WAIT_NS 100000

/** Returns when `*value` is no longer `unwanted`, or SPIN_WAIT_NS have passed: ask again, and sleep
 *  then. Any thread. */
void spin_wait_while(const atomic_uint *value, unsigned unwanted);

#endif
