/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/aead_cipher.h"

#include "crypto/gcrypt_cipher.h"

#include <stdlib.h>

static const struct {
    int gcrypt_mode;
    size_t nonce_size;
} algorithms[] = {
    [AEAD_ALGORITHM_EAX] = {GCRY_CIPHER_MODE_EAX, 16},
    [AEAD_ALGORITHM_OCB] = {GCRY_CIPHER_MODE_OCB, 15},
    [AEAD_ALGORITHM_GCM] = {GCRY_CIPHER_MODE_GCM, 12},
};

struct aead_cipher {
    gcry_cipher_hd_t handle;
    size_t nonce_size;
};

size_t aead_nonce_size(enum aead_algorithm algorithm)
{
    return algorithms[algorithm].nonce_size;
}

bool aead_takes_cipher(enum cipher_algorithm cipher)
{
    return cipher_block_size(cipher) == AEAD_PIECE_UNIT_BYTES;
}

int aead_cipher_new(enum aead_algorithm algorithm, enum cipher_algorithm cipher, const void *key,
                    struct aead_cipher **ret, struct error *err)
{
    CLEANUP(aead_cipher_free) struct aead_cipher *aead = calloc(1, sizeof *aead);

    if (aead == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (!aead_takes_cipher(cipher))
        return error_set(err, ERROR_UNSUPPORTED, "AEAD needs a cipher with blocks of 16 bytes");
    aead->nonce_size = algorithms[algorithm].nonce_size;
    if (gcrypt_cipher_open(cipher, algorithms[algorithm].gcrypt_mode, key, &aead->handle, err) < 0)
        return -1;
    *ret = steal(&aead);
    return 0;
}

void aead_cipher_free(struct aead_cipher *cipher)
{
    if (cipher == NULL)
        return;
    gcry_cipher_close(cipher->handle);
    free(cipher);
}

void aead_cipher_begin(struct aead_cipher *cipher, const void *nonce, const void *data,
                       size_t data_size)
{
    /* A new nonce alone leaves the rest of EAX's last key stream block in use. */
    gcrypt_must(gcry_cipher_reset(cipher->handle));
    gcrypt_must(gcry_cipher_setiv(cipher->handle, nonce, cipher->nonce_size));
    if (data_size > 0)
        gcrypt_must(gcry_cipher_authenticate(cipher->handle, data, data_size));
}

/* OCB computes its tag in the call that follows gcry_cipher_final, also when that has no bytes. */
static void begin_piece(struct aead_cipher *cipher, size_t size, bool is_last)
{
    if (!is_last && size % AEAD_PIECE_UNIT_BYTES != 0)
        abort();
    if (is_last)
        gcrypt_must(gcry_cipher_final(cipher->handle));
}

void aead_cipher_encrypt(struct aead_cipher *cipher, void *out, const void *in, size_t size,
                         bool is_last)
{
    begin_piece(cipher, size, is_last);
    gcrypt_must(gcry_cipher_encrypt(cipher->handle, out, size, out == in ? NULL : in,
                                    out == in ? 0 : size));
}

void aead_cipher_decrypt(struct aead_cipher *cipher, void *out, const void *in, size_t size,
                         bool is_last)
{
    begin_piece(cipher, size, is_last);
    gcrypt_must(gcry_cipher_decrypt(cipher->handle, out, size, out == in ? NULL : in,
                                    out == in ? 0 : size));
}

void aead_cipher_tag(struct aead_cipher *cipher, void *ret)
{
    gcrypt_must(gcry_cipher_gettag(cipher->handle, ret, AEAD_TAG_BYTES));
}

bool aead_cipher_check_tag(struct aead_cipher *cipher, const void *tag)
{
    const gcry_error_t result = gcry_cipher_checktag(cipher->handle, tag, AEAD_TAG_BYTES);

    if (gcry_err_code(result) != GPG_ERR_CHECKSUM)
        gcrypt_must(result);
    return result == 0;
}
