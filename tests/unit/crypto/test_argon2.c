/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/argon2.h"

#include "crypto/encoding.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdbool.h>

struct example {
    struct argon2_cost cost;
    const char *passphrase;
    const char *salt; /* hexadecimal digits, like what follows */
    const char *derived;
};

/* The reference implementation's own tests (phc-winner-argon2, src/test.c: version 0x13, id). */
static const struct example examples[] = {
    {{2, 1, 256},
     "password",
     "736f6d6573616c74",
     "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"},
    {{2, 2, 256},
     "password",
     "736f6d6573616c74",
     "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"},
    {{1, 1, 65536},
     "password",
     "736f6d6573616c74",
     "f6a5adc1ba723dddef9b5ac1d464e180fcd9dffc9d1cbf76cca2fed795d9ca98"},
    {{2, 1, 65536},
     "differentpassword",
     "736f6d6573616c74",
     "0b84d652cf6b0c4beaef0dfe278ba6a80df6696281d7e0d2891b817d8c458fde"},
    {{2, 1, 65536},
     "password",
     "6469666673616c74",
     "bdf32b05ccc42eb15d58fd19b1f856b113da1e9a5874fdcc544308565aa8141c"},
};

static void keys_are_those_of_the_reference_implementation(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(examples); i++) {
        uint8_t salt[16], expected[32], derived[32];
        const size_t salt_size = strlen(examples[i].salt) / 2;
        struct error err = ERROR_INIT;

        assert_true(decode_hex(examples[i].salt, salt_size, salt));
        assert_true(decode_hex(examples[i].derived, sizeof expected, expected));
        assert_succeeds(argon2id_derive(&examples[i].cost, examples[i].passphrase,
                                        strlen(examples[i].passphrase), salt, salt_size, NULL, NULL,
                                        derived, sizeof derived, &err));
        assert_memory_equal(derived, expected, sizeof derived);
    }
}

static int end_in_time(void *context, struct error *err)
{
    unsigned *left = context;

    if (*left == 0)
        return error_set(err, ERROR_CANCELLED, "interrupted");
    (*left)--;
    return 0;
}

static int derive_with_checks(const struct argon2_cost *cost, unsigned *checks, struct error *err)
{
    uint8_t derived[32];

    return argon2id_derive(cost, "password", 8, "sixteen octets..", 16, end_in_time, checks,
                           derived, sizeof derived, err);
}

static void it_can_be_ended_between_the_quarters_of_every_lane(void **state)
{
    const struct argon2_cost cost = {2, 2, 64};
    struct error err = ERROR_INIT;
    unsigned all = 1000, left;

    (void)state;
    assert_succeeds(derive_with_checks(&cost, &all, &err));
    assert_int_equal(1000 - all, 2 * 2 * 4);
    for (unsigned end = 0; end < 1000 - all; end++) {
        left = end;
        assert_fails(ERROR_CANCELLED, derive_with_checks(&cost, &left, &err));
        assert_message_has("interrupted");
        assert_int_equal(left, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_reference_implementation),
        cmocka_unit_test(it_can_be_ended_between_the_quarters_of_every_lane),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
