/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status of a mount as people read it. A member that is missing shows as 0 or nothing, so that
 * the program can look at a mount of another version. Control characters, which could steer a
 * terminal, come as '?'.
 */
#ifndef CLI_STATUS_VIEW_H
#define CLI_STATUS_VIEW_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

/** All of `status`, an object, on `stream`; with bars for what is running, on a terminal. */
void status_view_show(struct json_object *status, bool with_bars, FILE *stream);

/** A line for each download, verification and upload that is running, and one that counts them. */
void status_view_show_running(struct json_object *status, FILE *stream);

#endif
