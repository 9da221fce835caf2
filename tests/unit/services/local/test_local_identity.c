/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_identity.h"

#include "local_cloud_fixture.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>

static void write_identity(struct local_cloud_fixture *fixture, const char *text)
{
    temp_dir_write(fixture->dir, "identity.json", text, strlen(text));
}

static struct identity identify(struct local_cloud_fixture *fixture)
{
    struct identity identity;
    struct error err;

    assert_succeeds(identity_service_identify(fixture->cloud->identity, NULL, &identity, &err));
    return identity;
}

static void a_local_cloud_has_one_nameless_tenant(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    assert_string_equal(identify(fixture).project_id, "");
    assert_string_equal(identify(fixture).user, "local");
}

static void identity_json_names_project_and_user(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);

    write_identity(fixture, "{\"project_id\":\"b2a6cfbb\",\"user\":\"demo\"}");
    assert_string_equal(identify(fixture).project_id, "b2a6cfbb");
    assert_string_equal(identify(fixture).user, "demo");
    write_identity(fixture, "{\"project_id\":null}");
    assert_string_equal(identify(fixture).project_id, "");
}

static void a_bad_identity_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "demo",
        "{\"project_id\":7}",
        "{\"project_id\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
    };
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    struct identity identity;
    struct error err;

    for (size_t i = 0; i < ELEMENTS_OF(texts); i++) {
        write_identity(fixture, texts[i]);
        assert_fails(ERROR_INVALID,
                     identity_service_identify(fixture->cloud->identity, NULL, &identity, &err));
        assert_message_has("identity.json");
    }
}

static void a_cancelled_caller_gets_no_identity(void **state)
{
    CLEANUP(local_cloud_fixture_free)
    struct local_cloud_fixture *fixture = local_cloud_fixture_new(*state);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct identity identity;
    struct error err;

    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED,
                 identity_service_identify(fixture->cloud->identity, cancel, &identity, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_local_cloud_has_one_nameless_tenant),
        cmocka_unit_test(identity_json_names_project_and_user),
        cmocka_unit_test(a_bad_identity_is_refused),
        cmocka_unit_test(a_cancelled_caller_gets_no_identity),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
