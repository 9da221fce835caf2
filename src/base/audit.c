/* SPDX-License-Identifier: Apache-2.0 */
#include "base/audit.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/* More of a name from outside is not worth a line. */
#define VALUE_BYTES 192
#define NUMBER_BYTES 16

static bool is_plain(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character != '\0' && strchr("-._:+", character) != NULL);
}

/* `value` as the line shows it, cut where it does not fit. */
static const char *escape(const char *value, char ret[VALUE_BYTES])
{
    size_t size = 0;

    if (value == NULL || *value == '\0')
        return "-";
    for (; *value != '\0' && size + sizeof "%XX" <= VALUE_BYTES; value++) {
        if (is_plain(*value))
            ret[size++] = *value;
        else
            size += (size_t)snprintf(ret + size, VALUE_BYTES - size, "%%%02X",
                                     (unsigned)(unsigned char)*value);
    }
    ret[size] = '\0';
    return ret;
}

static const char *number(bool is_known, long value, char ret[NUMBER_BYTES])
{
    if (!is_known)
        return "-";
    (void)snprintf(ret, NUMBER_BYTES, "%ld", value);
    return ret;
}

static const char *result_name(int errnum)
{
    const char *name = errnum == 0 ? "ok" : strerrorname_np(errnum);

    return name != NULL ? name : "unknown";
}

void audit_write(const struct audit_event *event)
{
    char image[VALUE_BYTES];
    char key[VALUE_BYTES];
    char uid[NUMBER_BYTES];
    char pid[NUMBER_BYTES];

    log_always("audit: event=%s view=%s image=%s uid=%s pid=%s key=%s verified=%s result=%s",
               event->event, event->view, escape(event->image, image),
               number(event->has_caller, (long)event->uid, uid),
               number(event->has_caller, (long)event->pid, pid), escape(event->key_id, key),
               event->verified != NULL ? event->verified : "-", result_name(event->errnum));
}
