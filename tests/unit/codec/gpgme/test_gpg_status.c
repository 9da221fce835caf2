/* SPDX-License-Identifier: Apache-2.0 */
/* What is believed of gpg's status lines, and what is not. */
#include "codec/gpgme/gpg_status.h"

#include "codec_bed.h"

struct line {
    const char *keyword, *arguments;
};

static const struct line sound[] = {
    {"NEED_PASSPHRASE_SYM", "9 3 8"}, {"BEGIN_DECRYPTION", ""}, {"DECRYPTION_INFO", "2 9 0"},
    {"DECRYPTION_OKAY", ""},          {"GOODMDC", ""},          {"END_DECRYPTION", ""},
};

static void add(struct gpg_status *status, const char *keyword, const char *arguments)
{
    char text[GPG_SESSION_KEY_TEXT_BYTES * 2];

    assert_in_range(strlen(arguments), 0, sizeof text - 1);
    memcpy(text, arguments, strlen(arguments) + 1);
    gpg_status_add(status, keyword, text);
}

static struct gpg_status sound_status(size_t left_out)
{
    struct gpg_status status = {0};

    for (size_t i = 0; i < ELEMENTS_OF(sound); i++)
        if (i != left_out)
            add(&status, sound[i].keyword, sound[i].arguments);
    return status;
}

static void a_sound_message_is_one_combination(void **state)
{
    const struct gpg_status status = sound_status(SIZE_MAX);

    (void)state;
    assert_true(gpg_status_is_sound(&status));
}

static void each_necessary_line_is_necessary(void **state)
{
    static const size_t necessary[] = {3, 4, 5};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(necessary); i++) {
        const struct gpg_status status = sound_status(necessary[i]);

        assert_false(gpg_status_is_sound(&status));
    }
}

static void any_line_too_many_spoils_it(void **state)
{
    static const struct line spoilers[] = {
        {"DECRYPTION_OKAY", ""},    {"GOODMDC", ""},
        {"END_DECRYPTION", ""},     {"ERROR", "symkey_decrypt 11"},
        {"FAILURE", "gpg-exit 33"}, {"NODATA", "3"},
        {"UNEXPECTED", "0"},        {"BADMDC", ""},
        {"DECRYPTION_FAILED", ""},  {"BADARMOR", ""},
        {"TRUNCATED", "1"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(spoilers); i++) {
        struct gpg_status status = sound_status(SIZE_MAX);

        add(&status, spoilers[i].keyword, spoilers[i].arguments);
        assert_false(gpg_status_is_sound(&status));
    }
}

static void somebody_elses_packet_does_not_spoil_it(void **state)
{
    struct gpg_status status = sound_status(SIZE_MAX);

    (void)state;
    add(&status, "NO_SECKEY", "0123456789ABCDEF");
    assert_true(gpg_status_is_sound(&status));
}

/* A key that fails is another thing than none: who alters messages must not be told which it was. */
static void a_key_is_lacking_when_none_was_tried(void **state)
{
    static const struct line others[] = {{"ERROR", "pkdecrypt_failed 11"},
                                         {"SESSION_KEY", "99:00112233"}};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i <= ELEMENTS_OF(others); i++) {
        struct gpg_status status;

        assert_succeeds(gpg_status_init(&status, bed_arena(), true, &err));
        assert_false(gpg_status_lacks_key(&status));
        add(&status, "NO_SECKEY", "0123456789ABCDEF");
        add(&status, "DECRYPTION_FAILED", "");
        if (i < ELEMENTS_OF(others))
            add(&status, others[i].keyword, others[i].arguments);
        assert_int_equal(gpg_status_lacks_key(&status), i == ELEMENTS_OF(others));
        gpg_status_clear(&status, bed_arena());
    }
}

static void encryption_needs_its_end_and_no_error(void **state)
{
    struct gpg_status status = {0};

    (void)state;
    add(&status, "BEGIN_ENCRYPTION", "2 9");
    assert_false(gpg_status_is_encrypted(&status));
    add(&status, "END_ENCRYPTION", "");
    assert_true(gpg_status_is_encrypted(&status));
    add(&status, "FAILURE", "gpg-exit 1");
    assert_false(gpg_status_is_encrypted(&status));
}

static void a_session_key_is_moved_into_locked_memory(void **state)
{
    struct gpg_status status;
    struct error err = ERROR_INIT;
    char line[] = "9:00112233";

    (void)state;
    assert_succeeds(gpg_status_init(&status, bed_arena(), true, &err));
    gpg_status_add(&status, "SESSION_KEY", line);
    assert_true(secure_arena_contains(bed_arena(), status.session_key));
    assert_string_equal(status.session_key, "9:00112233");
    for (size_t i = 0; i < sizeof line; i++)
        assert_int_equal(line[i], 0);
    gpg_status_clear(&status, bed_arena());
}

static void an_overlong_session_key_is_dropped_and_wiped(void **state)
{
    struct gpg_status status;
    struct error err = ERROR_INIT;
    char line[GPG_SESSION_KEY_TEXT_BYTES + 1];

    (void)state;
    memset(line, '7', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    assert_succeeds(gpg_status_init(&status, bed_arena(), true, &err));
    gpg_status_add(&status, "SESSION_KEY", line);
    assert_string_equal(status.session_key, "");
    assert_int_equal(line[0], 0);
    assert_int_equal(line[sizeof line - 2], 0);
    gpg_status_clear(&status, bed_arena());
}

static void without_locked_memory_there_is_no_room(void **state)
{
    struct bed_hoard hoard;
    struct gpg_status status;
    struct error err = ERROR_INIT;

    (void)state;
    bed_hoard_memory(&hoard, 0);
    assert_fails(ERROR_EXHAUSTED, gpg_status_init(&status, bed_arena(), true, &err));
    bed_give_back(&hoard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(a_sound_message_is_one_combination),
        bed_test(each_necessary_line_is_necessary),
        bed_test(any_line_too_many_spoils_it),
        bed_test(somebody_elses_packet_does_not_spoil_it),
        bed_test(a_key_is_lacking_when_none_was_tried),
        bed_test(encryption_needs_its_end_and_no_error),
        bed_test(a_session_key_is_moved_into_locked_memory),
        bed_test(an_overlong_session_key_is_dropped_and_wiped),
        bed_test(without_locked_memory_there_is_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
