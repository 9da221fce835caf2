/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define COMMAND "commit"
#define STATE_XATTR "user.glancefs.state"
#define ERROR_XATTR "user.glancefs.error"
#define COMMIT_XATTR "user.glancefs.commit"

/* More than any value of these. */
#define VALUE_BYTES 512

static const char help[] =
    "Usage: glancefs commit [--size N] FILE\n"
    "Seals FILE, which was written below MOUNT/encrypt: from now on it is complete and safe, and "
    "is\n"
    "uploaded in the background. The same as renaming <image-id>.part to <image-id>.\n"
    "\n"
    "  --size N    only when FILE has exactly N bytes; --size 0 seals an empty image\n"
    "  -h, --help  this text\n";

/* False unless `text` is a number of bytes that an image may have. */
static bool parse_size(const char *text, uint64_t *ret)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *ret <= LIMIT_PLAINTEXT_BYTES;
}

/* An xattr can be set on files of most filesystems, and would mean nothing there. */
static int check_file(const char *path, struct error *err)
{
    char state[VALUE_BYTES];

    if (getxattr(path, STATE_XATTR, state, sizeof state) > 0)
        return 0;
    if (errno == ENODATA || errno == EOPNOTSUPP)
        return error_set(err, ERROR_NOT_FOUND, "%s: no file below MOUNT/encrypt of glancefs", path);
    return error_set_errno(err, errno, "%s", path);
}

/* Why a file is poisoned, as the mount tells; empty when it does not. */
static void read_cause(const char *path, char ret[VALUE_BYTES])
{
    const ssize_t size = getxattr(path, ERROR_XATTR, ret, VALUE_BYTES - 1);

    ret[size > 0 ? size : 0] = '\0';
}

static int explain(const char *path, int errnum, struct error *err)
{
    char cause[VALUE_BYTES];

    switch (errnum) {
    case EBUSY:
        return error_set(err, ERROR_BUSY, "%s: somebody still writes it, or seals it already",
                         path);
    case ENODATA:
        return error_set(err, ERROR_SYSTEM,
                         "%s: nothing was written; --size 0 seals an empty image", path);
    case EEXIST:
        read_cause(path, cause);
        return error_set(err, ERROR_EXISTS,
                         "%s: is sealed, but its upload failed (see glancefs uploads): %s", path,
                         cause);
    case EINVAL:
        return error_set(err, ERROR_SYSTEM, "%s: has another size than was declared", path);
    case EIO:
        read_cause(path, cause);
        return error_set(err, ERROR_SYSTEM, "%s: cannot be sealed any more: %s", path,
                         *cause != '\0' ? cause : "glancefs logs why");
    default:
        return error_set_errno(err, errnum, "%s", path);
    }
}

static int commit(const char *path, const char *value, struct error *err)
{
    if (check_file(path, err) < 0)
        return -1;
    if (setxattr(path, COMMIT_XATTR, value, strlen(value), 0) < 0)
        return explain(path, errno, err);
    return 0;
}

int command_commit(int argc, char **argv)
{
    static const struct option long_options[] = {{"size", required_argument, NULL, 's'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    char value[VALUE_BYTES] = "1";
    struct error err = ERROR_INIT;
    uint64_t size;
    int option;

    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(help, stdout);
            return EXIT_CODE_OK;
        }
        if (option != 's')
            return command_usage_error(COMMAND, "bad arguments");
        if (!parse_size(optarg, &size))
            return command_usage_error(COMMAND, "--size takes a number of bytes");
        (void)snprintf(value, sizeof value, "size=%" PRIu64, size);
    }
    if (argc - optind != 1)
        return command_usage_error(COMMAND, "give one file");
    return commit(argv[optind], value, &err) == 0 ? EXIT_CODE_OK : command_fail(COMMAND, &err);
}
