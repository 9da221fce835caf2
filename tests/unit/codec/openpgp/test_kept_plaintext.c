/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/kept_plaintext.h"

#include "codec_bed.h"

static void assert_starts_with(const struct kept_plaintext *kept, const char *expected)
{
    char buffer[16] = {0};

    assert_int_equal(kept_plaintext_copy(kept, buffer, sizeof buffer - 1), strlen(expected));
    assert_string_equal(buffer, expected);
}

static void nothing_is_kept_at_first(void **state)
{
    struct kept_plaintext kept = {0};
    struct error err = ERROR_INIT;

    (void)state;
    assert_starts_with(&kept, "");
    kept_plaintext_drop(&kept, 0);
    assert_succeeds(kept_plaintext_check(&kept, &err));
    kept_plaintext_clear(&kept);
}

static void bytes_stay_until_they_are_dropped(void **state)
{
    struct kept_plaintext kept = {0};
    char few[2];

    (void)state;
    kept_plaintext_keep(&kept, bed_arena(), "plain", 5);
    assert_int_equal(kept_plaintext_copy(&kept, few, sizeof few), 2);
    assert_starts_with(&kept, "plain");
    kept_plaintext_drop(&kept, 2);
    assert_starts_with(&kept, "ain");
    kept_plaintext_drop(&kept, 3);
    assert_starts_with(&kept, "");
    assert_null(kept.bytes);
}

static void more_replaces_what_was_kept(void **state)
{
    struct kept_plaintext kept = {0};

    (void)state;
    kept_plaintext_keep(&kept, bed_arena(), "plain", 5);
    kept_plaintext_drop(&kept, 3);
    kept_plaintext_keep(&kept, bed_arena(), "intext", 6);
    assert_starts_with(&kept, "intext");
    kept_plaintext_clear(&kept);
    assert_starts_with(&kept, "");
}

static void without_memory_it_is_lost(void **state)
{
    struct kept_plaintext kept = {0};
    struct error err = ERROR_INIT;
    struct bed_hoard hoard;

    (void)state;
    bed_hoard_memory(&hoard, 0);
    kept_plaintext_keep(&kept, bed_arena(), "plain", 5);
    bed_give_back(&hoard);
    assert_fails(ERROR_EXHAUSTED, kept_plaintext_check(&kept, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(nothing_is_kept_at_first),
        bed_test(bytes_stay_until_they_are_dropped),
        bed_test(more_replaces_what_was_kept),
        bed_test(without_memory_it_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
