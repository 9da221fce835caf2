/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena of a test program that uses crypto: the libraries are set up with it once per process,
 * so it is opened before the first test and stays until the last.
 */
#ifndef SUPPORT_CRYPTO_ARENA_H
#define SUPPORT_CRYPTO_ARENA_H

#include "glancefs/secure_arena.h"

/** For cmocka_run_group_tests: *state becomes the arena (8 MiB), which every test then gets. */
int crypto_arena_open(void **state);

/** Its counterpart. The arena stays mapped: the libraries keep memory of it to the end. */
int crypto_arena_close(void **state);

#endif
