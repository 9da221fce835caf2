/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration without memory: strdup is replaced at link time (--wrap) and fails when told to. */
#include "glancefs/config.h"

#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

static bool strdup_fails;

char *__wrap_strdup(const char *text)
{
    return strdup_fails ? NULL : __real_strdup(text);
}

static int set_without_memory(const char *name, const char *value, struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;
    int result;

    assert_int_equal(config_new(&config, err), 0);
    strdup_fails = true;
    result = config_set(config, name, value, "glancefs.conf:3", err);
    strdup_fails = false;
    return result;
}

static void a_password_that_finds_no_memory_is_not_told(void **state)
{
    static const char *const secrets[] = {"os_password", "os_application_credential_secret"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(secrets); i++) {
        assert_int_equal(set_without_memory(secrets[i], "s3cret", &err), -1);
        assert_message_has(secrets[i]);
        assert_null(strstr(err.message, "s3cret"));
    }
}

static void any_other_bad_value_is_told(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(set_without_memory("os_username", "demo", &err), -1);
    assert_message_has("demo");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_that_finds_no_memory_is_not_told),
        cmocka_unit_test(any_other_bad_value_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
