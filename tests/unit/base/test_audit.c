/* SPDX-License-Identifier: Apache-2.0 */
#include "base/audit.h"

#include "base/log.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syslog.h>

#define IMAGE_ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"
#define KEY_ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"
#define THREADS 4
#define LINES_OF_A_THREAD ((size_t)200)

static const struct audit_event event = {.event = "open",
                                         .view = "decrypt",
                                         .image = IMAGE_ID,
                                         .has_caller = true,
                                         .uid = 1000,
                                         .pid = 4711,
                                         .key_id = KEY_ID,
                                         .verified = "first"};

/* --- where lines go (the linker's --wrap) --- */

static struct {
    bool has_journal;
    unsigned lines;
    int priority;
    const char *way; /* "journal" or "syslog" */
    char text[1024];
} service;

__attribute__((format(printf, 3, 0))) static void take(const char *way, int priority,
                                                       const char *format, va_list arguments)
{
    service.lines++;
    service.way = way;
    service.priority = priority;
    (void)vsnprintf(service.text, sizeof service.text, format, arguments);
}

int __wrap_access(const char *path, int mode);
int __wrap_sd_journal_print(int priority, const char *format, ...);
void __wrap_syslog(int priority, const char *format, ...);
void __wrap___syslog_chk(int priority, int flag, const char *format, ...);

int __wrap_access(const char *path, int mode)
{
    (void)path, (void)mode;
    return service.has_journal ? 0 : -1;
}

__attribute__((format(printf, 2, 3))) int __wrap_sd_journal_print(int priority, const char *format,
                                                                  ...)
{
    va_list arguments;

    va_start(arguments, format);
    take("journal", priority, format, arguments);
    va_end(arguments);
    return 0;
}

__attribute__((format(printf, 2, 3))) void __wrap_syslog(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    take("syslog", priority, format, arguments);
    va_end(arguments);
}

/* What syslog is called where the build is fortified. */
__attribute__((format(printf, 3, 4))) void __wrap___syslog_chk(int priority, int flag,
                                                               const char *format, ...)
{
    va_list arguments;

    (void)flag;
    va_start(arguments, format);
    take("syslog", priority, format, arguments);
    va_end(arguments);
}

/* --- standard error --- */

static int use_stderr(void **state)
{
    memset(&service, 0, sizeof service);
    log_setup(LOG_STDERR, LOG_LEVEL_ERROR);
    *state = temp_dir_new();
    return 0;
}

static int remove_directory(void **state)
{
    temp_dir_free(*state);
    return 0;
}

/* What `write` writes to standard error, on the heap. */
static char *written_by(struct temp_dir *dir, void (*write)(const void *argument),
                        const void *argument)
{
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "stderr");
    CLEANUP(fd_close)
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    CLEANUP(fd_close) int saved = dup(STDERR_FILENO);

    assert_true(fd >= 0 && saved >= 0);
    (void)fflush(stderr);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    write(argument);
    (void)fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    return (char *)temp_dir_read(dir, "stderr", NULL);
}

static void write_event(const void *argument)
{
    audit_write(argument);
}

static char *line_of(void *dir, const struct audit_event *given)
{
    return written_by(dir, write_event, given);
}

/* Of a line without its end. */
static void assert_fields(const char *line, const char *image, const char *key)
{
    char expected[1024];

    (void)snprintf(expected, sizeof expected,
                   "glancefs: info: audit: event=open view=decrypt image=%s uid=1000 pid=4711 "
                   "key=%s verified=first result=ok\n",
                   image, key);
    assert_string_equal(line, expected);
}

/* --- one line --- */

static void an_event_is_one_line_with_its_fields_in_order(void **state)
{
    CLEANUP(memory_free) char *line = line_of(*state, &event);

    assert_fields(line, IMAGE_ID, KEY_ID);
}

