/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/uuid.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int exit_code_from_error(const struct error *err)
{
    switch (err->kind) {
    case ERROR_NONE:
        return EXIT_CODE_OK;
    case ERROR_INVALID:
        return EXIT_CODE_USAGE;
    case ERROR_NOT_FOUND:
        return EXIT_CODE_NOT_FOUND;
    case ERROR_DENIED:
    case ERROR_LOGIN:
    case ERROR_NO_KEY:
    case ERROR_KEY_REJECTED:
    case ERROR_READ_ONLY:
        return EXIT_CODE_DENIED;
    case ERROR_CORRUPT:
        return EXIT_CODE_CORRUPT;
    case ERROR_UNSUPPORTED:
        return EXIT_CODE_UNSUPPORTED;
    case ERROR_UNAVAILABLE:
    case ERROR_TIMEOUT:
        return EXIT_CODE_UNAVAILABLE;
    case ERROR_EXISTS:
        return EXIT_CODE_EXISTS;
    case ERROR_CANCELLED:
        return EXIT_CODE_INTERRUPTED;
    case ERROR_TOO_LARGE:
    case ERROR_EXHAUSTED:
    case ERROR_BUSY:
    case ERROR_NO_SPACE:
    case ERROR_SYSTEM:
        break;
    }
    return EXIT_CODE_FAILED;
}

int command_fail(const char *command, const struct error *err)
{
    (void)fprintf(stderr, "glancefs %s: %s\n", command, err->message);
    return exit_code_from_error(err);
}

int command_usage_error(const char *command, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(stderr, "glancefs %s: ", command);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, " (see glancefs %s --help)\n", command);
    return EXIT_CODE_USAGE;
}

int command_prefix_image(struct error *err, const char *id)
{
    if (err->kind == ERROR_CANCELLED || strstr(err->message, id) != NULL)
        return -1;
    return error_prefix(err, "image %s", id);
}

void command_fold_id(char *id)
{
    char folded[UUID_TEXT_BYTES];

    if (strlen(id) == UUID_TEXT_BYTES - 1 && uuid_from_reference(id, folded))
        memcpy(id, folded, UUID_TEXT_BYTES);
}
