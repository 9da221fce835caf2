/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each system call of the store that may fail fails once, with each error that a disk has, and the
 * process is killed before each. Afterwards there is the right object or none, and the next daemon's
 * start and the next download work.
 */
#include "store_fixture.h"
#include "support/child_process.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HALF (STORE_SIZE / 2)

/* --- the system calls, one step each --- */

enum mishap {
    MISHAP_NONE,
    MISHAP_KILL,    /* the process ends before the call */
    MISHAP_FAILURE, /* one call fails */
    MISHAP_FAILURES /* it and all after it fail */
};

/* Exit status of a child that was "killed". */
#define KILLED 99

static enum mishap mishap;
static int steps_before_mishap;
static int mishap_errno;
static bool has_happened;
static char failed; /* the letter of the call that failed first */

/* Called once, between the caller's look and his step: what somebody else does then. */
static void (*before_mkdir)(const struct store_fixture *fixture);
static void (*before_lock)(const struct store_fixture *fixture);
static const struct store_fixture *interfered;

static void interfere(void (**deed)(const struct store_fixture *fixture))
{
    void (*const once)(const struct store_fixture *fixture) = *deed;

    *deed = NULL;
    if (once != NULL)
        once(interfered);
}

/* What was called, one letter each. */
static char trace[256];
static size_t trace_size;

static void note(char letter)
{
    if (trace_size < sizeof trace - 1)
        trace[trace_size++] = letter;
    trace[trace_size] = '\0';
}

static bool step_fails(char letter)
{
    note(letter);
    if (mishap == MISHAP_NONE || steps_before_mishap-- > 0)
        return false;
    if (mishap == MISHAP_KILL)
        _exit(KILLED);
    if (mishap == MISHAP_FAILURE)
        mishap = MISHAP_NONE;
    failed = has_happened ? failed : letter;
    has_happened = true;
    errno = mishap_errno;
    return true;
}

int __real_renameat(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name);
int __real_unlinkat(int dir_fd, const char *name, int flags);
int __real_mkdirat(int dir_fd, const char *name, mode_t mode);
int __real_openat64(int dir_fd, const char *name, int flags, ...);
int __real_fallocate64(int fd, int mode, off_t offset, off_t size);
int __real_ftruncate64(int fd, off_t size);
int __real_flock(int fd, int operation);
int __real_fstat64(int fd, struct stat *status);
int __real_fstatat64(int dir_fd, const char *name, struct stat *status, int flags);
int __real_utimensat(int dir_fd, const char *name, const struct timespec *times, int flags);
ssize_t __real_write(int fd, const void *bytes, size_t size);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_renameat(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name);
int __wrap_unlinkat(int dir_fd, const char *name, int flags);
int __wrap_mkdirat(int dir_fd, const char *name, mode_t mode);
int __wrap_openat64(int dir_fd, const char *name, int flags, ...);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size);
int __wrap_ftruncate64(int fd, off_t size);
int __wrap_flock(int fd, int operation);
int __wrap_fstat64(int fd, struct stat *status);
int __wrap_fstatat64(int dir_fd, const char *name, struct stat *status, int flags);
int __wrap_utimensat(int dir_fd, const char *name, const struct timespec *times, int flags);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

/* No test cuts the power, and there are thousands of them. */
int __wrap_fdatasync(int fd)
{
    (void)fd;
    return step_fails('d') ? -1 : 0;
}

int __wrap_fsync(int fd)
{
    (void)fd;
    return step_fails('s') ? -1 : 0;
}

int __wrap_renameat(int old_dir_fd, const char *old_name, int new_dir_fd, const char *new_name)
{
    return step_fails(old_dir_fd == new_dir_fd ? 'r' : 'R')
               ? -1
               : __real_renameat(old_dir_fd, old_name, new_dir_fd, new_name);
}

int __wrap_unlinkat(int dir_fd, const char *name, int flags)
{
    return step_fails('u') ? -1 : __real_unlinkat(dir_fd, name, flags);
}

int __wrap_mkdirat(int dir_fd, const char *name, mode_t mode)
{
    interfere(&before_mkdir);
    return step_fails('m') ? -1 : __real_mkdirat(dir_fd, name, mode);
}