static void what_is_not_known_is_a_dash(void **state)
{
    const struct audit_event bare = {.event = "seal", .view = "encrypt", .uid = 5, .pid = 6};
    struct audit_event empty = bare;
    CLEANUP(memory_free) char *line = line_of(*state, &bare);
    CLEANUP(memory_free) char *other = NULL;

    assert_string_equal(line, "glancefs: info: audit: event=seal view=encrypt image=- uid=- pid=- "
                              "key=- verified=- result=ok\n");
    empty.image = "";
    empty.key_id = "";
    other = line_of(*state, &empty);
    assert_string_equal(other, line);
}

static void users_and_processes_of_any_number_are_told(void **state)
{
    struct audit_event edge = event;
    CLEANUP(memory_free) char *line = NULL;

    edge.uid = (uid_t)-1;
    edge.pid = 0; /* outside of our pid namespace */
    line = line_of(*state, &edge);
    assert_non_null(strstr(line, " uid=4294967295 pid=0 "));
}

/* --- names from outside --- */

static void a_name_forges_neither_field_nor_line(void **state)
{
    static const struct {
        const char *name;
        const char *shown;
    } names[] = {
        {"x\nglancefs: info: audit: event=seal", "x%0Aglancefs:%20info:%20audit:%20event%3Dseal"},
        {"a result=ok", "a%20result%3Dok"},
        {"\r\t\033[2J\x7f", "%0D%09%1B%5B2J%7F"},
        {"\xc3\xa9\xff", "%C3%A9%FF"},
        {"100%0A", "100%250A"},
        {"%s%n", "%25s%25n"},
        {"\"'`$\\/&;|<>", "%22%27%60%24%5C%2F%26%3B%7C%3C%3E"},
        {"-._:+AZaz09", "-._:+AZaz09"},
        {".." IMAGE_ID, ".." IMAGE_ID},
    };

    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        struct audit_event forged = event;
        CLEANUP(memory_free) char *line = NULL;

        forged.image = names[i].name;
        forged.key_id = names[i].name;
        line = line_of(*state, &forged);
        assert_fields(line, names[i].shown, names[i].shown);
    }
}

static void every_byte_is_shown_as_itself_or_by_its_number(void **state)
{
    for (int byte = 1; byte < 256; byte++) {
        const char name[] = {(char)byte, '\0'};
        struct audit_event odd = event;
        CLEANUP(memory_free) char *line = NULL;
        char shown[sizeof "%XX"];

        odd.image = name;
        line = line_of(*state, &odd);
        (void)snprintf(shown, sizeof shown, "%%%02X", (unsigned)byte);
        if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
            (byte >= 'A' && byte <= 'Z') || strchr("-._:+", byte) != NULL)
            (void)snprintf(shown, sizeof shown, "%c", byte);
        assert_fields(line, shown, KEY_ID);
    }
}

/* So many characters of a value are shown at most. */
#define SHOWN_BYTES 189

static void long_names_are_cut_and_the_rest_of_the_line_is_whole(void **state)
{
    static char plain[5000], escaped[5000], expected[SHOWN_BYTES + 1];
    struct audit_event named = event;
    CLEANUP(memory_free) char *line = NULL;
    CLEANUP(memory_free) char *other = NULL;

    memset(plain, 'a', sizeof plain - 1);
    memset(escaped, '\n', sizeof escaped - 1);
    named.image = plain;
    named.key_id = plain;
    line = line_of(*state, &named);
    memset(expected, 'a', sizeof expected - 1);
    assert_fields(line, expected, expected);
    named.image = escaped;
    named.key_id = escaped;
    other = line_of(*state, &named);
    for (size_t i = 0; i < SHOWN_BYTES; i++)
        expected[i] = "%0A"[i % 3];
    assert_fields(other, expected, expected);
}

/* --- results --- */

