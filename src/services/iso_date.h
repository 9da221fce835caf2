/* SPDX-License-Identifier: Apache-2.0 */
/* Dates as OpenStack's services write them (ISO 8601, always UTC). */
#ifndef SERVICES_ISO_DATE_H
#define SERVICES_ISO_DATE_H

#include <stdbool.h>
#include <stdint.h>

/** Bytes of "2026-11-23T09:40:54Z" with its NUL. */
#define ISO_DATE_BYTES 21

/**
 * Reads 2026-11-23T09:40:54, with or without a fraction (dropped), with or without "Z" or
 * "+00:00", as seconds since the epoch. False for anything else; NULL is allowed.
 */
bool iso_date_parse(const char *text, int64_t *ret_seconds);

/** Writes the time now as Glance does. */
void iso_date_now(char ret[ISO_DATE_BYTES]);

#endif
