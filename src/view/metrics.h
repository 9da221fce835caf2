/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of image_index_metrics. It is OpenMetrics 1.0, of which only what the older text format
 * 0.0.4 reads without complaint is used: counters and gauges, no timestamps, no info or state sets.
 * A family is left out while its numbers cannot be had.
 */
#ifndef VIEW_METRICS_H
#define VIEW_METRICS_H

#include "glancefs/error.h"
#include "view/status.h"

/** The text, ending with "# EOF" and a line feed; caller frees. Any thread; may wait for the disk.
 *  ERROR_EXHAUSTED only. */
int metrics_text(const struct status_subject *subject, char **ret, struct error *err);

#endif
