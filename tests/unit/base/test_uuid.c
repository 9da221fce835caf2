/* SPDX-License-Identifier: Apache-2.0 */
#include "base/uuid.h"

#include "support/testing.h"

#define ID "8b5a3a1e-0f4d-4c67-9e2b-01234567cdef"

static void takes_the_canonical_form(void **state)
{
    static const char *const valid[] = {
        ID,
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "01890a5d-ac96-774b-bcce-b302099a8057",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(valid); i++)
        assert_true(uuid_is_valid(valid[i]));
}

static void refuses_every_other_form(void **state)
{
    static const char *const invalid[] = {
        "",
        "8b5a3a1e",
        "8b5a3a1e-0f4d-4c67-9e2b-01234567cde",    /* one digit short */
        "8b5a3a1e-0f4d-4c67-9e2b-01234567cdef0",  /* one too many */
        "8b5a3a1e-0f4d-4c67-9e2b-01234567cdef\n", /* trailing newline */
        " 8b5a3a1e-0f4d-4c67-9e2b-01234567cdef",
        "8B5A3A1E-0F4D-4C67-9E2B-01234567CDEF", /* not canonical */
        "8b5a3a1e-0f4d-4c67-9e2b-01234567cdeF",
        "8b5a3a1e0f4d4c679e2b01234567cdef",     /* no dashes */
        "8b5a3a1e0-f4d-4c67-9e2b-01234567cdef", /* a dash in a wrong place */
        "8b5a3a1e-0f4d-4c67-9e2b001234567cdef", /* a digit for a dash */
        "8b5a3a1e_0f4d_4c67_9e2b_01234567cdef",
        "{8b5a3a1e-0f4d-4c67-9e2b-01234567cdef}",
        "urn:uuid:8b5a3a1e-0f4d-4c67-9e2b-01234567cdef",
        "gb5a3a1e-0f4d-4c67-9e2b-01234567cdef",
        "8b5a3a1e-0f4d-4c67-9e2b-01234567cde/",
        "../../../../../../../../../etc/passw", /* as long as a UUID */
        "8b5a3a1e-0f4d-4c67-9e2b-01234567cd\xc3\xa9",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(invalid); i++) {
        if (uuid_is_valid(invalid[i]))
            fail_msg("\"%s\" was taken", invalid[i]);
    }
}

/* Whatever single byte replaces whatever position: only the digits themselves pass. */
static void refuses_every_wrong_byte_at_every_position(void **state)
{
    char text[] = ID;

    (void)state;
    for (size_t i = 0; i < sizeof ID - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            const bool is_digit = byte != 0 && strchr("0123456789abcdef", byte) != NULL;
            const bool right = ID[i] == '-' ? byte == '-' : is_digit;

            text[i] = (char)byte;
            assert_int_equal(uuid_is_valid(text), right);
        }
        text[i] = ID[i];
    }
}

static void finds_the_uuid_at_the_end_of_a_reference(void **state)
{
    static const char *const references[] = {
        ID,
        "https://barbican.example.org:9311/v1/secrets/" ID,
        "http://[::1]/key-manager/v1/secrets/" ID,
        "/" ID,
        "secrets/" ID,
        "8B5A3A1E-0F4D-4C67-9E2B-01234567CDEF",
        "https://HOST/v1/secrets/8B5a3A1e-0F4D-4c67-9e2B-01234567cDEF",
        /* Only the last component counts, be there another UUID before. */
        "https://evil/00000000-0000-0000-0000-000000000000/" ID,
    };
    char found[UUID_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(references); i++) {
        memset(found, 'x', sizeof found);
        if (!uuid_from_reference(references[i], found))
            fail_msg("none found in \"%s\"", references[i]);
        assert_string_equal(found, ID);
    }
}

static void finds_none_where_none_ends_the_reference(void **state)
{
    static const char *const references[] = {
        "",
        "/",
        "https://host/v1/secrets/",
        "https://host/v1/secrets/" ID "/",
        "https://host/v1/secrets/" ID "/payload",
        "https://host/v1/secrets/" ID "?x=y",
        "https://host/v1/secrets/" ID "#f",
        "https://host/v1/secrets/x" ID,
        "https://host/v1/secrets\\" ID,
        "https://host/v1/secrets/8b5a3a1e0f4d4c679e2b01234567cdef",
        ID " ",
        ID "\n",
    };
    char found[UUID_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(references); i++) {
        if (uuid_from_reference(references[i], found))
            fail_msg("\"%s\" found in \"%s\"", found, references[i]);
    }
}

static void generates_random_uuids_of_version_4(void **state)
{
    enum { COUNT = 500 };
    static char ids[COUNT][UUID_TEXT_BYTES];
    static const char digits[] = "0123456789abcdef";
    unsigned digits_seen = 0;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(uuid_generate(ids[i]));
        assert_true(uuid_is_valid(ids[i]));
        assert_int_equal(ids[i][14], '4');
        assert_non_null(strchr("89ab", ids[i][19]));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
        digits_seen |= 1u << (strchr(digits, ids[i][0]) - digits);
    }
    assert_int_equal(digits_seen, 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_canonical_form),
        cmocka_unit_test(refuses_every_other_form),
        cmocka_unit_test(refuses_every_wrong_byte_at_every_position),
        cmocka_unit_test(finds_the_uuid_at_the_end_of_a_reference),
        cmocka_unit_test(finds_none_where_none_ends_the_reference),
        cmocka_unit_test(generates_random_uuids_of_version_4),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
