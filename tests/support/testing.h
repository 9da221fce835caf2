/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every unit test includes: cmocka with the headers it wants before it, and assertions about
 * functions that report by `struct error`.
 *
 * The assertions use a variable `struct error err` of the test. cmocka's assertions leave the test
 * by longjmp, so only the thread that runs the test may use them: other threads count what they
 * see and the test asserts on the count after joining them.
 */
#ifndef SUPPORT_TESTING_H
#define SUPPORT_TESTING_H

#include "glancefs/error.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
/* clang-format on */

/** The number of elements of an array. */
#define ELEMENTS_OF(array) (sizeof(array) / sizeof((array)[0]))

/** The call returns 0; else the test fails with the call's error message. */
#define assert_succeeds(call)                                                                      \
    do {                                                                                           \
        err = (struct error)ERROR_INIT;                                                            \
        if ((call) != 0)                                                                           \
            fail_msg("%s failed: %s", #call, err.message);                                         \
    } while (0)

/** The call returns -1 with this kind, the kind's errno (ERROR_SYSTEM: some) and a message. */
#define assert_fails(expected_kind, call)                                                          \
    do {                                                                                           \
        err = (struct error)ERROR_INIT;                                                            \
        assert_int_equal((call), -1);                                                              \
        if (err.kind != (expected_kind))                                                           \
            fail_msg("%s failed as \"%s\", not as %s: %s", #call, error_kind_name(err.kind),       \
                     #expected_kind, err.message);                                                 \
        assert_int_not_equal(err.errnum, 0);                                                       \
        assert_true(err.message[0] != '\0');                                                       \
    } while (0)

/** The message of `err` holds `text`. */
#define assert_message_has(text)                                                                   \
    do {                                                                                           \
        if (strstr(err.message, (text)) == NULL)                                                   \
            fail_msg("\"%s\" is not in the message \"%s\"", (text), err.message);                  \
    } while (0)

/* The sanitizers intercept mlock and address space limits do not go with them: tests about locked
 * or limited memory compile for the plain builds only. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RUNS_UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RUNS_UNDER_SANITIZER 1
#endif
#endif
#ifndef RUNS_UNDER_SANITIZER
#define RUNS_UNDER_SANITIZER 0
#endif

/* ThreadSanitizer finds a race when two threads have met once, and nothing at all in a loop of one
 * thread; it takes ten times as long as the plain builds and AddressSanitizer, which do `all`. */
#if defined(__SANITIZE_THREAD__)
#define FEWER_UNDER_TSAN(all, few) (few)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FEWER_UNDER_TSAN(all, few) (few)
#endif
#endif
#ifndef FEWER_UNDER_TSAN
#define FEWER_UNDER_TSAN(all, few) (all)
#endif

#endif