int __wrap_openat64(int dir_fd, const char *name, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return step_fails('o') ? -1 : __real_openat64(dir_fd, name, flags, mode);
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t size)
{
    return step_fails('a') ? -1 : __real_fallocate64(fd, mode, offset, size);
}

int __wrap_ftruncate64(int fd, off_t size)
{
    return step_fails('t') ? -1 : __real_ftruncate64(fd, size);
}

int __wrap_flock(int fd, int operation)
{
    interfere(&before_lock);
    return step_fails('l') ? -1 : __real_flock(fd, operation);
}

int __wrap_fstat64(int fd, struct stat *status)
{
    return step_fails('f') ? -1 : __real_fstat64(fd, status);
}

int __wrap_fstatat64(int dir_fd, const char *name, struct stat *status, int flags)
{
    return step_fails('f') ? -1 : __real_fstatat64(dir_fd, name, status, flags);
}

int __wrap_utimensat(int dir_fd, const char *name, const struct timespec *times, int flags)
{
    return step_fails('n') ? -1 : __real_utimensat(dir_fd, name, times, flags);
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    return step_fails('w') ? -1 : __real_write(fd, bytes, size);
}

static void arm(enum mishap what, int steps, int errnum)
{
    mishap = what;
    steps_before_mishap = steps;
    mishap_errno = errnum;
    has_happened = false;
    trace_size = 0;
    trace[0] = '\0';
}

static void disarm(void)
{
    mishap = MISHAP_NONE;
}

static int close_armed_fixture(void **state)
{
    disarm();
    return close_store_fixture(state);
}

/* --- what is done, each from its own state before --- */

static void with_nothing(const struct store_fixture *fixture)
{
    (void)fixture;
}

static void with_half_of_it(const struct store_fixture *fixture)
{
    store_leave_partial(fixture, HALF);
}

static void with_half_of_another_record(const struct store_fixture *fixture)
{
    struct store_fixture other = *fixture;

    other.metadata.size += 100;
    store_leave_partial(&other, HALF);
}

static void with_an_object(const struct store_fixture *fixture)
{
    store_publish(fixture);
}

static void with_a_file_in_its_place(const struct store_fixture *fixture)
{
    temp_dir_write(fixture->dir, "cache/objects/" STORE_NAME, "x", 1);
    temp_dir_write(fixture->dir, "cache/partial/" STORE_NAME, "x", 1);
}

static void with_a_damaged_object(const struct store_fixture *fixture)
{
    store_publish(fixture);
    temp_dir_write(fixture->dir, "cache/objects/" STORE_NAME "/data", "x", 1);
}

static int fetch(const struct store_fixture *fixture, struct error *err)
{
    return store_fetch(fixture, err);
}

static int begin_and_drop(const struct store_fixture *fixture, struct error *err)
{
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;

    if (object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, err) < 0)
        return -1;
    object_store_drop(fixture->layout, partial);
    return 0;
}

static int discard(const struct store_fixture *fixture, struct error *err)
{
    CLEANUP(fd_close) int lock = -1;

    if (cache_layout_lock(fixture->layout, NULL, &lock, err) < 0 ||
        object_store_discard(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME, err) < 0)
        return -1;
    object_store_empty_trash(fixture->layout);
    return 0;
}

static int quarantine(const struct store_fixture *fixture, struct error *err)
{
    return object_store_quarantine(fixture->layout, STORE_NAME, 0, NULL, err);
}

static int look(const struct store_fixture *fixture, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    return object_store_open(fixture->layout, STORE_NAME, STORE_NOW_NS, &fd, NULL, err);
}

static int tidy(const struct store_fixture *fixture, struct error *err)
{
    return object_store_tidy(fixture->layout, (struct tidy_listener){NULL, NULL}, err);
}

struct deed {
    const char *name;
    void (*before)(const struct store_fixture *fixture);
    int (*act)(const struct store_fixture *fixture, struct error *err);
    int least_steps; /* it has more: else the calls are not caught */
};

