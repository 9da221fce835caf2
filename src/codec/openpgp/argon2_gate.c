/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/argon2_gate.h"

#include "base/monitor.h"

#include <stdlib.h>

struct argon2_gate {
    struct monitor monitor;
    bool is_occupied;
};

int argon2_gate_new(struct argon2_gate **ret, struct error *err)
{
    struct argon2_gate *gate = calloc(1, sizeof *gate);

    if (gate == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    monitor_init(&gate->monitor);
    *ret = gate;
    return 0;
}

void argon2_gate_free(struct argon2_gate *gate)
{
    if (gate == NULL)
        return;
    monitor_destroy(&gate->monitor);
    free(gate);
}

int argon2_gate_enter(struct argon2_gate *gate, struct cancel *cancel, struct error *err)
{
    struct monitor_waiter waiter;
    int result;

    monitor_enter(&gate->monitor, cancel, &waiter);
    while (gate->is_occupied && !cancel_is_requested(cancel))
        monitor_wait(&gate->monitor);
    result = cancel_check(cancel, err);
    if (result == 0)
        gate->is_occupied = true;
    monitor_leave(&gate->monitor, cancel, &waiter);
    return result;
}

void argon2_gate_leave(struct argon2_gate *gate)
{
    monitor_lock(&gate->monitor);
    gate->is_occupied = false;
    monitor_changed(&gate->monitor);
    monitor_unlock(&gate->monitor);
}
