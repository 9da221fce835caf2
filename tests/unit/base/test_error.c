/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/error.h"

#include "support/testing.h"

#include <ctype.h>
#include <errno.h>

static const struct {
    enum error_kind kind;
    int errnum;
} promised[] = {
    {ERROR_NONE, 0},          {ERROR_NOT_FOUND, ENOENT},
    {ERROR_DENIED, EACCES},   {ERROR_LOGIN, EACCES},
    {ERROR_NO_KEY, ENOKEY},   {ERROR_KEY_REJECTED, EKEYREJECTED},
    {ERROR_UNAVAILABLE, EIO}, {ERROR_TIMEOUT, ETIMEDOUT},
    {ERROR_CORRUPT, EBADMSG}, {ERROR_UNSUPPORTED, EOPNOTSUPP},
    {ERROR_TOO_LARGE, EFBIG}, {ERROR_EXHAUSTED, EAGAIN},
    {ERROR_CANCELLED, EINTR}, {ERROR_READ_ONLY, EROFS},
    {ERROR_BUSY, EBUSY},      {ERROR_NO_SPACE, ENOSPC},
    {ERROR_EXISTS, EEXIST},   {ERROR_INVALID, EINVAL},
    {ERROR_SYSTEM, EIO},
};

static void every_kind_has_the_errno_of_the_table(void **state)
{
    (void)state;
    assert_int_equal(ELEMENTS_OF(promised), ERROR_SYSTEM + 1);
    for (size_t i = 0; i < ELEMENTS_OF(promised); i++)
        assert_int_equal(error_kind_errno(promised[i].kind), promised[i].errnum);
}

static void a_value_that_is_no_kind_is_eio(void **state)
{
    (void)state;
    assert_int_equal(error_kind_errno((enum error_kind)(ERROR_SYSTEM + 1)), EIO);
    assert_int_equal(error_kind_errno((enum error_kind) - 1), EIO);
    assert_non_null(error_kind_name((enum error_kind)(ERROR_SYSTEM + 1)));
    assert_non_null(error_kind_name((enum error_kind) - 1));
}

static void every_kind_has_a_lower_case_name_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(promised); i++) {
        const char *name = error_kind_name(promised[i].kind);

        assert_true(name[0] != '\0');
        for (const char *c = name; *c != '\0'; c++)
            assert_false(isupper((unsigned char)*c));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(name, error_kind_name(promised[j].kind));
    }
}

static void an_initial_error_is_not_set(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_false(error_is_set(&err));
    (void)error_set(&err, ERROR_SYSTEM, "x");
    assert_true(error_is_set(&err));
}

static void set_fills_kind_errno_and_message(void **state)
{
    (void)state;
    for (size_t i = 1; i < ELEMENTS_OF(promised); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(error_set(&err, promised[i].kind, "image %s: %d", "a", 7), -1);
        assert_int_equal(err.kind, promised[i].kind);
        assert_int_equal(err.errnum, promised[i].errnum);
        assert_string_equal(err.message, "image a: 7");
    }
}

static void a_later_error_replaces_the_earlier_one(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)error_set(&err, ERROR_CORRUPT, "a long message that must not shine through");
    (void)error_set(&err, ERROR_BUSY, "b");
    assert_int_equal(err.kind, ERROR_BUSY);
    assert_int_equal(err.errnum, EBUSY);
    assert_string_equal(err.message, "b");
}

/* A message one shorter than the buffer, as long as it, and far over it. */
static void messages_are_cut_at_the_end_of_the_buffer(void **state)
{
    const size_t lengths[] = {ERROR_MESSAGE_BYTES - 1, ERROR_MESSAGE_BYTES, 5000};
    char text[5001];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(lengths); i++) {
        struct {
            struct error err;
            char guard[16];
        } guarded = {.guard = "untouched"};

        memset(text, 'm', lengths[i]);
        text[lengths[i]] = '\0';
        (void)error_set(&guarded.err, ERROR_INVALID, "%s", text);
        assert_int_equal(strlen(guarded.err.message), ERROR_MESSAGE_BYTES - 1);
        (void)error_set_errno(&guarded.err, EROFS, "%s", text);
        assert_int_equal(strlen(guarded.err.message), ERROR_MESSAGE_BYTES - 1);
        (void)error_prefix(&guarded.err, "%s", text);
        assert_int_equal(strlen(guarded.err.message), ERROR_MESSAGE_BYTES - 1);
        assert_string_equal(guarded.guard, "untouched");
    }
}

