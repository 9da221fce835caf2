/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_coverage.h"

#include <string.h>

/* Puts `merged` in the place of the intervals from `first` up to `last`. */
static void replace(struct write_coverage *coverage, size_t first, size_t last,
                    struct write_interval merged)
{
    struct write_interval *place = &coverage->intervals[first];

    if (last == first && coverage->count == WRITE_COVERAGE_INTERVALS) {
        coverage->is_lost = true;
        return;
    }
    memmove(place + 1, &coverage->intervals[last], (coverage->count - last) * sizeof *place);
    *place = merged;
    coverage->count = coverage->count + 1 - (last - first);
}

void write_coverage_add(struct write_coverage *coverage, uint64_t start, uint64_t end)
{
    struct write_interval merged = {.start = start, .end = end};
    size_t first = 0;
    size_t last;

    if (start >= end)
        return;
    while (first < coverage->count && coverage->intervals[first].end < start)
        first++;
    for (last = first; last < coverage->count; last++) {
        const struct write_interval *touched = &coverage->intervals[last];

        if (touched->start > end)
            break;
        if (touched->start < merged.start)
            merged.start = touched->start;
        if (touched->end > merged.end)
            merged.end = touched->end;
    }
    replace(coverage, first, last, merged);
}

void write_coverage_cut(struct write_coverage *coverage, uint64_t size)
{
    size_t kept = 0;

    if (size == 0)
        coverage->is_lost = false;
    while (kept < coverage->count && coverage->intervals[kept].start < size)
        kept++;
    coverage->count = kept;
    if (kept > 0 && coverage->intervals[kept - 1].end > size)
        coverage->intervals[kept - 1].end = size;
}

bool write_coverage_is_complete(const struct write_coverage *coverage, uint64_t size)
{
    return !coverage->is_lost &&
           (size == 0 || (coverage->count > 0 && coverage->intervals[0].start == 0 &&
                          coverage->intervals[0].end >= size));
}
