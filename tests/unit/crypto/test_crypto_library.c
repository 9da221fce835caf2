/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto_library.h"

#include "crypto/cfb_cipher.h"
#include "crypto/hash.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <gcrypt.h>

static void a_second_set_up_with_the_same_arena_does_nothing(void **state)
{
    const size_t used = secure_arena_used(*state);
    struct error err = ERROR_INIT;

    assert_succeeds(crypto_library_setup(*state, &err));
    assert_succeeds(crypto_library_setup(*state, &err));
    assert_int_equal(secure_arena_used(*state), used);
}

static void libgcrypts_secure_memory_is_the_arena(void **state)
{
    const size_t used = secure_arena_used(*state);
    uint8_t *memory = gcry_malloc_secure(100);

    assert_non_null(memory);
    assert_true(secure_arena_contains(*state, memory));
    assert_true(gcry_is_secure(memory) != 0);
    memset(memory, 0x5a, 100);
    gcry_free(memory);
    /* Still mapped: what a memory dump would find. */
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0);
    assert_int_equal(secure_arena_used(*state), used);
}

static void secure_memory_that_grows_stays_secure_and_leaves_nothing(void **state)
{
    const size_t used = secure_arena_used(*state);
    uint8_t *memory = gcry_malloc_secure(100);
    const uint8_t *old = memory;

    assert_non_null(memory);
    memset(memory, 0x5a, 100);
    memory = gcry_realloc(memory, 100000);
    assert_non_null(memory);
    assert_true(secure_arena_contains(*state, memory));
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0x5a);
    assert_true(old != memory);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(old[i], 0);
    memory = gcry_realloc(memory, 50);
    assert_non_null(memory);
    assert_true(secure_arena_contains(*state, memory));
    assert_int_equal(memory[49], 0x5a);
    gcry_free(memory);
    assert_int_equal(secure_arena_used(*state), used);
}

static void ordinary_memory_is_not_the_arenas(void **state)
{
    uint8_t *memory = gcry_malloc(100);

    assert_non_null(memory);
    assert_false(secure_arena_contains(*state, memory));
    assert_int_equal(gcry_is_secure(memory), 0);
    memset(memory, 0x5a, 100);
    memory = gcry_realloc(memory, 100000);
    assert_non_null(memory);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(memory[i], 0x5a);
    gcry_free(memory);
}

static void secure_memory_that_is_used_up_is_an_error_and_not_an_abort(void **state)
{
    const size_t used = secure_arena_used(*state);
    void *memory[4096];
    size_t count = 0;

    while (count < ELEMENTS_OF(memory) && (memory[count] = gcry_malloc_secure(1)) != NULL)
        count++;
    assert_true(count < ELEMENTS_OF(memory));
    assert_null(gcry_malloc_secure(1));
    while (count > 0)
        gcry_free(memory[--count]);
    assert_int_equal(secure_arena_used(*state), used);
}

static void both_libraries_work_afterwards(void **state)
{
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = NULL;
    CLEANUP(hash_free) struct hash *hash = NULL;
    static const uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(cfb_cipher_new(CIPHER_AES256, key, NULL, &cipher, &err));
    assert_succeeds(hash_new(HASH_SHA512, &hash, &err));
}

static void another_arena_is_refused(void **state)
{
    CLEANUP(secure_arena_free) struct secure_arena *other = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &other, &err));
    assert_fails(ERROR_INVALID, crypto_library_setup(other, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_set_up_with_the_same_arena_does_nothing),
        cmocka_unit_test(libgcrypts_secure_memory_is_the_arena),
        cmocka_unit_test(secure_memory_that_grows_stays_secure_and_leaves_nothing),
        cmocka_unit_test(ordinary_memory_is_not_the_arenas),
        cmocka_unit_test(secure_memory_that_is_used_up_is_an_error_and_not_an_abort),
        cmocka_unit_test(both_libraries_work_afterwards),
        cmocka_unit_test(another_arena_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
