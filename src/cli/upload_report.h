/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed uploads on standard output: as a table for people, as JSON for scripts. */
#ifndef CLI_UPLOAD_REPORT_H
#define CLI_UPLOAD_REPORT_H

#include "glancefs/upload_staging.h"

/** One line per upload: image id, state, stored size and sent part in bytes, attempts, when it was
 *  sealed (UTC), and why the last attempt failed, "-" when none did. */
void upload_report_table(const struct upload_info *infos, size_t count);

/**
 * An array of objects on one line, with the members of struct upload_info; `error` is null when
 * there is none. ERROR_EXHAUSTED when memory is short.
 */
int upload_report_json(const struct upload_info *infos, size_t count, struct error *err);

#endif
