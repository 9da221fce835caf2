/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/mount_daemon.h"

#include "base/process.h"
#include "cli/command.h"
#include "glancefs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Waits for the child's word; without one it has failed and printed why, unless it was killed. */
static int wait_for_child(pid_t child, int word_fd, int *ret_exit_code, struct error *err)
{
    ssize_t size;
    int status;
    char word;

    do
        size = read(word_fd, &word, 1);
    while (size < 0 && errno == EINTR);
    *ret_exit_code = EXIT_CODE_OK;
    if (size == 1)
        return 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return error_set_errno(err, errno, "waiting for the daemon");
    if (WIFSIGNALED(status))
        return error_set(err, ERROR_SYSTEM, "the daemon was ended by SIG%s",
                         sigabbrev_np(WTERMSIG(status)));
    *ret_exit_code = WEXITSTATUS(status) != EXIT_CODE_OK ? WEXITSTATUS(status) : EXIT_CODE_FAILED;
    return 0;
}

int mount_daemon_fork(struct mount_daemon *ret, struct error *err)
{
    int ends[2];
    int result;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, errno, "pipe");
    child = fork();
    if (child < 0) {
        const int errnum = errno;

        (void)close(ends[0]);
        (void)close(ends[1]);
        return error_set_errno(err, errnum, "fork");
    }
    if (child == 0) {
        (void)close(ends[0]);
        *ret = (struct mount_daemon){.ready_fd = ends[1]};
        return 0;
    }
    (void)close(ends[1]);
    *ret = (struct mount_daemon){.is_parent = true, .ready_fd = -1};
    result = wait_for_child(child, ends[0], &ret->exit_code, err);
    (void)close(ends[0]);
    return result;
}

bool mount_daemon_has_log_file(void)
{
    struct stat attributes;

    return fstat(STDERR_FILENO, &attributes) == 0 && S_ISREG(attributes.st_mode);
}

int mount_daemon_ready(struct mount_daemon *daemon, struct error *err)
{
    CLEANUP(fd_close) int null_fd = -1;
    CLEANUP(fd_close) int ready_fd = steal_fd(&daemon->ready_fd);

    process_notify("READY=1");
    if (ready_fd < 0)
        return 0;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        return error_set_errno(err, errno, "/dev/null");
    if (setsid() < 0 || chdir("/") < 0)
        return error_set_errno(err, errno, "cannot leave the terminal");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if ((fd != STDERR_FILENO || !mount_daemon_has_log_file()) && dup2(null_fd, fd) < 0)
            return error_set_errno(err, errno, "cannot leave the terminal");
    (void)!write(ready_fd, "", 1); /* a parent that is gone needs no word */
    return 0;
}
