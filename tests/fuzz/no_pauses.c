/* SPDX-License-Identifier: Apache-2.0 */
/* Pauses between attempts are not made (--wrap=http_retry_wait), but looked at. */
#include "base/clock.h"
#include "fuzz_main.h"
#include "glancefs/limits.h"
#include "services/openstack/http_retry.h"

int __wrap_http_retry_wait(uint64_t until_ns, struct cancel *cancel, struct error *err);

int __wrap_http_retry_wait(uint64_t until_ns, struct cancel *cancel, struct error *err)
{
    FUZZ_ASSERT(until_ns <=
                clock_monotonic_ns() + LIMIT_RETRY_AFTER_SECONDS * NANOSECONDS_PER_SECOND);
    return cancel_check(cancel, err);
}
