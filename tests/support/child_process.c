/* SPDX-License-Identifier: Apache-2.0 */
#include "support/child_process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int run_in_child(int (*function)(void *context), void *context)
{
    int status = 0;
    pid_t child;

    /* What stdio holds would be written twice. */
    (void)fflush(NULL);
    child = fork();
    if (child == 0)
        _exit(function(context));
    if (child < 0)
        abort();
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            abort();
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}
