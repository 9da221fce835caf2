/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cfb_cipher.h"

#include <gcrypt.h>
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

struct cfb_cipher {
    gcry_cipher_hd_t handle;
    size_t block_size;
};

/* The library fails here only when it is misused. */
static void must(gcry_error_t result)
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

int cfb_cipher_new(enum cipher_algorithm algorithm, const void *key, const void *iv,
                   struct cfb_cipher **ret, struct error *err)
{
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = calloc(1, sizeof *cipher);
    gcry_error_t result;

    if (cipher == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    cipher->block_size = algorithms[algorithm].block_size;
    result = gcry_cipher_open(&cipher->handle, algorithms[algorithm].gcrypt_id,
                              GCRY_CIPHER_MODE_CFB, GCRY_CIPHER_SECURE);
    if (gcry_err_code(result) == GPG_ERR_ENOMEM)
        return error_set(err, ERROR_EXHAUSTED, "locked memory is used up");
    if (result != 0)
        return error_set(err, ERROR_UNSUPPORTED, "cipher %s: %s",
                         gcry_cipher_algo_name(algorithms[algorithm].gcrypt_id),
                         gcry_strerror(result));
    /* A weak DES or Blowfish key is the writer's choice; what he wrote must still be read. */
    (void)gcry_cipher_ctl(cipher->handle, GCRYCTL_SET_ALLOW_WEAK_KEY, NULL, 1);
    result = gcry_cipher_setkey(cipher->handle, key, algorithms[algorithm].key_size);
    if (result != 0 && gcry_err_code(result) != GPG_ERR_WEAK_KEY)
        return error_set(err, ERROR_EXHAUSTED, "cipher key: %s", gcry_strerror(result));
    cfb_cipher_restart(cipher, iv);
    *ret = steal(&cipher);
    return 0;
}

void cfb_cipher_free(struct cfb_cipher *cipher)
{
    if (cipher == NULL)
        return;
    gcry_cipher_close(cipher->handle);
    free(cipher);
}

void cfb_cipher_restart(struct cfb_cipher *cipher, const void *iv)
{
    static const uint8_t zeros[CIPHER_MAXIMUM_BLOCK_BYTES];

    must(gcry_cipher_setiv(cipher->handle, iv == NULL ? zeros : iv, cipher->block_size));
}

void cfb_cipher_encrypt(struct cfb_cipher *cipher, void *out, const void *in, size_t size)
{
    if (size > 0)
        must(gcry_cipher_encrypt(cipher->handle, out, size, out == in ? NULL : in,
                                 out == in ? 0 : size));
}

void cfb_cipher_decrypt(struct cfb_cipher *cipher, void *out, const void *in, size_t size)
{
    if (size > 0)
        must(gcry_cipher_decrypt(cipher->handle, out, size, out == in ? NULL : in,
                                 out == in ? 0 : size));
}
