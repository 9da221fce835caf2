/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress_board.h"

#include <inttypes.h>

/* So that a row with the id of an image fits into DEFAULT_COLUMNS. */
#define BAR_WIDTH 12
#define DEFAULT_COLUMNS 80
#define ROW_BYTES 192

/* ECMA-48: cursor up, erase to the end of the line, erase below. */
#define UP "\033[%zuA"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"

void progress_board_start(struct progress_board *board, FILE *stream, bool is_terminal,
                          const char *verb, uint64_t now_ns)
{
    *board = (struct progress_board){
        .stream = stream,
        .is_terminal = is_terminal,
        .verb = verb,
        .next_ns = now_ns + (is_terminal ? PROGRESS_QUIET_NS : PROGRESS_LINE_INTERVAL_NS)};
}

static void fill_bar(int percent, char ret[BAR_WIDTH + 1])
{
    for (int i = 0; i < BAR_WIDTH; i++)
        ret[i] = i * 100 < percent * BAR_WIDTH ? '#' : '.';
    ret[BAR_WIDTH] = '\0';
}

static const char *waiting_text(const struct progress_row *row)
{
    return row->is_waiting ? " waiting for another download" : "";
}

static void draw_row(const struct progress_board *board, const struct progress_row *row,
                     unsigned columns)
{
    const int percent = progress_percent(row->done, row->total);
    char text[ROW_BYTES];
    char bar[BAR_WIDTH + 1];

    if (percent < 0) {
        (void)snprintf(text, sizeof text, "%s       %6" PRIu64 " MiB%s", row->label,
                       row->done >> 20, waiting_text(row));
    } else {
        fill_bar(percent, bar);
        (void)snprintf(text, sizeof text, "%s %3d %% %6" PRIu64 " of %6" PRIu64 " MiB [%s]%s",
                       row->label, percent, row->done >> 20, row->total >> 20, bar,
                       waiting_text(row));
    }
    (void)fprintf(board->stream, "\r%.*s" ERASE_LINE "\n", (int)columns - 1, text);
}

static void draw(struct progress_board *board, const struct progress_row *rows, size_t count,
                 unsigned columns)
{
    if (board->drawn > 0)
        (void)fprintf(board->stream, UP, board->drawn);
    for (size_t i = 0; i < count; i++)
        draw_row(board, &rows[i], columns == 0 ? DEFAULT_COLUMNS : columns);
    (void)fputs(ERASE_BELOW, board->stream);
    board->drawn = count;
}

static void print_lines(const struct progress_board *board, const struct progress_row *rows,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct progress_row *row = &rows[i];
        const int percent = progress_percent(row->done, row->total);

        (void)fprintf(board->stream, "%s %s %" PRIu64 " MiB", board->verb, row->label,
                      row->done >> 20);
        if (percent >= 0)
            (void)fprintf(board->stream, " of %" PRIu64 " MiB (%d %%)", row->total >> 20, percent);
        (void)fprintf(board->stream, "%s\n", waiting_text(row));
    }
}

void progress_board_update(struct progress_board *board, const struct progress_row *rows,
                           size_t count, unsigned columns, uint64_t now_ns)
{
    if (now_ns < board->next_ns)
        return;
    board->next_ns =
        now_ns + (board->is_terminal ? PROGRESS_BAR_INTERVAL_NS : PROGRESS_LINE_INTERVAL_NS);
    if (board->is_terminal)
        draw(board, rows, count, columns);
    else
        print_lines(board, rows, count);
    (void)fflush(board->stream);
}

void progress_board_clear(struct progress_board *board)
{
    if (board->drawn == 0)
        return;
    (void)fprintf(board->stream, UP "\r" ERASE_BELOW, board->drawn);
    (void)fflush(board->stream);
    board->drawn = 0;
    board->next_ns = 0;
}
