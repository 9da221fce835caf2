/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/http_library.h"

#include "support/crypto_arena.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <stdlib.h>

/* libcurl opens the file as soon as it is initialised, which happens once in a process: here. */
static void session_keys_are_not_written_to_disk(void **state)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "keys");
    struct error err = ERROR_INIT;

    (void)state;
    assert_int_equal(setenv("SSLKEYLOGFILE", path, 1), 0);
    assert_succeeds(http_library_setup(&err));
    assert_false(temp_dir_has(dir, "keys"));
    assert_null(getenv("SSLKEYLOGFILE"));
}

static void it_is_set_up_as_often_as_one_likes(void **state)
{
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(http_library_setup(&err));
    assert_succeeds(http_library_setup(&err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_keys_are_not_written_to_disk),
        cmocka_unit_test(it_is_set_up_as_often_as_one_likes),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
