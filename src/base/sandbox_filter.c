/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox_filter.h"

#include "glancefs/cleanup.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Calls whose arguments do not matter. What glibc may use instead of a call is listed beside it, so
 * that another version of it finds what it wants. A name that this machine's architecture, or
 * libseccomp, does not know is passed over.
 */
static const char *const allowed_calls[] = {
    /* threads, signals, time */
    "arch_prctl", "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", "futex",
    "futex_waitv", "futex_wait", "futex_wake", "get_robust_list", "getcpu", "gettimeofday",
    "membarrier", "nanosleep", "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending",
    "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getparam", "sched_getscheduler",
    "sched_yield", "setsid", "set_robust_list", "set_tid_address", "sigaltstack", "signalfd4",
    "time", "timerfd_create", "timerfd_settime", "times", "wait4", "waitid",
    /* who and where we are */
    "capget", "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid",
    "getppid", "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage",
    "getsid", "gettid", "getuid", "sysinfo", "umask", "uname",
    /* memory */
    "brk", "madvise", "memfd_create", "mincore", "mlock", "mlock2", "mremap", "munlock", "munmap",
    /* descriptors */
    "close", "close_range", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "fcntl", "pipe", "pipe2",
    "poll", "ppoll", "pread64", "preadv", "preadv2", "pselect6", "pwrite64", "pwritev", "pwritev2",
    "read", "readv", "select", "write", "writev",
    /* files */
    "access", "chdir", "copy_file_range", "faccessat", "faccessat2", "fadvise64", "fallocate",
    "fchdir", "fchmod", "fchmodat", "fchmodat2", "fdatasync", "fgetxattr", "flock", "fstat",
    "fstatfs", "fsync", "ftruncate", "getcwd", "getdents64", "getxattr", "lgetxattr", "lseek",
    "lstat", "mkdir", "mkdirat", "newfstatat", "open", "openat", "openat2", "readahead", "readlink",
    "readlinkat", "rename", "renameat", "renameat2", "rmdir", "sendfile", "stat", "statfs", "statx",
    "sync_file_range", "truncate", "unlink", "unlinkat", "utimensat",
    /* sockets, once they are made */
    "bind", "connect", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmmsg",
    "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair"};

/* Of a process that runs gpg: processes, and what gpg and gpg-agent call beyond the list above. */
static const char *const program_calls[] = {
    /* processes */
    "alarm", "execve", "execveat", "fork", "getitimer", "kill", "pause", "prctl", "setitimer",
    "setpgid", "setrlimit", "tgkill", "tkill", "vfork",
    /* what they do */
    "accept", "accept4", "chmod", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "ioctl", "link", "linkat", "listen", "mprotect", "splice"};

/* Tried by libraries that know how to do without: these must not look forbidden. */
static const char *const missing_calls[] = {"clone3",           "io_uring_setup", "mseal",
                                            "map_shadow_stack", "pkey_alloc",     "pkey_mprotect"};

/* A thread is a clone with this flag; together with it the kernel makes no namespace of a user. */
#define NEW_NAMESPACES                                                                             \
    (CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |     \
     CLONE_NEWCGROUP)

/* Argument number `argument` is `value`; or those of its bits are that are in `mask`. */
#define EQUALS(argument, value)                                                                    \
    {                                                                                              \
        argument, SCMP_CMP_EQ, value, 0                                                            \
    }
#define MASKED(argument, mask, value)                                                              \
    {                                                                                              \
        argument, SCMP_CMP_MASKED_EQ, mask, value                                                  \
    }

static int add_rule(scmp_filter_ctx filter, uint32_t action, const char *name, unsigned count,
                    const struct scmp_arg_cmp *conditions, struct error *err)
{
    const int number = seccomp_syscall_resolve_name(name);
    int result;

    if (number == __NR_SCMP_ERROR)
        return 0;
    result = seccomp_rule_add_array(filter, action, number, count, conditions);
    return result == 0 ? 0 : error_set_errno(err, -result, "seccomp: %s", name);
}

static int add_calls(scmp_filter_ctx filter, uint32_t action, const char *const *names,
                     size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (add_rule(filter, action, names[i], 0, NULL, err) < 0)
            return -1;
    return 0;
}

