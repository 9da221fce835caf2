/* SPDX-License-Identifier: Apache-2.0 */
#include "services/http_status.h"

#include "support/testing.h"

static void every_status_has_its_kind(void **state)
{
    static const struct {
        int status;
        enum error_kind kind;
    } expected[] = {
        {400, ERROR_INVALID},     {401, ERROR_LOGIN},       {403, ERROR_DENIED},
        {404, ERROR_NOT_FOUND},   {406, ERROR_INVALID},     {408, ERROR_TIMEOUT},
        {409, ERROR_EXISTS},      {410, ERROR_NOT_FOUND},   {413, ERROR_TOO_LARGE},
        {415, ERROR_INVALID},     {416, ERROR_INVALID},     {429, ERROR_UNAVAILABLE},
        {500, ERROR_UNAVAILABLE}, {502, ERROR_UNAVAILABLE}, {503, ERROR_UNAVAILABLE},
        {504, ERROR_UNAVAILABLE}, {507, ERROR_UNAVAILABLE}, {599, ERROR_UNAVAILABLE},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(expected); i++)
        assert_int_equal(http_status_error_kind(expected[i].status), expected[i].kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
