/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sandbox.h"

#include "support/child_process.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the directory of a test: "in/a", "in/b" and the file "out" beside them. */
static int enter_with(bool uses_network, bool runs_programs, struct sandbox_state *ret)
{
    const struct sandbox_path paths[] = {{"in", SANDBOX_WRITE},       {"/etc", SANDBOX_READ},
                                         {"/usr", SANDBOX_EXECUTE},   {"/lib", SANDBOX_EXECUTE},
                                         {"/lib64", SANDBOX_EXECUTE}, {"/absent", SANDBOX_READ}};
    const struct sandbox_needs needs = {.paths = paths,
                                        .count = ELEMENTS_OF(paths),
                                        .uses_network = uses_network,
                                        .runs_programs = runs_programs};
    struct error err = ERROR_INIT;

    if (sandbox_enter(&needs, ret, &err) == 0)
        return 0;
    (void)fprintf(stderr, "%s\n", err.message);
    return -1;
}

static int enter(void)
{
    struct sandbox_state state;

    return enter_with(false, false, &state);
}

static int make_place(void **state)
{
    char *path = strdup("/tmp/glancefs-sandbox-XXXXXX");
    int fd;

    *state = path;
    if (path == NULL || mkdtemp(path) == NULL || chdir(path) < 0 || mkdir("in", 0700) < 0 ||
        mkdir("in/a", 0700) < 0 || mkdir("in/b", 0700) < 0)
        return -1;
    fd = open("out", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int remove_place(void **state)
{
    static const char *const names[] = {"in/a/file", "in/b/file", "in/a", "in/b", "in", "out"};

    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        (void)remove(names[i]);
    (void)rmdir(*state);
    free(*state);
    return chdir("/");
}

/* --- in a child: 0 when all is as promised --- */

static int has_no_capability(void *context)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

    (void)context;
    if (enter() < 0 || syscall(SYS_capget, &header, sets) < 0)
        return 1;
    return (sets[0].effective | sets[0].permitted | sets[0].inheritable | sets[1].effective |
            sets[1].permitted | sets[1].inheritable) == 0
               ? 0
               : 2;
}

static int has_no_new_privileges(void *context)
{
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    char text[4096] = "";

    (void)context;
    if (fd < 0 || enter() < 0 || read(fd, text, sizeof text - 1) <= 0)
        return 1;
    return strstr(text, "\nNoNewPrivs:\t1\n") != NULL ? 0 : 2;
}

static void all_capabilities_are_gone(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(has_no_capability, NULL), 0);
}

static void no_program_gives_privileges_back(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(has_no_new_privileges, NULL), 0);
}

#if !RUNS_UNDER_SANITIZER

static void *wait_for_ever(void *context)
{
    (void)context;
    (void)pause();
    return NULL;
}

static int is_refused_beside_a_thread(void *context)
{
    const struct sandbox_needs needs = {.count = 0};
    struct error err = ERROR_INIT;
    struct sandbox_state state;
    pthread_t thread;

    (void)context;
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
        return 1;
    return sandbox_enter(&needs, &state, &err) < 0 && err.kind == ERROR_SYSTEM ? 0 : 2;
}

static bool opens(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC, 0600) >= 0;
}

static int uses_its_paths_only(void *context)
{
    (void)context;
    if (enter() < 0)
        return 1;
    if (!opens("in/a/file", O_RDWR | O_CREAT) || !opens("in/a/file", O_WRONLY | O_TRUNC) ||
        !opens("/etc/passwd", O_RDONLY) || rename("in/a/file", "in/b/file") < 0)
        return 2;
    if (opens("out", O_RDONLY) || errno != EACCES)
        return 3;
    if (opens("in/a/../../out", O_RDONLY) || opens("/etc/passwd", O_RDWR) || errno != EACCES)
        return 4;
    if (symlink("/etc/shadow", "in/a/link") == 0 || mknod("in/a/pipe", S_IFIFO | 0600, 0) == 0)
        return 5;
    return link("in/b/file", "in/a/link") < 0 && truncate("out", 0) < 0 ? 0 : 6;
}

static int runs_nothing(void *context)
{
    (void)context;
    if (enter() < 0)
        return 1;
    (void)execl("/bin/true", "true", (char *)NULL);
    if (errno != EPERM)
        return 2;
    return fork() == -1 && errno == EPERM && kill(getppid(), 0) == -1 && errno == EPERM ? 0 : 3;
}

