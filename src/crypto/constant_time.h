/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison of secret or authenticating bytes. */
#ifndef CRYPTO_CONSTANT_TIME_H
#define CRYPTO_CONSTANT_TIME_H

#include <stdbool.h>
#include <stddef.h>

/** True when both runs of `size` bytes are equal, in time that depends on `size` only. */
bool constant_time_equal(const void *a, const void *b, size_t size);

#endif