/* A call that is allowed under a condition on one argument. */
struct condition {
    const char *name;
    struct scmp_arg_cmp argument;
};

static int add_conditions(scmp_filter_ctx filter, const struct condition *conditions, size_t count,
                          struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (add_rule(filter, SCMP_ACT_ALLOW, conditions[i].name, 1, &conditions[i].argument, err) <
            0)
            return -1;
    return 0;
}

/* Memory that may be written is never executed, here as in a library that is loaded. */
static int add_memory_rules(scmp_filter_ctx filter, struct error *err)
{
    const struct condition conditions[] = {
        {"mmap", MASKED(2, PROT_EXEC, 0)},
        {"mmap", MASKED(2, PROT_EXEC | PROT_WRITE, PROT_EXEC)},
    };

    return add_conditions(filter, conditions, sizeof conditions / sizeof conditions[0], err);
}

static int add_network_rules(scmp_filter_ctx filter, struct error *err)
{
    const struct condition conditions[] = {
        {"socket", EQUALS(0, AF_INET)},
        {"socket", EQUALS(0, AF_INET6)},
        /* getaddrinfo asks which addresses this machine has. */
        {"socket", EQUALS(0, AF_NETLINK)},
    };

    return add_conditions(filter, conditions, sizeof conditions / sizeof conditions[0], err);
}

/* Processes and threads, but no namespace in which they were root; limits of the caller itself. */
static int add_program_rules(scmp_filter_ctx filter, struct error *err)
{
    const struct condition conditions[] = {
        {"clone", MASKED(0, NEW_NAMESPACES, 0)},
        {"prlimit64", EQUALS(0, 0)},
    };

    if (add_calls(filter, SCMP_ACT_ALLOW, program_calls,
                  sizeof program_calls / sizeof program_calls[0], err) < 0)
        return -1;
    return add_conditions(filter, conditions, sizeof conditions / sizeof conditions[0], err);
}

/* What program_calls allows without a condition. */
static int add_strict_rules(scmp_filter_ctx filter, struct error *err)
{
    const struct condition conditions[] = {
        {"clone", MASKED(0, CLONE_THREAD | NEW_NAMESPACES, (uint64_t)CLONE_THREAD)},
        {"ioctl", EQUALS(1, FIONREAD)},
        {"ioctl", EQUALS(1, FIONBIO)},
        {"ioctl", EQUALS(1, TCGETS)},
        {"mprotect", MASKED(2, PROT_EXEC, 0)},
        {"prctl", EQUALS(0, PR_SET_NAME)},
        {"prlimit64", EQUALS(2, 0)},
        {"tgkill", EQUALS(0, (uint64_t)getpid())}, /* abort() */
    };

    return add_conditions(filter, conditions, sizeof conditions / sizeof conditions[0], err);
}

static int add_rules(scmp_filter_ctx filter, const struct sandbox_needs *needs, struct error *err)
{
    const struct condition local_sockets = {"socket", EQUALS(0, AF_UNIX)};

    if (add_calls(filter, SCMP_ACT_ALLOW, allowed_calls,
                  sizeof allowed_calls / sizeof allowed_calls[0], err) < 0 ||
        add_calls(filter, SCMP_ACT_ERRNO(ENOSYS), missing_calls,
                  sizeof missing_calls / sizeof missing_calls[0], err) < 0 ||
        add_memory_rules(filter, err) < 0)
        return -1;
    if (add_conditions(filter, &local_sockets, 1, err) < 0)
        return -1;
    if (needs->runs_programs)
        return add_program_rules(filter, err);
    if (needs->uses_network && add_network_rules(filter, err) < 0)
        return -1;
    return add_strict_rules(filter, err);
}

static void filter_free(scmp_filter_ctx *filter)
{
    if (*filter != NULL)
        seccomp_release(*filter);
}

int sandbox_filter_install(const struct sandbox_needs *needs, struct error *err)
{
    __attribute__((cleanup(filter_free))) scmp_filter_ctx filter =
        seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int result;

    if (filter == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (add_rules(filter, needs, err) < 0)
        return -1;
    /* Calls of another architecture, such as 32 bits, are nobody's mistake. */
    result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0)
        result = seccomp_load(filter);
    return result == 0 ? 0 : error_set_errno(err, -result, "seccomp");
}
