/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key derivation at the lowest cost, for targets that meet a costly one in every input; the linker
 * sends s2k_derive here (--wrap). fuzz_skesk does without and derives as asked.
 */
#include "codec/openpgp/s2k.h"

#define CHEAP_COUNT 1024

int __real_s2k_derive(const struct s2k *s2k, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                      struct cancel *cancel, uint8_t *ret_key, size_t key_size, struct error *err);
int __wrap_s2k_derive(const struct s2k *s2k, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                      struct cancel *cancel, uint8_t *ret_key, size_t key_size, struct error *err);

int __wrap_s2k_derive(const struct s2k *s2k, struct secure_arena *arena,
                      const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                      struct cancel *cancel, uint8_t *ret_key, size_t key_size, struct error *err)
{
    struct s2k cheap = *s2k;

    if (cheap.type == S2K_ITERATED_AND_SALTED && cheap.count > CHEAP_COUNT)
        cheap.count = CHEAP_COUNT;
    if (cheap.type == S2K_ARGON2)
        cheap.type = S2K_SALTED;
    return __real_s2k_derive(&cheap, arena, passphrase, allowance, cancel, ret_key, key_size, err);
}
