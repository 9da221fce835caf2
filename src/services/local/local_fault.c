/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_fault.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "services/http_status.h"
#include "services/json_document.h"

#include <limits.h>

#define DELAY_MAXIMUM_MS (24 * 3600 * 1000)
#define PAUSE_MS 10

/* A member in minimum…maximum; 0 when absent. */
static int read_number(struct json_object *document, const char *name, int minimum, int maximum,
                       int *ret, struct error *err)
{
    struct json_object *member = json_object_object_get(document, name);

    *ret = 0;
    if (member == NULL)
        return 0;
    *ret = json_object_get_int(member);
    if (*ret < minimum || *ret > maximum)
        return error_set(err, ERROR_INVALID, "%s is not in %d to %d", name, minimum, maximum);
    return 0;
}

static int wait_milliseconds(int milliseconds, struct cancel *cancel, struct error *err)
{
    const uint64_t deadline_ns =
        clock_monotonic_ns() + (uint64_t)milliseconds * NANOSECONDS_PER_MILLISECOND;
    struct monitor monitor;
    struct monitor_waiter waiter;

    monitor_init(&monitor);
    monitor_enter(&monitor, cancel, &waiter);
    while (clock_monotonic_ns() < deadline_ns && !cancel_is_requested(cancel))
        monitor_wait_until(&monitor, deadline_ns);
    monitor_leave(&monitor, cancel, &waiter);
    monitor_destroy(&monitor);
    return cancel_check(cancel, err);
}

int local_fault_apply(struct json_object *document, struct cancel *cancel, struct error *err)
{
    int delay_ms;
    int status;

    if (read_number(document, "glancefs_test_delay_ms", 0, DELAY_MAXIMUM_MS, &delay_ms, err) < 0 ||
        read_number(document, "glancefs_test_status", 400, 599, &status, err) < 0)
        return -1;
    if (delay_ms > 0 && wait_milliseconds(delay_ms, cancel, err) < 0)
        return -1;
    if (status != 0)
        return error_set(err, http_status_error_kind(status), "the service answered %d", status);
    return 0;
}

int local_fault_delay_listing(struct json_object *document, struct cancel *cancel,
                              struct error *err)
{
    int delay_ms;

    if (read_number(document, "glancefs_test_list_delay_ms", 0, DELAY_MAXIMUM_MS, &delay_ms, err) <
        0)
        return -1;
    return delay_ms > 0 ? wait_milliseconds(delay_ms, cancel, err) : 0;
}

int local_fault_stop(struct json_object *document, uint64_t *ret, struct error *err)
{
    int stop;

    *ret = UINT64_MAX;
    if (json_object_object_get(document, "glancefs_test_stop_at") == NULL)
        return 0;
    if (read_number(document, "glancefs_test_stop_at", 0, INT_MAX, &stop, err) < 0)
        return -1;
    *ret = (uint64_t)stop;
    return 0;
}

int local_fault_pause(struct cancel *cancel, struct error *err)
{
    return wait_milliseconds(PAUSE_MS, cancel, err);
}
