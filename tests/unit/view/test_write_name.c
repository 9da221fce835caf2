/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_name.h"

#include "support/testing.h"

#define ID "11111111-2222-4333-8444-555555555555"

static void takes_the_three_forms(void **state)
{
    static const struct {
        const char *name;
        enum write_name_kind kind;
    } names[] = {{ID, WRITE_NAME_IMAGE},
                 {ID ".part", WRITE_NAME_PART},
                 {"." ID ".abcdef", WRITE_NAME_TEMPORARY},
                 {"." ID ".A0_z9Z", WRITE_NAME_TEMPORARY}};
    struct write_name parsed;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_true(write_name_parse(names[i].name, &parsed));
        assert_int_equal(parsed.kind, names[i].kind);
        assert_string_equal(parsed.image_id, ID);
    }
}

static void refuses_every_other_name(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        "a",
        "11111111-2222-4333-8444-55555555555",
        "11111111-2222-4333-8444-55555555555g",
        "AAAAAAAA-2222-4333-8444-555555555555",
        ID "5",
        ID ".",
        ID ".par",
        ID ".part2",
        ID ".PART",
        ID ".part.part",
        ID ".abcdef",
        "." ID,
        "." ID ".",
        "." ID ".part",
        "." ID ".abcde",
        "." ID ".abcdefg",
        "." ID ".abc-ef",
        "." ID ".abc.ef",
        "." ID "xabcdef",
        "." ID ".part.abcdef",
        ".." ID ".abcdef",
        " " ID,
        ID "\n",
    };
    struct write_name parsed;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(names); i++)
        if (write_name_parse(names[i], &parsed))
            fail_msg("\"%s\" was taken for a name", names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_three_forms),
        cmocka_unit_test(refuses_every_other_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
