/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/gcrypt_cipher.h"

#include <stdlib.h>

static const struct {
    int gcrypt_id;
    size_t key_size;
    size_t block_size;
} algorithms[] = {
    [CIPHER_TRIPLE_DES] = {GCRY_CIPHER_3DES, 24, 8},
    [CIPHER_CAST5] = {GCRY_CIPHER_CAST5, 16, 8},
    [CIPHER_BLOWFISH] = {GCRY_CIPHER_BLOWFISH, 16, 8},
    [CIPHER_AES128] = {GCRY_CIPHER_AES128, 16, 16},
    [CIPHER_AES192] = {GCRY_CIPHER_AES192, 24, 16},
    [CIPHER_AES256] = {GCRY_CIPHER_AES256, 32, 16},
    [CIPHER_TWOFISH] = {GCRY_CIPHER_TWOFISH, 32, 16},
    [CIPHER_CAMELLIA128] = {GCRY_CIPHER_CAMELLIA128, 16, 16},
    [CIPHER_CAMELLIA192] = {GCRY_CIPHER_CAMELLIA192, 24, 16},
    [CIPHER_CAMELLIA256] = {GCRY_CIPHER_CAMELLIA256, 32, 16},
};

void gcrypt_must(gcry_error_t result)
{
    if (result != 0)
        abort();
}

size_t cipher_key_size(enum cipher_algorithm algorithm)
{
    return algorithms[algorithm].key_size;
}

size_t cipher_block_size(enum cipher_algorithm algorithm)
{
    return algorithms[algorithm].block_size;
}

static int set_key(gcry_cipher_hd_t handle, const void *key, size_t size, struct error *err)
{
    gcry_error_t result;

    /* A weak DES or Blowfish key is the writer's choice; what he wrote must still be read. */
    (void)gcry_cipher_ctl(handle, GCRYCTL_SET_ALLOW_WEAK_KEY, NULL, 1);
    result = gcry_cipher_setkey(handle, key, size);
    if (result != 0 && gcry_err_code(result) != GPG_ERR_WEAK_KEY)
        return error_set(err, ERROR_EXHAUSTED, "cipher key: %s", gcry_strerror(result));
    return 0;
}

int gcrypt_cipher_open(enum cipher_algorithm algorithm, int mode, const void *key,
                       gcry_cipher_hd_t *ret, struct error *err)
{
    gcry_cipher_hd_t handle;
    gcry_error_t result =
        gcry_cipher_open(&handle, algorithms[algorithm].gcrypt_id, mode, GCRY_CIPHER_SECURE);

    if (gcry_err_code(result) == GPG_ERR_ENOMEM)
        return error_set(err, ERROR_EXHAUSTED, "locked memory is used up (max_memory)");
    if (result != 0)
        return error_set(err, ERROR_UNSUPPORTED, "cipher %s: %s",
                         gcry_cipher_algo_name(algorithms[algorithm].gcrypt_id),
                         gcry_strerror(result));
    if (set_key(handle, key, algorithms[algorithm].key_size, err) < 0) {
        gcry_cipher_close(handle);
        return -1;
    }
    *ret = handle;
    return 0;
}
