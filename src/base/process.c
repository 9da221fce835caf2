/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* What is larger is mapped, and unmapped when it is freed. */
#define HEAP_LARGEST_BYTES (128 * 1024)

#define BIND_NOW "LD_BIND_NOW"

/* Of a directory's links two are its own; each thread is one more of /proc/self/task. */
#define OWN_LINKS 2

/* How often, and how long apart, a thread that is ending is looked for. */
#define THREAD_LOOKS 200
#define THREAD_LOOK_NS 5000000

/* Uid 0 gives nothing, changing the uid neither takes nor gives, and none of it can be undone. */
#define SECUREBITS                                                                                 \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                               \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |       \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

int process_open_standard(struct error *err)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* The other way round: reading what was closed goes on failing, and so does writing. */
        const int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd) /* stays open on exec */
            return error_set_errno(err, errno, "/dev/null");
    }
    return 0;
}

void process_keep_child_status(void)
{
    const struct sigaction remember = {.sa_handler = SIG_DFL};

    (void)sigaction(SIGCHLD, &remember, NULL);
}

void process_bind_now(char **argv)
{
    char program[PATH_MAX];
    ssize_t length;

    const char *value = getenv(BIND_NOW);

    /* An empty one means nothing to the loader. */
    if ((value != NULL && *value != '\0') || setenv(BIND_NOW, "1", 1) < 0)
        return;
    /* By its own name: /proc/self/exe would show as "exe" in lists of processes. */
    length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length < 0)
        return;
    program[length] = '\0';
    (void)execv(program, argv);
}

/* By default there is a heap for each thread, and the size from which on memory goes back to the kernel
 * when it is freed grows with what is freed. */
void process_keep_heap_small(void)
{
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_LARGEST_BYTES);
}

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

void process_notify(const char *state)
{
    (void)sd_notify(0, state);
}

int process_take_listener(int *ret_fd, struct error *err)
{
    if (sd_listen_fds(1) != 1)
        return error_set(err, ERROR_INVALID, "systemd passed no socket, or several");
    *ret_fd = SD_LISTEN_FDS_START;
    return 0;
}

/* --- users --- */

static bool parse_uid(const char *text, uid_t *ret)
{
    char *end;
    unsigned long number;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    number = strtoul(text, &end, 10);
    *ret = (uid_t)number;
    return errno == 0 && *end == '\0' && number < UINT32_MAX;
}

int process_user_find(const char *name, struct process_user **ret, struct error *err)
{
    CLEANUP(process_user_free) struct process_user *user = calloc(1, sizeof *user);
    const struct passwd *entry;
    uid_t uid;

    if (user == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    entry = parse_uid(name, &uid) ? getpwuid(uid) : getpwnam(name);
    if (entry == NULL)
        return error_set(err, ERROR_INVALID, "there is no user %s", name);
    user->uid = entry->pw_uid;
    user->gid = entry->pw_gid;
    user->name = strdup(entry->pw_name);
    user->home = strdup(entry->pw_dir);
    if (user->name == NULL || user->home == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    *ret = steal(&user);
    return 0;
}

void process_user_free(struct process_user *user)
{
    if (user == NULL)
        return;
    free(user->name);
    free(user->home);
    free(user);
}

/* --- capabilities --- */

static int get_capabilities(struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3],
                            struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

    return syscall(SYS_capget, &header, sets) == 0 ? 0 : error_set_errno(err, errno, "capget");
}

/* Of `kept`, a set of those below 32, what is permitted stays so and becomes effective; nothing else
 * does. */
static int keep_capabilities(uint32_t kept, struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (get_capabilities(sets, err) < 0)
        return -1;
    kept &= sets[0].permitted;
    /* Who has no more than that needs no call, which a service manager's filter may refuse. */
    if ((sets[0].permitted | sets[0].inheritable) == kept && sets[0].effective == kept &&
        (sets[1].permitted | sets[1].inheritable) == 0)
        return 0;
    sets[0] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept};
    sets[1] = (struct __user_cap_data_struct){.effective = 0};
    return syscall(SYS_capset, &header, sets) == 0
               ? 0
               : error_set_errno(err, errno, "cannot give up capabilities");
}

/* What only CAP_SETPCAP may do: the bounding set, and what uid 0 means. */
static int lock_capabilities(struct error *err)
{
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    if (get_capabilities(sets, err) < 0)
        return -1;
    if ((sets[0].effective & CAP_TO_MASK(CAP_SETPCAP)) == 0)
        return 0;
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return error_set_errno(err, errno, "cannot empty the bounding set");
    if (prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot set securebits");
    return 0;
}

static int change_ids(const struct process_user *user, struct error *err)
{
    if (initgroups(user->name, user->gid) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
        setresuid(user->uid, user->uid, user->uid) < 0)
        return error_set_errno(err, errno, "cannot become user %s", user->name);
    /* Another user's session directory is not ours. */
    if (setenv("HOME", user->home, 1) < 0 || unsetenv("XDG_RUNTIME_DIR") < 0)
        return error_set_errno(err, errno, "setenv");
    return 0;
}

int process_become(const struct process_user *user, struct error *err)
{
    if (geteuid() != 0)
        return geteuid() == user->uid
                   ? 0
                   : error_set(err, ERROR_DENIED, "only root can become user %s", user->name);
    /* With these securebits the change of ids leaves the capabilities alone. */
    if (lock_capabilities(err) < 0 || change_ids(user, err) < 0 ||
        keep_capabilities(CAP_TO_MASK(CAP_IPC_LOCK), err) < 0)
        return -1;
    /* A change of ids may make a process dumpable, as fs.suid_dumpable says. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot make the process undumpable");
    return 0;
}

int process_keep_unmounting(struct error *err)
{
    if (lock_capabilities(err) < 0)
        return -1;
    return keep_capabilities(CAP_TO_MASK(CAP_SYS_ADMIN) | CAP_TO_MASK(CAP_DAC_READ_SEARCH), err);
}

int process_drop_capabilities(struct error *err)
{
    if (lock_capabilities(err) < 0)
        return -1;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "cannot empty the ambient set");
    if (keep_capabilities(0, err) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set_errno(err, errno, "no_new_privs");
    return 0;
}

int process_check_single_thread(struct error *err)
{
    const struct timespec pause = {.tv_nsec = THREAD_LOOK_NS};
    struct stat tasks;

    for (unsigned i = 0; i < THREAD_LOOKS; i++) {
        if (stat("/proc/self/task", &tasks) < 0)
            return error_set_errno(err, errno, "/proc/self/task");
        if (tasks.st_nlink == OWN_LINKS + 1)
            return 0;
        (void)nanosleep(&pause, NULL);
    }
    return error_set(err, ERROR_SYSTEM, "%lu threads run already",
                     (unsigned long)tasks.st_nlink - OWN_LINKS);
}