static void system_errors_get_the_kind_that_says_most(void **state)
{
    static const struct {
        int errnum;
        enum error_kind kind;
    } expected[] = {
        {ENOSPC, ERROR_NO_SPACE},  {EDQUOT, ERROR_NO_SPACE}, {ENOMEM, ERROR_EXHAUSTED},
        {ENOENT, ERROR_NOT_FOUND}, {EACCES, ERROR_DENIED},   {EPERM, ERROR_DENIED},
        {EEXIST, ERROR_EXISTS},    {EIO, ERROR_SYSTEM},      {ELOOP, ERROR_SYSTEM},
        {EFBIG, ERROR_SYSTEM},     {ESPIPE, ERROR_SYSTEM},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(expected); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(error_set_errno(&err, expected[i].errnum, "open %s", "f"), -1);
        assert_int_equal(err.kind, expected[i].kind);
        assert_int_equal(err.errnum, expected[i].errnum);
        assert_ptr_equal(strstr(err.message, "open f: "), err.message);
        assert_string_equal(err.message + strlen("open f: "), strerror(expected[i].errnum));
    }
}

static void an_interrupted_system_call_never_looks_like_a_cancelled_request(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)error_set_errno(&err, EINTR, "read");
    assert_int_equal(err.kind, ERROR_SYSTEM);
    assert_int_equal(err.errnum, EIO);
}

static void a_prefix_stands_before_the_message_and_changes_nothing_else(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)error_set_errno(&err, ELOOP, "open");
    assert_int_equal(error_prefix(&err, "image %d", 5), -1);
    assert_int_equal(err.kind, ERROR_SYSTEM);
    assert_int_equal(err.errnum, ELOOP);
    assert_ptr_equal(strstr(err.message, "image 5: open: "), err.message);
    (void)error_prefix(&err, "outer");
    assert_ptr_equal(strstr(err.message, "outer: image 5: open: "), err.message);
}

static void messages_that_look_like_formats_are_taken_as_they_are(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)error_set(&err, ERROR_INVALID, "%s", "100%n%s%d");
    (void)error_prefix(&err, "%s", "%x");
    assert_string_equal(err.message, "%x: 100%n%s%d");
}

static void what_a_message_quotes_makes_no_second_line(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)error_set(&err, ERROR_INVALID, "status '%s'", "a\nb\x1b[31m\x7f");
    assert_string_equal(err.message, "status 'a?b?[31m?'");
    (void)error_prefix(&err, "%s", "c\rd");
    assert_string_equal(err.message, "c?d: status 'a?b?[31m?'");
    (void)error_set_errno(&err, ENOENT, "%s", "e\tf");
    assert_ptr_equal(strstr(err.message, "e?f: "), err.message);
}

static void messages_keep_what_is_not_ascii(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    (void)error_set(&err, ERROR_INVALID, "%s", "\xc3\xa4");
    assert_string_equal(err.message, "\xc3\xa4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_the_errno_of_the_table),
        cmocka_unit_test(a_value_that_is_no_kind_is_eio),
        cmocka_unit_test(every_kind_has_a_lower_case_name_of_its_own),
        cmocka_unit_test(an_initial_error_is_not_set),
        cmocka_unit_test(set_fills_kind_errno_and_message),
        cmocka_unit_test(a_later_error_replaces_the_earlier_one),
        cmocka_unit_test(messages_are_cut_at_the_end_of_the_buffer),
        cmocka_unit_test(system_errors_get_the_kind_that_says_most),
        cmocka_unit_test(an_interrupted_system_call_never_looks_like_a_cancelled_request),
        cmocka_unit_test(a_prefix_stands_before_the_message_and_changes_nothing_else),
        cmocka_unit_test(messages_that_look_like_formats_are_taken_as_they_are),
        cmocka_unit_test(what_a_message_quotes_makes_no_second_line),
        cmocka_unit_test(messages_keep_what_is_not_ascii),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
