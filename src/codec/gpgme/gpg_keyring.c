/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_keyring.h"

#include "codec/gpgme/gpg_agent.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct gpg_keyring {
    char *path;
    bool had_agent;
    atomic_bool was_used; /* by whichever process: see gpg_keyring_new */
};

int gpg_keyring_new(const char *path, struct gpg_keyring **ret, struct error *err)
{
    CLEANUP(gpg_keyring_free) struct gpg_keyring *keyring = NULL;
    struct stat status;

    if (path[0] != '/' || stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
        return error_set(err, ERROR_INVALID, "keyring %s: not the absolute path of a directory",
                         path);
    keyring =
        mmap(NULL, sizeof *keyring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (keyring == MAP_FAILED) {
        keyring = NULL;
        return error_set_errno(err, errno, "mmap");
    }
    keyring->path = strdup(path);
    if (keyring->path == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    keyring->had_agent = gpg_agent_is_running(path);
    *ret = steal(&keyring);
    return 0;
}

void gpg_keyring_free(struct gpg_keyring *keyring)
{
    if (keyring == NULL)
        return;
    if (atomic_load(&keyring->was_used) && !keyring->had_agent)
        gpg_agent_stop(keyring->path);
    free(keyring->path);
    (void)munmap(keyring, sizeof *keyring);
}

const char *gpg_keyring_use(struct gpg_keyring *keyring)
{
    atomic_store(&keyring->was_used, true);
    return keyring->path;
}
