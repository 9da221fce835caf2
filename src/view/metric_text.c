/* SPDX-License-Identifier: Apache-2.0 */
#include "view/metric_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_BYTES 8192

/* Makes room for `more` bytes and a NUL. */
static bool make_room(struct metric_text *text, size_t more)
{
    size_t capacity = text->capacity > 0 ? text->capacity : FIRST_BYTES;
    char *bytes;

    while (capacity - text->size <= more)
        capacity *= 2;
    if (capacity == text->capacity)
        return true;
    bytes = realloc(text->bytes, capacity);
    if (bytes == NULL)
        return false;
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void metric_text_add(struct metric_text *text, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !make_room(text, (size_t)length)) {
        text->is_incomplete = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(text->bytes + text->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)length;
}

void metric_text_add_value(struct metric_text *text, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            metric_text_add(text, "\\n");
        else
            metric_text_add(text, "%s%c", *value == '\\' || *value == '"' ? "\\" : "", *value);
    }
}

void metric_text_begin(struct metric_text *text, enum metric_type type, const char *name,
                       const char *unit, const char *help)
{
    metric_text_add(text, "# TYPE glancefs_%s %s\n", name,
                    type == METRIC_COUNTER ? "counter" : "gauge");
    if (*unit != '\0')
        metric_text_add(text, "# UNIT glancefs_%s %s\n", name, unit);
    metric_text_add(text, "# HELP glancefs_%s %s\n", name, help);
}

void metric_text_sample(struct metric_text *text, const char *name, const char *label,
                        const char *value, uint64_t number)
{
    metric_text_add(text, "glancefs_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, number);
}

void metric_text_gauge(struct metric_text *text, const char *name, const char *unit,
                       const char *help, uint64_t value)
{
    metric_text_begin(text, METRIC_GAUGE, name, unit, help);
    metric_text_add(text, "glancefs_%s %" PRIu64 "\n", name, value);
}

void metric_text_counter(struct metric_text *text, const char *name, const char *unit,
                         const char *help, uint64_t value)
{
    metric_text_begin(text, METRIC_COUNTER, name, unit, help);
    metric_text_add(text, "glancefs_%s_total %" PRIu64 "\n", name, value);
}

int metric_text_finish(struct metric_text *text, char **ret, struct error *err)
{
    struct metric_text finished;

    metric_text_add(text, "# EOF\n");
    finished = *text;
    *text = (struct metric_text){.bytes = NULL};
    if (!finished.is_incomplete) {
        *ret = finished.bytes;
        return 0;
    }
    free(finished.bytes);
    return error_set(err, ERROR_EXHAUSTED, "out of memory");
}
