/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_states.h"

#include "support/testing.h"

#include <stdlib.h>

#define ID(last) "abcdefab-0000-4000-8000-00000000000" last

/* A key manager that answers each question with the next kind of error, and counts. */
struct fake_keys {
    struct key_manager manager;
    const enum error_kind *answers;
    unsigned asked;
};

static int get_metadata(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                        struct secret_metadata *ret, struct error *err)
{
    struct fake_keys *fake = (struct fake_keys *)manager;
    const enum error_kind kind = fake->answers[fake->asked++];

    (void)secret_id;
    (void)cancel;
    *ret = (struct secret_metadata){.name = ""};
    return kind == ERROR_NONE ? 0 : error_set(err, kind, "as the test wants it");
}

static const struct key_manager_ops ops = {.get_metadata = get_metadata};

static struct key_states *states_of(struct fake_keys *fake)
{
    struct key_states *states = NULL;
    struct error err = ERROR_INIT;

    fake->manager.ops = &ops;
    assert_succeeds(key_states_new(&fake->manager, &states, &err));
    return states;
}

static void every_answer_has_its_word(void **state)
{
    static const enum error_kind answers[] = {ERROR_NONE, ERROR_NO_KEY, ERROR_DENIED,
                                              ERROR_KEY_REJECTED, ERROR_INVALID};
    struct fake_keys fake = {.answers = answers};
    CLEANUP(key_states_free) struct key_states *states = states_of(&fake);

    (void)state;
    assert_string_equal(key_states_get(states, ID("1")), "ok");
    assert_string_equal(key_states_get(states, ID("2")), "gone");
    assert_string_equal(key_states_get(states, ID("3")), "denied");
    assert_string_equal(key_states_get(states, ID("4")), "unusable");
    assert_string_equal(key_states_get(states, ID("5")), "unknown");
}

static void a_key_is_asked_for_once(void **state)
{
    static const enum error_kind answers[] = {ERROR_NONE, ERROR_NO_KEY, ERROR_DENIED};
    struct fake_keys fake = {.answers = answers};
    CLEANUP(key_states_free) struct key_states *states = states_of(&fake);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(key_states_get(states, ID("1")), "ok");
        assert_string_equal(key_states_get(states, ID("2")), "gone");
    }
    assert_int_equal(fake.asked, 2);
}

static void who_did_not_answer_is_not_asked_again(void **state)
{
    static const enum error_kind outages[] = {ERROR_UNAVAILABLE, ERROR_TIMEOUT};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(outages); i++) {
        const enum error_kind answers[] = {ERROR_NONE, outages[i], ERROR_NONE};
        struct fake_keys fake = {.answers = answers};
        CLEANUP(key_states_free) struct key_states *states = states_of(&fake);

        assert_string_equal(key_states_get(states, ID("1")), "ok");
        assert_string_equal(key_states_get(states, ID("2")), "unknown");
        assert_string_equal(key_states_get(states, ID("3")), "unknown");
        assert_string_equal(key_states_get(states, ID("1")), "ok");
        assert_int_equal(fake.asked, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_has_its_word),
        cmocka_unit_test(a_key_is_asked_for_once),
        cmocka_unit_test(who_did_not_answer_is_not_asked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
