/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/algorithm.h"

#include "support/testing.h"

static void knows_every_cipher_of_rfc_9580_but_idea(void **state)
{
    enum cipher_algorithm cipher;
    int known = 0;

    (void)state;
    for (unsigned id = 0; id < 256; id++)
        known += cipher_algorithm_from_id((uint8_t)id, &cipher) ? 1 : 0;
    assert_int_equal(known, 10);
    assert_false(cipher_algorithm_from_id(1, &cipher));
    assert_true(cipher_algorithm_from_id(2, &cipher));
    assert_int_equal(cipher, CIPHER_TRIPLE_DES);
    assert_true(cipher_algorithm_from_id(CIPHER_ID_AES256, &cipher));
    assert_int_equal(cipher, CIPHER_AES256);
    assert_true(cipher_algorithm_from_id(13, &cipher));
    assert_int_equal(cipher, CIPHER_CAMELLIA256);
}

static void knows_every_hash_of_rfc_9580(void **state)
{
    enum hash_algorithm hash;
    int known = 0;

    (void)state;
    for (unsigned id = 0; id < 256; id++)
        known += hash_algorithm_from_id((uint8_t)id, &hash) ? 1 : 0;
    assert_int_equal(known, 9);
    assert_true(hash_algorithm_from_id(HASH_ID_SHA256, &hash));
    assert_int_equal(hash, HASH_SHA256);
    assert_true(hash_algorithm_from_id(11, &hash));
    assert_int_equal(hash, HASH_SHA224);
    assert_true(hash_algorithm_from_id(14, &hash));
    assert_int_equal(hash, HASH_SHA3_512);
    assert_false(hash_algorithm_from_id(13, &hash));
}

static void knows_every_aead_mode_of_rfc_9580(void **state)
{
    enum aead_algorithm aead;
    int known = 0;

    (void)state;
    for (unsigned id = 0; id < 256; id++) {
        if (aead_algorithm_from_id((uint8_t)id, &aead)) {
            assert_int_equal(aead_algorithm_id(aead), id);
            known++;
        }
    }
    assert_int_equal(known, 3);
    assert_true(aead_algorithm_from_id(2, &aead));
    assert_int_equal(aead, AEAD_ALGORITHM_OCB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_cipher_of_rfc_9580_but_idea),
        cmocka_unit_test(knows_every_hash_of_rfc_9580),
        cmocka_unit_test(knows_every_aead_mode_of_rfc_9580),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
