/* SPDX-License-Identifier: Apache-2.0 */
#include "base/spin_wait.h"

#include "base/clock.h"

/* Looks between two looks at the clock. */
#define LOOKS 64

/* Tells the processor that nothing but waiting goes on. */
static void relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

void spin_wait_while(const atomic_uint *value, unsigned unwanted)
{
    const uint64_t end_ns = clock_monotonic_ns() + SPIN_WAIT_NS;

    do {
        for (unsigned i = 0; i < LOOKS; i++) {
            if (atomic_load_explicit(value, memory_order_acquire) != unwanted)
                return;
            relax();
        }
    } while (clock_monotonic_ns() < end_ns);
}
