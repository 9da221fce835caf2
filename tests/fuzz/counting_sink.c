/* SPDX-License-Identifier: Apache-2.0 */
#include "counting_sink.h"

static int count(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                 struct error *err)
{
    (void)bytes, (void)cancel, (void)err;
    ((struct counting_sink *)sink)->size += size;
    return 0;
}

struct counting_sink counting_sink_of(void)
{
    static const struct byte_sink_ops ops = {.write = count};

    return (struct counting_sink){.sink.ops = &ops};
}
