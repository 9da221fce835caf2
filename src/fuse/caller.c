/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/caller.h"

#include "glancefs/cleanup.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAXIMUM_GROUPS 1024

/* Flags of a task, as the kernel's include/linux/sched.h has them. */
#define PF_EXITING 0x4UL
#define PF_SIGNALED 0x400UL

/* Fields between the command's name and the flags: state ppid pgrp session tty_nr tpgid. */
#define FIELDS_BEFORE_FLAGS 6

/* More than pid, name and the first fields can take. */
#define STAT_BYTES 512

/* Only for a caller in a thousand groups are the signals further behind. */
#define STATUS_BYTES 8192

bool caller_is_root_or_owner(fuse_req_t req, const struct config *config)
{
    const uid_t caller = fuse_req_ctx(req)->uid;

    return caller == 0 || caller == config->uid;
}

static bool is_in_group(fuse_req_t req, gid_t group)
{
    gid_t groups[MAXIMUM_GROUPS];
    int count;

    if (fuse_req_ctx(req)->gid == group)
        return true;
    count = fuse_req_getgroups(req, MAXIMUM_GROUPS, groups);
    for (int i = 0; i < count && i < MAXIMUM_GROUPS; i++)
        if (groups[i] == group)
            return true;
    return false;
}

int caller_check_reader(fuse_req_t req, const struct config *config, struct error *err)
{
    if (caller_is_root_or_owner(req, config) ||
        ((config->mode & S_IRGRP) != 0 && is_in_group(req, config->gid)))
        return 0;
    return error_set(err, ERROR_DENIED, "the caller is neither owner nor root nor in the group");
}

int caller_check_writer(fuse_req_t req, const struct config *config, struct error *err)
{
    if (caller_is_root_or_owner(req, config))
        return 0;
    return error_set(err, ERROR_DENIED, "the caller is neither owner nor root");
}

bool caller_stat_tells_kill(const char *stat)
{
    /* The command's name may hold anything, also ')': the last one ends it. */
    const char *field = strrchr(stat, ')');
    unsigned long flags;

    for (unsigned i = 0; field != NULL && i <= FIELDS_BEFORE_FLAGS; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL)
        return false;
    flags = strtoul(field, NULL, 10);
    return (flags & PF_EXITING) != 0 && (flags & PF_SIGNALED) != 0;
}

/* The start of a file of /proc/<pid>; false when it cannot be read. */
static bool read_process_file(pid_t pid, const char *name, char *ret, size_t size)
{
    CLEANUP(fd_close) int fd = -1;
    ssize_t length;
    char path[48];

    if (pid <= 0)
        return false;
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = fd >= 0 ? read(fd, ret, size - 1) : -1;
    ret[length > 0 ? length : 0] = '\0';
    return length > 0;
}

bool caller_is_killed(pid_t pid)
{
    char text[STAT_BYTES];

    return read_process_file(pid, "stat", text, sizeof text) && caller_stat_tells_kill(text);
}

/* The set of signals in the line that begins with `name`; false when there is no such line. */
static bool find_signals(const char *status, const char *name, uint64_t *ret)
{
    const char *line = strstr(status, name);
    char *end;

    if (line == NULL)
        return false;
    line += strlen(name);
    *ret = strtoull(line, &end, 16);
    return end != line && *end == '\n';
}

bool caller_status_tells_signal(const char *status)
{
    uint64_t own, shared, blocked;

    if (!find_signals(status, "\nSigPnd:\t", &own) ||
        !find_signals(status, "\nShdPnd:\t", &shared) ||
        !find_signals(status, "\nSigBlk:\t", &blocked))
        return true;
    return ((own | shared) & ~blocked) != 0;
}

bool caller_has_signal(pid_t pid)
{
    char text[STATUS_BYTES];

    return !read_process_file(pid, "status", text, sizeof text) || caller_status_tells_signal(text);
}
