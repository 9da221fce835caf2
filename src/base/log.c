/* SPDX-License-Identifier: Apache-2.0 */
/* sd-journal's own macros would record this file as the origin of every line. */
#define SD_JOURNAL_SUPPRESS_LOCATION

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Written once, before threads (see log.h). */
static enum log_target log_target = LOG_STDERR;
static bool log_has_journal;
static enum log_level log_highest_level = LOG_LEVEL_INFO;

static const struct {
    const char *name;
    enum log_level level;
} levels[] = {
    {"error", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARNING},
    {"info", LOG_LEVEL_INFO},
    {"debug", LOG_LEVEL_DEBUG},
};

#define LEVEL_COUNT (sizeof levels / sizeof levels[0])

void log_setup(enum log_target target, enum log_level level)
{
    log_target = target;
    log_has_journal = access(JOURNAL_SOCKET, F_OK) == 0;
    log_highest_level = level;
}

bool log_level_from_name(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++) {
        if (strcmp(levels[i].name, name) == 0) {
            *ret = levels[i].level;
            return true;
        }
    }
    return false;
}

static const char *level_name(enum log_level level)
{
    for (size_t i = 0; i < LEVEL_COUNT; i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "info";
}

/* A name from outside must not be able to forge a line of its own. */
static void replace_control_characters(char *line)
{
    for (; *line != '\0'; line++)
        if ((unsigned char)*line < ' ' || *line == 0x7f)
            *line = '?';
}

__attribute__((format(printf, 2, 0))) static void write_line(enum log_level level,
                                                             const char *format, va_list arguments)
{
    char line[LINE_BYTES];

    (void)vsnprintf(line, sizeof line, format, arguments);
    replace_control_characters(line);
    if (log_target == LOG_STDERR)
        (void)fprintf(stderr, "glancefs: %s: %s\n", level_name(level), line);
    else if (log_has_journal)
        (void)sd_journal_print((int)level, "%s", line);
    else
        syslog(LOG_DAEMON | (int)level, "%s", line);
}

void log_write(enum log_level level, const char *format, ...)
{
    va_list arguments;

    if (level > log_highest_level)
        return;
    va_start(arguments, format);
    write_line(level, format, arguments);
    va_end(arguments);
}

void log_always(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(LOG_LEVEL_INFO, format, arguments);
    va_end(arguments);
}
