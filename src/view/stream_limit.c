/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/stream_limit.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct stream_limit {
    unsigned places;
    atomic_uint taken;
};

int stream_limit_new(unsigned max_streams, struct stream_limit **ret, struct error *err)
{
    struct stream_limit *limit = calloc(1, sizeof *limit);

    if (limit == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    limit->places = max_streams;
    *ret = limit;
    return 0;
}

void stream_limit_free(struct stream_limit *limit)
{
    free(limit);
}

int stream_limit_take(struct stream_limit *limit, struct error *err)
{
    unsigned taken;

    if (limit == NULL)
        return 0;
    taken = atomic_load(&limit->taken);
    do {
        if (taken >= limit->places) {
            (void)error_set(err, ERROR_EXHAUSTED, "max_streams=%u files are open already",
                            limit->places);
            err->errnum = EMFILE;
            return -1;
        }
    } while (!atomic_compare_exchange_weak(&limit->taken, &taken, taken + 1));
    return 0;
}

void stream_limit_give(struct stream_limit *limit)
{
    if (limit != NULL)
        atomic_fetch_sub(&limit->taken, 1);
}

void stream_limit_use(const struct stream_limit *limit, struct limit_use *ret)
{
    *ret = (struct limit_use){.limit = 0};
    if (limit == NULL)
        return;
    ret->limit = limit->places;
    ret->used = atomic_load(&limit->taken);
}
