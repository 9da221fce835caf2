/* SPDX-License-Identifier: Apache-2.0 */
#include "view/ownership.h"

#include "support/testing.h"

#include <stdio.h>

#define RECORD_ID "11111111-2222-4333-8444-555555555555"

/* ownership_check for an image of `owner` (NULL: none) seen by project `ours`. */
static int check(const char *owner, const char *ours, const char *foreign_owners, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct identity identity = {.user = "tester"};
    char json[256];
    int length;

    (void)snprintf(identity.project_id, sizeof identity.project_id, "%s", ours);
    length =
        snprintf(json, sizeof json, "{\"id\": \"" RECORD_ID "\", \"status\": \"active\"%s%s%s}",
                 owner != NULL ? ", \"owner\": \"" : "", owner != NULL ? owner : "",
                 owner != NULL ? "\"" : "");
    if (image_record_parse(json, (size_t)length, &record, err) < 0)
        fail_msg("%s", err->message);
    return ownership_check(record, &identity, foreign_owners, err);
}

static void our_own_images_are_ours(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(check("a", "a", NULL, &err));
}

static void without_projects_there_are_no_foreigners(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(check("a", "", NULL, &err));
    assert_succeeds(check(NULL, "", NULL, &err));
}

/* Who may write a record could leave its owner out, and an empty name stands in no list. */
static void an_image_of_nobody_is_not_ours(void **state)
{
    static const char *const lists[] = {NULL, "", ",,", "a"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++) {
        assert_fails(ERROR_DENIED, check(NULL, "b", lists[i], &err));
        assert_fails(ERROR_DENIED, check("", "b", lists[i], &err));
    }
}

static void foreign_images_are_denied_by_owner(void **state)
{
    static const char *const lists[] = {NULL, "", "b", "aa", "ab,ba", "xa", "a.b", ",,"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++) {
        assert_fails(ERROR_DENIED, check("a", "b", lists[i], &err));
        assert_message_has("project a");
    }
}

static void named_foreigners_are_let_in(void **state)
{
    static const char *const lists[] = {"a", "x,a", "a,x", " a ", "x, a,y", ",a,"};
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(lists); i++)
        assert_succeeds(check("a", "b", lists[i], &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_images_are_ours),
        cmocka_unit_test(without_projects_there_are_no_foreigners),
        cmocka_unit_test(an_image_of_nobody_is_not_ours),
        cmocka_unit_test(foreign_images_are_denied_by_owner),
        cmocka_unit_test(named_foreigners_are_let_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
