/* SPDX-License-Identifier: Apache-2.0 */
#include "support/delay.h"

#include <time.h>

int delay(unsigned milliseconds, struct cancel *cancel, struct error *err)
{
    const struct timespec one_millisecond = {.tv_nsec = 1000000};

    for (unsigned i = 0; i < milliseconds; i++) {
        if (cancel_check(cancel, err) < 0)
            return -1;
        (void)nanosleep(&one_millisecond, NULL);
    }
    return 0;
}
