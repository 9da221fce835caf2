/* SPDX-License-Identifier: Apache-2.0 */
/* The one arena of a test program, with the crypto libraries on it, which never let go of it. */
#ifndef TESTS_SERVICE_ARENA_H
#define TESTS_SERVICE_ARENA_H

#include "glancefs/secure_arena.h"

/** A cmocka group setup: the tests' *state becomes a `struct secure_arena *`. */
int service_arena_setup(void **state);

#endif
