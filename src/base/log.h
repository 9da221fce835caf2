/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line per failure, written where a failure is answered (src/fuse, src/cli). The
 * core calls log_debug at most. Target and level are the process's only adjustable globals; they
 * are set once, before threads. Where no journal runs, its lines go to syslog(3).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "glancefs/config.h"

/** Severities, as syslog's. */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

/** Sets target and highest level shown. Before any thread. */
void log_setup(enum log_target target, enum log_level level);

/** Parses error|warning|info|debug; false for any other word. */
bool log_level_from_name(const char *name, enum log_level *ret);

/** Writes one line, control characters replaced. Thread-safe. Never a secret or an image byte. */
__attribute__((format(printf, 2, 3))) void log_write(enum log_level level, const char *format, ...);

/** The same of a line that is wanted whatever the highest level is: it comes as information. */
__attribute__((format(printf, 1, 2))) void log_always(const char *format, ...);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
