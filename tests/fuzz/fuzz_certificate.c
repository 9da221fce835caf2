/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates: PEM as it is, or, when the first octet is 'd', the DER inside one, which no mutation
 * of base64 would ever reach. Each is parsed, asked whether it may sign, and added to a store; PEM may be
 * a private key, too.
 */
#include "crypto/certificate.h"
#include "crypto/encoding.h"
#include "crypto/signature.h"
#include "crypto/signature_key.h"
#include "fuzz_main.h"

#include <stdlib.h>
#include <string.h>

#define IS_DER 'd'
#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "\n-----END CERTIFICATE-----\n"
#define LINE_BYTES 48 /* 64 characters */

/* Armor of a line each 64 characters, as OpenSSL wants them; caller frees. */
static char *armor(const uint8_t *der, size_t size, size_t *ret_size)
{
    char *pem = malloc(sizeof BEGIN + 2 * size + 8 + sizeof END);
    size_t used = sizeof BEGIN - 1;

    FUZZ_ASSERT(pem != NULL);
    memcpy(pem, BEGIN, used);
    for (size_t i = 0; i < size; i += LINE_BYTES) {
        const size_t piece = size - i < LINE_BYTES ? size - i : LINE_BYTES;

        encode_base64(der + i, piece, pem + used);
        used += encode_base64_size(piece);
        pem[used++] = '\n';
    }
    memcpy(pem + used - (size > 0), END, sizeof END);
    *ret_size = used - (size > 0) + sizeof END - 1;
    return pem;
}

static void check_signature(const struct certificate *certificate)
{
    static const uint8_t nothing[SIGNATURE_MAXIMUM_BYTES] = {1};
    struct error err = ERROR_INIT;

    for (int type = SIGNATURE_RSA_PSS; type <= SIGNATURE_ECC_SECP384R1; type++) {
        FUZZ_ASSERT(signature_verify(certificate, (enum signature_key_type)type, HASH_SHA256,
                                     nothing, nothing, 256, &err) < 0);
        fuzz_assert_plain(&err);
    }
}

static void check_certificate(const char *pem, size_t size, const struct trust_store *store)
{
    CLEANUP(certificate_free) struct certificate *certificate = NULL;
    struct error err = ERROR_INIT;

    if (certificate_parse(pem, size, &certificate, &err) < 0) {
        FUZZ_ASSERT(err.kind == ERROR_INVALID || fuzz_allocations_fail());
        return;
    }
    if (certificate_check_signer(certificate, &err) < 0)
        FUZZ_ASSERT(err.kind == ERROR_DENIED);
    if (trust_store_check(store, certificate, &err) < 0)
        fuzz_assert_plain(&err);
    check_signature(certificate);
}

/* What stands in the file that signing_key names. */
static void check_key(const char *text, size_t size)
{
    CLEANUP(signature_key_free) struct signature_key *key = NULL;
    struct secure_buffer *pem = NULL;
    struct error err = ERROR_INIT;

    if (secure_buffer_copy_of(fuzz_arena(), text, size, &pem, &err) == 0 &&
        signature_key_new(pem, &key, &err) < 0)
        fuzz_assert_plain(&err);
}

static void check(const char *pem, size_t size)
{
    CLEANUP(trust_store_free) struct trust_store *store = NULL;
    struct error err = ERROR_INIT;

    if (trust_store_new(&store, &err) < 0)
        return;
    if (trust_store_add(store, pem, size, &err) < 0)
        fuzz_assert_plain(&err);
    check_certificate(pem, size, store);
    check_key(pem, size);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(memory_free) char *pem = NULL;

    if (size == 0)
        return;
    if (data[0] == IS_DER)
        pem = armor(data + 1, size - 1, &size);
    check(pem == NULL ? (const char *)data : pem, size);
}