static void every_result_has_its_name(void **state)
{
    struct audit_event ended = event;
    char expected[64];

    for (int errnum = 0; errnum < 200; errnum++) {
        CLEANUP(memory_free) char *line = NULL;
        const char *name = errnum == 0 ? "ok" : strerrorname_np(errnum);

        ended.errnum = errnum;
        line = line_of(*state, &ended);
        (void)snprintf(expected, sizeof expected, " verified=first result=%s\n",
                       name != NULL ? name : "unknown");
        assert_string_equal(strstr(line, " verified="), expected);
    }
}

static void results_of_opens_are_spelled_as_in_errno_h(void **state)
{
    static const struct {
        int errnum;
        const char *name;
    } results[] = {{EBADMSG, "EBADMSG"}, {EACCES, "EACCES"},       {ENOKEY, "ENOKEY"},
                   {EINTR, "EINTR"},     {ETIMEDOUT, "ETIMEDOUT"}, {EOPNOTSUPP, "EOPNOTSUPP"},
                   {EAGAIN, "EAGAIN"},   {-1, "unknown"},          {100000, "unknown"}};
    struct audit_event ended = event;
    char expected[64];

    for (size_t i = 0; i < ELEMENTS_OF(results); i++) {
        CLEANUP(memory_free) char *line = NULL;

        ended.errnum = results[i].errnum;
        line = line_of(*state, &ended);
        (void)snprintf(expected, sizeof expected, " result=%s\n", results[i].name);
        assert_string_equal(strstr(line, " result="), expected);
    }
}

/* --- targets --- */

static void the_line_is_written_whatever_the_level_and_to_the_services_of_the_machine(void **state)
{
    static const char *const ways[] = {"syslog", "journal"};
    static const int priorities[] = {LOG_DAEMON | LOG_INFO, LOG_INFO};

    for (size_t i = 0; i < ELEMENTS_OF(ways); i++) {
        CLEANUP(memory_free) char *line = NULL;

        memset(&service, 0, sizeof service);
        service.has_journal = i == 1;
        log_setup(LOG_JOURNAL, LOG_LEVEL_ERROR);
        line = line_of(*state, &event);
        assert_string_equal(line, "");
        assert_int_equal(service.lines, 1);
        assert_string_equal(service.way, ways[i]);
        assert_int_equal(service.priority, priorities[i]);
        assert_string_equal(service.text,
                            "audit: event=open view=decrypt image=" IMAGE_ID " uid=1000 pid=4711 "
                            "key=" KEY_ID " verified=first result=ok");
    }
}

/* --- threads --- */

static void *write_often(void *argument)
{
    for (size_t i = 0; i < LINES_OF_A_THREAD; i++)
        audit_write(argument);
    return NULL;
}

static void write_from_threads(const void *argument)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_often, (void *)(uintptr_t)argument), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void each_call_is_a_whole_line_when_threads_write(void **state)
{
    CLEANUP(memory_free) char *one = line_of(*state, &event);
    CLEANUP(memory_free) char *lines = written_by(*state, write_from_threads, &event);
    const size_t size = strlen(one);

    assert_int_equal(strlen(lines), THREADS * LINES_OF_A_THREAD * size);
    for (size_t i = 0; i < THREADS * LINES_OF_A_THREAD; i++)
        assert_memory_equal(lines + i * size, one, size);
}

#define audit_test(name) cmocka_unit_test_setup_teardown(name, use_stderr, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        audit_test(an_event_is_one_line_with_its_fields_in_order),
        audit_test(what_is_not_known_is_a_dash),
        audit_test(users_and_processes_of_any_number_are_told),
        audit_test(a_name_forges_neither_field_nor_line),
        audit_test(every_byte_is_shown_as_itself_or_by_its_number),
        audit_test(long_names_are_cut_and_the_rest_of_the_line_is_whole),
        audit_test(every_result_has_its_name),
        audit_test(results_of_opens_are_spelled_as_in_errno_h),
        audit_test(the_line_is_written_whatever_the_level_and_to_the_services_of_the_machine),
        audit_test(each_call_is_a_whole_line_when_threads_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