static int runs_a_program(void *context)
{
    struct sandbox_state state;
    int status;
    pid_t child;

    (void)context;
    if (enter_with(false, true, &state) < 0)
        return 1;
    child = fork();
    if (child == 0) {
        (void)execl("/bin/true", "true", (char *)NULL);
        _exit(9);
    }
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 2;
}

/* Only a process whose root is that of its own namespace could go on from there. */
static int makes_no_namespace(void *context)
{
    struct sandbox_state state;
    struct rlimit limit;

    (void)context;
    if (enter_with(false, true, &state) < 0)
        return 1;
    if (syscall(SYS_clone, (unsigned long)(CLONE_NEWUSER | CLONE_NEWNET | SIGCHLD), NULL, NULL,
                NULL, NULL) != -1 ||
        errno != EPERM)
        return 2;
    if (prlimit(0, RLIMIT_NOFILE, NULL, &limit) < 0)
        return 3;
    return prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) == -1 && errno == EPERM ? 0 : 4;
}

static int has_local_sockets_only(void *context)
{
    (void)context;
    if (enter() < 0 || socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0)
        return 1;
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno == EPERM ? 0 : 2;
}

static int has_the_network(void *context)
{
    struct addrinfo *found = NULL;
    struct sandbox_state state;

    (void)context;
    if (enter_with(true, false, &state) < 0 || getaddrinfo("localhost", "http", NULL, &found) != 0)
        return 1;
    freeaddrinfo(found);
    if (socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno != EAFNOSUPPORT)
        return 2;
    return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) < 0 && errno == EPERM ? 0 : 3;
}

static int has_no_code_that_it_wrote(void *context)
{
    void *page;

    (void)context;
    if (enter() < 0)
        return 1;
    if (mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 2;
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 ? 0 : 3;
}

static void *try_to_open(void *result)
{
    *(bool *)result = opens("out", O_RDONLY);
    return NULL;
}

static int binds_new_threads(void *context)
{
    bool has_opened = true;
    pthread_t thread;

    (void)context;
    if (enter() < 0 || pthread_create(&thread, NULL, try_to_open, &has_opened) != 0 ||
        pthread_join(thread, NULL) != 0)
        return 1;
    return has_opened ? 2 : 0;
}

/* As a kernel does that was built without it. */
static int does_without_landlock(void *context)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    struct sandbox_state state = {.landlock_abi = -1};

    (void)context;
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0) <
            0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_load(filter) < 0)
        return 1;
    seccomp_release(filter);
    if (enter_with(false, false, &state) < 0 || state.landlock_abi != 0 || !state.has_filter)
        return 2;
    return opens("out", O_RDONLY) ? 0 : 3;
}

static void a_second_thread_is_refused(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(is_refused_beside_a_thread, NULL), 0);
}

static void files_elsewhere_are_out_of_reach(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(uses_its_paths_only, NULL), 0);
}

static void no_program_and_no_process_is_started(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(runs_nothing, NULL), 0);
}

static void a_program_makes_no_namespace_and_sets_no_limits_of_others(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(makes_no_namespace, NULL), 0);
}

static void a_program_is_started_where_that_is_needed(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(runs_a_program, NULL), 0);
}

static void a_local_cloud_needs_no_network(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(has_local_sockets_only, NULL), 0);
}

static void the_network_is_there_without_raw_sockets(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(has_the_network, NULL), 0);
}

static void written_memory_is_never_executed(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(has_no_code_that_it_wrote, NULL), 0);
}

static void threads_that_start_later_are_bound(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(binds_new_threads, NULL), 0);
}

static void a_kernel_without_landlock_is_told(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(does_without_landlock, NULL), 0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_capabilities_are_gone),
        cmocka_unit_test(no_program_gives_privileges_back),
#if !RUNS_UNDER_SANITIZER
        cmocka_unit_test(a_second_thread_is_refused),
        cmocka_unit_test(files_elsewhere_are_out_of_reach),
        cmocka_unit_test(no_program_and_no_process_is_started),
        cmocka_unit_test(a_program_is_started_where_that_is_needed),
        cmocka_unit_test(a_program_makes_no_namespace_and_sets_no_limits_of_others),
        cmocka_unit_test(a_local_cloud_needs_no_network),
        cmocka_unit_test(the_network_is_there_without_raw_sockets),
        cmocka_unit_test(written_memory_is_never_executed),
        cmocka_unit_test(threads_that_start_later_are_bound),
        cmocka_unit_test(a_kernel_without_landlock_is_told),
#endif
    };

    return cmocka_run_group_tests(tests, make_place, remove_place);
}
