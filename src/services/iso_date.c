/* SPDX-License-Identifier: Apache-2.0 */
#include "services/iso_date.h"

#include <string.h>
#include <time.h>

bool iso_date_parse(const char *text, int64_t *ret_seconds)
{
    struct tm broken_down = {0};
    const char *rest;

    if (text == NULL)
        return false;
    rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &broken_down);
    if (rest == NULL)
        return false;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (*rest != '\0' && strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0)
        return false;
    *ret_seconds = timegm(&broken_down);
    return true;
}

void iso_date_now(char ret[ISO_DATE_BYTES])
{
    time_t now = time(NULL);
    struct tm broken_down;

    (void)strftime(ret, ISO_DATE_BYTES, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &broken_down));
}
