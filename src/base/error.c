/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int errnum;
    const char *name;
} kinds[] = {
    [ERROR_NONE] = {0, "none"},
    [ERROR_NOT_FOUND] = {ENOENT, "not found"},
    [ERROR_DENIED] = {EACCES, "denied"},
    [ERROR_LOGIN] = {EACCES, "login refused"},
    [ERROR_NO_KEY] = {ENOKEY, "no key"},
    [ERROR_KEY_REJECTED] = {EKEYREJECTED, "key rejected"},
    [ERROR_UNAVAILABLE] = {EIO, "unavailable"},
    [ERROR_TIMEOUT] = {ETIMEDOUT, "timeout"},
    [ERROR_CORRUPT] = {EBADMSG, "corrupt"},
    [ERROR_UNSUPPORTED] = {EOPNOTSUPP, "unsupported"},
    [ERROR_TOO_LARGE] = {EFBIG, "too large"},
    [ERROR_EXHAUSTED] = {EAGAIN, "exhausted"},
    [ERROR_CANCELLED] = {EINTR, "cancelled"},
    [ERROR_READ_ONLY] = {EROFS, "read only"},
    [ERROR_BUSY] = {EBUSY, "busy"},
    [ERROR_NO_SPACE] = {ENOSPC, "no space"},
    [ERROR_EXISTS] = {EEXIST, "exists"},
    [ERROR_INVALID] = {EINVAL, "invalid"},
    [ERROR_SYSTEM] = {EIO, "system"},
};

static bool is_known(enum error_kind kind)
{
    return (size_t)kind < sizeof kinds / sizeof kinds[0];
}

int error_kind_errno(enum error_kind kind)
{
    return is_known(kind) ? kinds[kind].errnum : EIO;
}

const char *error_kind_name(enum error_kind kind)
{
    return is_known(kind) ? kinds[kind].name : "unknown";
}

static enum error_kind kind_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return ERROR_NO_SPACE;
    case ENOMEM:
        return ERROR_EXHAUSTED;
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case EEXIST:
        return ERROR_EXISTS;
    default:
        return ERROR_SYSTEM;
    }
}

/* What a message quotes must not make a second line of it, nor command a terminal. */
__attribute__((format(printf, 2, 0))) static void
print_message(char message[ERROR_MESSAGE_BYTES], const char *format, va_list arguments)
{
    (void)vsnprintf(message, ERROR_MESSAGE_BYTES, format, arguments);
    for (char *next = message; *next != '\0'; next++)
        if ((unsigned char)*next < ' ' || *next == 0x7f)
            *next = '?';
}

int error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
    va_list arguments;

    err->kind = kind;
    err->errnum = error_kind_errno(kind);
    va_start(arguments, format);
    print_message(err->message, format, arguments);
    va_end(arguments);
    return -1;
}

int error_set_errno(struct error *err, int errnum, const char *format, ...)
{
    char reason[64];
    va_list arguments;
    size_t length;

    err->kind = kind_of_errno(errnum);
    err->errnum = errnum == EINTR ? EIO : errnum;
    va_start(arguments, format);
    print_message(err->message, format, arguments);
    va_end(arguments);
    length = strlen(err->message);
    (void)snprintf(err->message + length, sizeof err->message - length, ": %s",
                   strerror_r(errnum, reason, sizeof reason));
    return -1;
}

int error_prefix(struct error *err, const char *format, ...)
{
    char prefix[ERROR_MESSAGE_BYTES];
    char message[ERROR_MESSAGE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    print_message(prefix, format, arguments);
    va_end(arguments);
    memcpy(message, err->message, sizeof message);
    if (snprintf(err->message, sizeof err->message, "%s: %s", prefix, message) < 0)
        err->message[0] = '\0';
    return -1;
}

bool error_is_set(const struct error *err)
{
    return err->kind != ERROR_NONE;
}
