/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the daemon and the process that runs gpg: what one side takes of the other. */
#include "codec/gpgme/gpg_protocol.h"

#include "codec_bed.h"

#define PASSPHRASE "correct horse"

struct fixture {
    struct secure_buffer *message;
    struct gpg_result result;
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct error err = ERROR_INIT;

    memset(&fixture, 0, sizeof fixture);
    *state = &fixture;
    return secure_buffer_new(bed_arena(), LIMIT_GPG_MESSAGE_BYTES, &fixture.message, &err) == 0 &&
                   gpg_status_init(&fixture.result.status, bed_arena(), true, &err) == 0
               ? 0
               : -1;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    secure_buffer_free(fixture->message);
    gpg_status_clear(&fixture->result.status, bed_arena());
    return secure_arena_used(bed_arena()) == 0 ? 0 : -1;
}

static void fill(const struct fixture *fixture, const void *bytes, size_t size)
{
    struct error err = ERROR_INIT;

    secure_buffer_set_size(fixture->message, 0);
    assert_succeeds(secure_buffer_append(fixture->message, bytes, size, &err));
}

static void a_request_comes_as_it_went(void **state)
{
    const struct fixture *fixture = *state;
    const struct gpg_request request = {.verb = GPG_ENCRYPT,
                                        .home = GPG_HOME_KEYRING,
                                        .exports_session_key = true,
                                        .has_passphrase = true,
                                        .passphrase = (const uint8_t *)PASSPHRASE,
                                        .passphrase_size = sizeof PASSPHRASE - 1};
    struct gpg_request found;
    struct error err = ERROR_INIT;

    assert_succeeds(gpg_request_write(&request, fixture->message, &err));
    assert_succeeds(gpg_request_read(fixture->message, &found, &err));
    assert_int_equal(found.verb, GPG_ENCRYPT);
    assert_int_equal(found.home, GPG_HOME_KEYRING);
    assert_true(found.exports_session_key && found.has_passphrase);
    assert_int_equal(found.passphrase_size, sizeof PASSPHRASE - 1);
    assert_memory_equal(found.passphrase, PASSPHRASE, found.passphrase_size);
    assert_true(secure_arena_contains(bed_arena(), found.passphrase));
}

static void refuses_requests_that_make_no_sense(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        const char *bytes;
        size_t size;
    } requests[] = {{"", 0},          {"\0\0\0", 3},    {"\2\0\0\1p", 5}, {"\0\2\0\1p", 5},
                    {"\0\0\2\1p", 5}, {"\0\0\0\2p", 5}, {"\0\0\0\0p", 5}};

    for (size_t i = 0; i < ELEMENTS_OF(requests); i++) {
        struct gpg_request found;
        struct error err = ERROR_INIT;

        fill(fixture, requests[i].bytes, requests[i].size);
        assert_fails(ERROR_CORRUPT, gpg_request_read(fixture->message, &found, &err));
    }
}

static void refuses_to_write_a_request_that_is_too_long(void **state)
{
    const struct fixture *fixture = *state;
    static const uint8_t passphrase[LIMIT_GPG_MESSAGE_BYTES];
    const struct gpg_request request = {
        .has_passphrase = true, .passphrase = passphrase, .passphrase_size = sizeof passphrase};
    struct error err = ERROR_INIT;

    assert_fails(ERROR_TOO_LARGE, gpg_request_write(&request, fixture->message, &err));
}

static void a_result_comes_as_it_went(void **state)
{
    struct fixture *fixture = *state;
    char key[] = "9:00ff";
    const struct gpg_result result = {.has_asked = true,
                                      .status = {.okays = 1,
                                                 .good_mdcs = 2,
                                                 .endings = 3,
                                                 .errors = 4,
                                                 .bad_keys = 5,
                                                 .missing_keys = 100000,
                                                 .session_key = key}};
    const struct gpg_status *status = &fixture->result.status;
    struct error err = ERROR_INIT;

    assert_succeeds(gpg_result_write(&result, fixture->message, &err));
    assert_succeeds(gpg_result_read(fixture->message, &fixture->result, &err));
    assert_true(fixture->result.has_asked);
    assert_int_equal(status->okays, 1);
    assert_int_equal(status->good_mdcs, 2);
    assert_int_equal(status->endings, 3);
    assert_int_equal(status->errors, 4);
    assert_int_equal(status->bad_keys, 5);
    assert_int_equal(status->missing_keys, UINT8_MAX);
    assert_string_equal(status->session_key, key);
}

static void refuses_results_that_make_no_sense(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[7 + GPG_SESSION_KEY_TEXT_BYTES] = {1};
    struct gpg_result without_key = {.has_asked = false};
    struct error err = ERROR_INIT;

    for (size_t size = 0; size < 7; size++) {
        fill(fixture, bytes, size);
        assert_fails(ERROR_CORRUPT, gpg_result_read(fixture->message, &fixture->result, &err));
    }
    fill(fixture, bytes, sizeof bytes);
    assert_fails(ERROR_CORRUPT, gpg_result_read(fixture->message, &fixture->result, &err));
    fill(fixture, bytes, 8);
    assert_fails(ERROR_CORRUPT, gpg_result_read(fixture->message, &without_key, &err));
}

static void an_error_comes_as_it_went(void **state)
{
    uint8_t message[LIMIT_GPG_MESSAGE_BYTES];
    struct error sent = ERROR_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    for (unsigned kind = ERROR_NOT_FOUND; kind <= ERROR_SYSTEM; kind++) {
        (void)error_set(&sent, kind, "why %u", kind);
        if (kind == ERROR_SYSTEM)
            sent.errnum = 71;
        assert_fails(kind, gpg_answer_read(message, gpg_answer_write(&sent, message), &err));
        assert_int_equal(err.errnum, sent.errnum);
        assert_string_equal(err.message, sent.message);
    }
    sent = (struct error)ERROR_INIT;
    assert_succeeds(gpg_answer_read(message, gpg_answer_write(&sent, message), &err));
}

static void refuses_errors_that_make_no_sense(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } answers[] = {
        {"", 0},
        {"\0\0\0\0", 4},
        {"\0\0\0\0\0text", 9},
        {"\x7f\0\0\0\5text", 9},
        {"\1\x80\0\0\5text", 9},
    };
    uint8_t longest[LIMIT_GPG_MESSAGE_BYTES] = {ERROR_DENIED};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(answers); i++)
        assert_fails(ERROR_CORRUPT,
                     gpg_answer_read((const uint8_t *)answers[i].bytes, answers[i].size, &err));
    assert_fails(ERROR_CORRUPT, gpg_answer_read(longest, sizeof longest, &err));
}

#define protocol_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        protocol_test(a_request_comes_as_it_went),
        protocol_test(refuses_requests_that_make_no_sense),
        protocol_test(refuses_to_write_a_request_that_is_too_long),
        protocol_test(a_result_comes_as_it_went),
        protocol_test(refuses_results_that_make_no_sense),
        protocol_test(an_error_comes_as_it_went),
        protocol_test(refuses_errors_that_make_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
