/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cfb_cipher.h"

#include "crypto/gcrypt_cipher.h"

#include <stdlib.h>

struct cfb_cipher {
    gcry_cipher_hd_t handle;
    size_t block_size;
};

int cfb_cipher_new(enum cipher_algorithm algorithm, const void *key, const void *iv,
                   struct cfb_cipher **ret, struct error *err)
{
    CLEANUP(cfb_cipher_free) struct cfb_cipher *cipher = calloc(1, sizeof *cipher);

    if (cipher == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    cipher->block_size = cipher_block_size(algorithm);
    if (gcrypt_cipher_open(algorithm, GCRY_CIPHER_MODE_CFB, key, &cipher->handle, err) < 0)
        return -1;
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

    gcrypt_must(gcry_cipher_setiv(cipher->handle, iv == NULL ? zeros : iv, cipher->block_size));
}

void cfb_cipher_encrypt(struct cfb_cipher *cipher, void *out, const void *in, size_t size)
{
    if (size > 0)
        gcrypt_must(gcry_cipher_encrypt(cipher->handle, out, size, out == in ? NULL : in,
                                        out == in ? 0 : size));
}

void cfb_cipher_decrypt(struct cfb_cipher *cipher, void *out, const void *in, size_t size)
{
    if (size > 0)
        gcrypt_must(gcry_cipher_decrypt(cipher->handle, out, size, out == in ? NULL : in,
                                        out == in ? 0 : size));
}