static const struct deed deeds[] = {
    {"fetch", with_nothing, fetch, 30},
    {"resume", with_half_of_it, fetch, 30},
    {"begin anew", with_half_of_another_record, fetch, 30},
    {"fetch over files", with_a_file_in_its_place, fetch, 40},
    {"fetch over a damaged object", with_a_damaged_object, fetch, 40},
    {"drop", with_half_of_it, begin_and_drop, 20},
    {"discard", with_an_object, discard, 10},
    {"quarantine", with_an_object, quarantine, 5},
    {"open", with_an_object, look, 8},
    {"tidy an object", with_an_object, tidy, 5},
    {"tidy a damaged object", with_a_damaged_object, tidy, 10},
    {"tidy a download", with_half_of_it, tidy, 5},
    {"tidy files", with_a_file_in_its_place, tidy, 10},
};

/* --- what has to hold afterwards --- */

/* Removes everything, for the next turn. */
static void start_over(const struct store_fixture *fixture)
{
    static const enum cache_place places[] = {CACHE_PLACE_OBJECTS, CACHE_PLACE_PARTIAL,
                                              CACHE_PLACE_QUARANTINE};
    struct error ignored = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(places); i++)
        (void)object_store_discard(fixture->layout, places[i], STORE_NAME, &ignored);
    object_store_empty_trash(fixture->layout);
}

/* Right, or none; one that was damaged before may still be found so. */
static void assert_right_or_none(const struct store_fixture *fixture, const struct deed *deed,
                                 int step)
{
    CLEANUP(fd_close) int fd = -1;
    struct error err = ERROR_INIT;
    const bool was_damaged =
        deed->before == with_a_damaged_object || deed->before == with_a_file_in_its_place;

    if (object_store_open(fixture->layout, STORE_NAME, STORE_NOW_NS, &fd, NULL, &err) == 0)
        assert_store_object_is_right(fixture);
    else if (err.kind != ERROR_NOT_FOUND && !(was_damaged && err.kind == ERROR_CORRUPT))
        fail_msg("%s, step %d: %s", deed->name, step, err.message);
}

/* The next daemon's start, and whoever wants the image then. */
static void assert_goes_on(const struct store_fixture *fixture, const struct deed *deed, int step)
{
    struct error err = ERROR_INIT;

    assert_succeeds(object_store_tidy(fixture->layout, (struct tidy_listener){NULL, NULL}, &err));
    if (store_fetch(fixture, &err) < 0 && err.kind != ERROR_EXISTS)
        fail_msg("%s, step %d, then: %s", deed->name, step, err.message);
    assert_store_object_is_right(fixture);
    assert_int_equal(store_count(fixture, CACHE_PLACE_OBJECTS), 1);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_false(object_store_is_in_use(fixture->layout, CACHE_PLACE_OBJECTS, STORE_NAME));
}

/* A disk that cannot read one of its two files has damaged a complete object; object_store_tidy, which
 * looks at all of them at once, does not conclude that. */
static bool is_unreadable_object(const struct deed *deed)
{
    return deed->act == look && mishap_errno == EIO && strchr("of", failed) != NULL;
}

/* Any other call that fails is not damage; and a full disk is called one, where something needs space. */
static void assert_says_so(const struct deed *deed, int step, const struct error *err)
{
    if (err->kind == ERROR_CORRUPT && !is_unreadable_object(deed))
        fail_msg("%s, step %d: a failing call passes for damage: %s", deed->name, step,
                 err->message);
    if ((mishap_errno == ENOSPC || mishap_errno == EDQUOT) && strchr("adowrRsm", failed) != NULL &&
        err->kind != ERROR_NO_SPACE)
        fail_msg("%s, step %d: no space is told as %s: %s", deed->name, step,
                 error_kind_name(err->kind), err->message);
}

/* Every step of the deed fails in turn. */
static void try_every_failure(const struct store_fixture *fixture, const struct deed *deed,
                              enum mishap what, int errnum)
{
    for (int step = 0;; step++) {
        struct error err = ERROR_INIT;
        int result;

        deed->before(fixture);
        arm(what, step, errnum);
        result = deed->act(fixture, &err);
        disarm();
        if (result < 0 && has_happened)
            assert_says_so(deed, step, &err);
        assert_right_or_none(fixture, deed, step);
        assert_goes_on(fixture, deed, step);
        start_over(fixture);
        if (!has_happened) {
            assert_true(step > deed->least_steps);
            return;
        }
    }
}

