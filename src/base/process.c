/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

int process_harden(struct error *err)
{
    const struct rlimit no_core = {0, 0};

    (void)umask(077);
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return error_set_errno(err, errno, "cannot switch off core dumps");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot make the process undumpable");
    return 0;
}
