/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes of a file one handle wrote, as merged intervals. */
#ifndef VIEW_WRITE_COVERAGE_H
#define VIEW_WRITE_COVERAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Intervals apart from one another that are kept; past that the handle counts as incomplete. */
#define WRITE_COVERAGE_INTERVALS 1024

struct write_interval {
    uint64_t start, end;
};

/** Starts as all zero: nothing written. One thread at a time. */
struct write_coverage {
    bool is_lost; /* too scattered to follow */
    size_t count;
    struct write_interval intervals[WRITE_COVERAGE_INTERVALS]; /* sorted, apart, none empty */
};

/** Bytes from `start` up to `end` were written. */
void write_coverage_add(struct write_coverage *coverage, uint64_t start, uint64_t end);

/** The file was cut to `size`; 0 forgets everything. */
void write_coverage_cut(struct write_coverage *coverage, uint64_t size);

/** True when every byte from 0 up to `size` was written. */
bool write_coverage_is_complete(const struct write_coverage *coverage, uint64_t size);

#endif
