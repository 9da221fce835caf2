/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells a person how far long work has come: on a terminal a bar that is redrawn in place, elsewhere
 * a plain line now and then. Work that is done quickly shows nothing.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "glancefs/byte_source.h"

#include <stdbool.h>
#include <stdio.h>

/** Time without a word, and between two of them on a terminal and elsewhere, in nanoseconds. */
#define PROGRESS_QUIET_NS UINT64_C(500000000)
#define PROGRESS_BAR_INTERVAL_NS UINT64_C(100000000)
#define PROGRESS_LINE_INTERVAL_NS UINT64_C(10000000000)

/** How much of `total` bytes is done, rounded down, so that 100 means all; -1 when the total is not
 *  known (BYTE_SOURCE_SIZE_UNKNOWN). */
int progress_percent(uint64_t done, uint64_t total);

struct progress {
    FILE *stream; /* borrowed */
    bool is_terminal;
    bool has_bar;      /* there is one on the terminal now */
    const char *label; /* borrowed */
    uint64_t total;    /* bytes, or BYTE_SOURCE_SIZE_UNKNOWN */
    uint64_t next_ns;  /* when the next word is due */
};

/** Starts at time `now_ns` (clock_monotonic_ns). */
void progress_start(struct progress *progress, FILE *stream, bool is_terminal, const char *label,
                    uint64_t total, uint64_t now_ns);

/** `done` bytes are done at `now_ns`. */
void progress_update(struct progress *progress, uint64_t done, uint64_t now_ns);

/** Removes the bar, so that the next line stands alone. */
void progress_finish(struct progress *progress);

/**
 * A source that reads `source` and updates `progress` (borrowed) with the end of each read, which
 * goes back where `source` is read again. Forward-only where that is; one thread at a time in any
 * case. Takes over `source` on success.
 */
int progress_source_new(struct byte_source *source, struct progress *progress,
                        struct byte_source **ret, struct error *err);

#endif
