/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox_paths.h"

#include "glancefs/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The oldest that knows renames between directories. */
#define OLDEST_ABI 2

/* From which ABI on the kernel knows what; the names are missing in older headers. */
#define TRUNCATE_ABI 3
#define NETWORK_ABI 4
#define DEVICE_ABI 5
#define SCOPE_ABI 6
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEVICE (UINT64_C(1) << 15)
#define NETWORK_BIND_TCP (UINT64_C(1) << 0)
#define NETWORK_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

/* struct landlock_ruleset_attr as it has grown; an old kernel takes its beginning. */
struct ruleset_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* since NETWORK_ABI */
    uint64_t scoped;             /* since SCOPE_ABI */
};

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE                                                                               \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                 \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |  \
     LANDLOCK_ACCESS_FS_REFER | FS_TRUNCATE)
#define ACCESS_TO_FILES                                                                            \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     FS_TRUNCATE)

/* Whatever is restricted at all; what no path allows is refused everywhere. */
static uint64_t handled_access(int abi)
{
    uint64_t access = ACCESS_WRITE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                      LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

    if (abi < TRUNCATE_ABI)
        access &= ~FS_TRUNCATE;
    if (abi >= DEVICE_ABI)
        access |= FS_IOCTL_DEVICE;
    return access;
}

static uint64_t wanted_access(enum sandbox_access access)
{
    switch (access) {
    case SANDBOX_READ:
        return ACCESS_READ;
    case SANDBOX_EXECUTE:
        return ACCESS_READ | LANDLOCK_ACCESS_FS_EXECUTE;
    case SANDBOX_WRITE:
        return ACCESS_WRITE;
    case SANDBOX_SOCKETS:
        return ACCESS_WRITE | LANDLOCK_ACCESS_FS_MAKE_SOCK;
    }
    return 0;
}

static int new_ruleset(const struct sandbox_needs *needs, int abi, int *ret, struct error *err)
{
    const struct ruleset_attributes attributes = {
        .handled_access_fs = handled_access(abi),
        .handled_access_net = NETWORK_BIND_TCP | (needs->uses_network ? 0 : NETWORK_CONNECT_TCP),
        .scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL};
    const size_t size = abi >= SCOPE_ABI     ? sizeof attributes
                        : abi >= NETWORK_ABI ? offsetof(struct ruleset_attributes, scoped)
                                             : sizeof attributes.handled_access_fs;

    *ret = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    return *ret >= 0 ? 0 : error_set_errno(err, errno, "landlock_create_ruleset");
}

static int allow(int ruleset, const struct sandbox_path *path, int abi, struct error *err)
{
    CLEANUP(fd_close) int fd = open(path->path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.parent_fd = fd};
    struct stat attributes;

    /* What we may not even look at needs no permission. */
    if (fd < 0 || fstat(fd, &attributes) < 0)
        return 0;
    rule.allowed_access = wanted_access(path->access) & handled_access(abi);
    if (!S_ISDIR(attributes.st_mode))
        rule.allowed_access &= ACCESS_TO_FILES;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return error_set_errno(err, errno, "landlock_add_rule %s", path->path);
    return 0;
}

int sandbox_paths_restrict(const struct sandbox_needs *needs, int *ret_abi, struct error *err)
{
    const int abi =
        (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    CLEANUP(fd_close) int ruleset = -1;

    *ret_abi = 0;
    /* Not built into the kernel, not switched on, or too old. */
    if (abi < OLDEST_ABI)
        return 0;
    if (new_ruleset(needs, abi, &ruleset, err) < 0)
        return -1;
    for (size_t i = 0; i < needs->count; i++)
        if (allow(ruleset, &needs->paths[i], abi, err) < 0)
            return -1;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        return error_set_errno(err, errno, "landlock_restrict_self");
    *ret_abi = abi;
    return 0;
}