static void whatever_fails_there_is_the_right_object_or_none(void **state)
{
    static const int errnums[] = {ENOSPC, EIO, EDQUOT};

    for (size_t i = 0; i < ELEMENTS_OF(deeds); i++)
        for (size_t j = 0; j < ELEMENTS_OF(errnums); j++)
            try_every_failure(*state, &deeds[i], MISHAP_FAILURE, errnums[j]);
}

/* As on a disk that is broken for good. */
static void whatever_fails_from_then_on_there_is_the_right_object_or_none(void **state)
{
    for (size_t i = 0; i < ELEMENTS_OF(deeds); i++)
        try_every_failure(*state, &deeds[i], MISHAP_FAILURES, EIO);
}

/* A disk that does not answer for a moment is no reason to fetch everything anew. */
static void a_start_that_cannot_look_sets_nothing_aside(void **state)
{
    const struct store_fixture *fixture = *state;

    store_publish(fixture);
    for (int step = 0;; step++) {
        struct error ignored = ERROR_INIT;

        arm(MISHAP_FAILURE, step, EIO);
        (void)tidy(fixture, &ignored);
        disarm();
        assert_store_object_is_right(fixture);
        assert_int_equal(store_count(fixture, CACHE_PLACE_QUARANTINE), 0);
        if (!has_happened)
            return;
    }
}

struct plan {
    const struct store_fixture *fixture;
    const struct deed *deed;
    int step;
};

static int act_and_be_killed(void *context)
{
    const struct plan *plan = context;
    struct error err = ERROR_INIT;

    arm(MISHAP_KILL, plan->step, 0);
    return plan->deed->act(plan->fixture, &err) == 0 ? 0 : 1;
}

static void killed_at_any_step_it_leaves_the_right_object_or_none(void **state)
{
    const struct store_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(deeds); i++) {
        struct plan plan = {.fixture = fixture, .deed = &deeds[i]};
        int status = KILLED;

        for (plan.step = 0; status == KILLED; plan.step++) {
            deeds[i].before(fixture);
            status = run_in_child(act_and_be_killed, &plan);
            assert_right_or_none(fixture, &deeds[i], plan.step);
            assert_goes_on(fixture, &deeds[i], plan.step);
            start_over(fixture);
        }
        assert_int_equal(status, 0);
        assert_true(plan.step > deeds[i].least_steps);
    }
}

/* --- the order --- */

/* True when the letters come in this order, whatever else comes between. */
static bool has_in_order(const char *letters)
{
    const char *next = trace;

    for (; *letters != '\0'; letters++) {
        next = strchr(next, *letters);
        if (next == NULL)
            return false;
        next++;
    }
    return true;
}

static void what_shows_was_durable_before(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
    store_write(partial, STORE_BYTES, STORE_SIZE, 0);
    arm(MISHAP_NONE, 0, 0);
    assert_succeeds(object_store_publish(fixture->layout, partial, &fixture->metadata, STORE_NOW_NS,
                                         NULL, &err));
    /* Data; metadata written, durable, named, its name durable; then the object, over nothing, and
     * both places. */
    assert_true(has_in_order("dwsrslRlss"));
    assert_null(strpbrk(strchr(trace, 'R'), "dwr"));
}

/* Pages that the disk did not take may still read well: they are not to be resumed. */
static void data_that_could_not_be_made_durable_are_dropped(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;
    int step;

    for (step = 0; step < 20; step++) {
        assert_succeeds(
            object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
        assert_succeeds(object_store_grant(partial, &fixture->metadata, &err));
        store_write(partial, STORE_BYTES, STORE_SIZE, 0);
        arm(MISHAP_FAILURE, step, EIO);
        assert_fails(ERROR_SYSTEM,
                     object_store_publish(fixture->layout, partial, &fixture->metadata,
                                          STORE_NOW_NS, NULL, &err));
        disarm();
        partial_object_free(steal(&partial));
        if (strchr(trace, 'd') != NULL)
            break;
    }
    assert_true(step < 20);
    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_int_equal(partial->present, 0);
}

/* --- what somebody else does between two steps --- */

static void discard_download(const struct store_fixture *fixture)
{
    struct error err = ERROR_INIT;

    assert_succeeds(object_store_discard(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME, &err));
    object_store_empty_trash(fixture->layout);
}

static void what_was_completed_a_moment_ago_is_not_begun(void **state)
{
    const struct store_fixture *fixture = *state;
    struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    interfered = fixture;
    before_mkdir = store_publish;
    assert_fails(ERROR_EXISTS, object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL,
                                                  &partial, &err));
    assert_null(before_mkdir);
    assert_null(partial);
    assert_int_equal(store_count(fixture, CACHE_PLACE_PARTIAL), 0);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_store_object_is_right(fixture);
}

