/* SPDX-License-Identifier: Apache-2.0 */
/* A sink that counts what it is given. It allocates nothing and cannot fail. */
#ifndef FUZZ_COUNTING_SINK_H
#define FUZZ_COUNTING_SINK_H

#include "glancefs/byte_sink.h"

#include <stdint.h>

struct counting_sink {
    struct byte_sink sink; /* not to be freed */
    uint64_t size;
};

/** An empty one. */
struct counting_sink counting_sink_of(void);

#endif
