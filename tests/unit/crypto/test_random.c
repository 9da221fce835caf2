/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/random.h"

#include "support/crypto_arena.h"
#include "support/testing.h"

static void exactly_the_bytes_asked_for_are_filled(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 64; size++) {
        uint8_t bytes[66];

        memset(bytes, 0xa5, sizeof bytes);
        random_bytes(bytes + 1, size);
        assert_int_equal(bytes[0], 0xa5);
        assert_int_equal(bytes[1 + size], 0xa5);
    }
    random_bytes(NULL, 0);
}

static void no_two_fillings_are_equal(void **state)
{
    uint8_t fillings[50][16];

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(fillings); i++) {
        random_bytes(fillings[i], sizeof fillings[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(fillings[i], fillings[j], sizeof fillings[i]);
    }
}

/* Not a test of randomness: finds a filling that leaves bits or whole parts alone. */
static void every_bit_of_every_byte_takes_both_values(void **state)
{
    uint8_t ones[100] = {0}, zeros[100] = {0}, bytes[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        random_bytes(bytes, sizeof bytes);
        for (size_t j = 0; j < sizeof bytes; j++) {
            ones[j] |= bytes[j];
            zeros[j] |= (uint8_t)~bytes[j];
        }
    }
    for (size_t j = 0; j < sizeof bytes; j++) {
        assert_int_equal(ones[j], 0xff);
        assert_int_equal(zeros[j], 0xff);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_bytes_asked_for_are_filled),
        cmocka_unit_test(no_two_fillings_are_equal),
        cmocka_unit_test(every_bit_of_every_byte_takes_both_values),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