static void a_download_taken_for_abandoned_is_begun_again(void **state)
{
    const struct store_fixture *fixture = *state;
    CLEANUP(partial_object_free) struct partial_object *partial = NULL;
    struct error err = ERROR_INIT;

    interfered = fixture;
    before_lock = discard_download;
    assert_succeeds(
        object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, &partial, &err));
    assert_null(before_lock);
    assert_int_equal(store_count(fixture, CACHE_PLACE_TRASH), 0);
    assert_true(object_store_is_in_use(fixture->layout, CACHE_PLACE_PARTIAL, STORE_NAME));
}

/* --- space --- */

static int grant_failing(const struct store_fixture *fixture, int errnum,
                         struct partial_object **ret, struct error *err)
{
    for (int step = 0;; step++) {
        int result;

        assert_int_equal(
            object_store_begin(fixture->layout, &fixture->metadata, NULL, NULL, ret, err), 0);
        arm(MISHAP_FAILURE, step, errnum);
        result = object_store_grant(*ret, &fixture->metadata, err);
        disarm();
        if (trace_size > 0 && trace[step] == 'a')
            return result;
        partial_object_free(steal(ret));
        assert_true(step < 50);
    }
}

static void a_full_disk_grants_nothing(void **state)
{
    static const int errnums[] = {ENOSPC, EDQUOT};
    const struct store_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(errnums); i++) {
        CLEANUP(partial_object_free) struct partial_object *partial = NULL;
        struct error err = ERROR_INIT;

        assert_fails(ERROR_NO_SPACE, grant_failing(fixture, errnums[i], &partial, &err));
        assert_false(partial->is_granted);
        assert_false(store_has_file(fixture, CACHE_PLACE_PARTIAL, STORE_NAME, "meta.json"));
        object_store_drop(fixture->layout, partial);
    }
}

static void a_filesystem_that_cannot_allocate_grants_all_the_same(void **state)
{
    static const int errnums[] = {EOPNOTSUPP, ENOSYS};
    const struct store_fixture *fixture = *state;

    for (size_t i = 0; i < ELEMENTS_OF(errnums); i++) {
        CLEANUP(partial_object_free) struct partial_object *partial = NULL;
        CLEANUP(stored_object_list_free) struct stored_object_list *all = NULL;
        struct error err = ERROR_INIT;

        assert_succeeds(grant_failing(fixture, errnums[i], &partial, &err));
        assert_true(partial->is_granted);
        assert_succeeds(object_store_list(fixture->layout, NULL, NULL, &all, &err));
        assert_int_equal(all->objects[0].unallocated_bytes, STORE_SIZE);
        object_store_drop(fixture->layout, partial);
    }
}

#define store_test(name)                                                                           \
    cmocka_unit_test_setup_teardown(name, open_store_fixture, close_armed_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(whatever_fails_there_is_the_right_object_or_none),
        store_test(whatever_fails_from_then_on_there_is_the_right_object_or_none),
        store_test(a_start_that_cannot_look_sets_nothing_aside),
        store_test(killed_at_any_step_it_leaves_the_right_object_or_none),
        store_test(what_shows_was_durable_before),
        store_test(data_that_could_not_be_made_durable_are_dropped),
        store_test(what_was_completed_a_moment_ago_is_not_begun),
        store_test(a_download_taken_for_abandoned_is_begun_again),
        store_test(a_full_disk_grants_nothing),
        store_test(a_filesystem_that_cannot_allocate_grants_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
