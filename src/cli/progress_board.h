/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same as progress.h for work on several images at a time: on a terminal a row with a bar for
 * each, redrawn in place, elsewhere a plain line for each now and then.
 */
#ifndef CLI_PROGRESS_BOARD_H
#define CLI_PROGRESS_BOARD_H

#include "cli/progress.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** One image that is worked on. */
struct progress_row {
    const char *label; /* borrowed */
    uint64_t done;     /* bytes */
    uint64_t total;    /* bytes, or BYTE_SOURCE_SIZE_UNKNOWN */
    bool is_waiting;   /* somebody else does it, and is waited for */
};

struct progress_board {
    FILE *stream; /* borrowed */
    bool is_terminal;
    const char *verb; /* what is done, for plain lines; borrowed */
    size_t drawn;     /* rows on the terminal now; the cursor stands below them */
    uint64_t next_ns; /* when the next word is due */
};

/** Starts at time `now_ns` (clock_monotonic_ns). */
void progress_board_start(struct progress_board *board, FILE *stream, bool is_terminal,
                          const char *verb, uint64_t now_ns);

/**
 * Shows `rows` if it is time. No row is wider than the terminal, `columns` (0: not known), or it
 * would be two: what does not fit is cut.
 */
void progress_board_update(struct progress_board *board, const struct progress_row *rows,
                           size_t count, unsigned columns, uint64_t now_ns);

/** Removes the rows, so that other lines can be printed; the next update draws them again, at once. */
void progress_board_clear(struct progress_board *board);

#endif
