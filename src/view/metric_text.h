/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families and samples of metrics as text; all names are given without the prefix "glancefs_", which
 * is added. Memory that runs out is noticed at the end: metric_text_finish.
 */
#ifndef VIEW_METRIC_TEXT_H
#define VIEW_METRIC_TEXT_H

#include "glancefs/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A text that grows; all zeros is an empty one. */
struct metric_text {
    char *bytes; /* NUL-terminated, unless NULL */
    size_t size; /* without the NUL */
    size_t capacity;
    bool is_incomplete; /* there was no memory for some of it */
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

/** Appends text as printf(3) writes it. */
__attribute__((format(printf, 2, 3))) void metric_text_add(struct metric_text *text,
                                                           const char *format, ...);

/** Appends a label's value, escaped. */
void metric_text_add_value(struct metric_text *text, const char *value);

/** Begins a family. `unit` is what the name ends with, as OpenMetrics wants it; "" for none. */
void metric_text_begin(struct metric_text *text, enum metric_type type, const char *name,
                       const char *unit, const char *help);

/** A sample with one label; the name of a counter's ends with "_total". */
void metric_text_sample(struct metric_text *text, const char *name, const char *label,
                        const char *value, uint64_t number);

/** A family of one sample without a label. */
void metric_text_gauge(struct metric_text *text, const char *name, const char *unit,
                       const char *help, uint64_t value);
void metric_text_counter(struct metric_text *text, const char *name, const char *unit,
                         const char *help, uint64_t value);

/** Ends the text with "# EOF"; caller frees *ret. ERROR_EXHAUSTED when it is incomplete. Empties
 *  `text` in any case. */
int metric_text_finish(struct metric_text *text, char **ret, struct error *err);

#endif
