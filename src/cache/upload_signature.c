/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_signature.h"

#include "crypto/encoding.h"

/* Base64 of the longest signature, with a NUL. */
#define SIGNATURE_TEXT_BYTES ((SIGNATURE_MAXIMUM_BYTES + 2) / 3 * 4 + 1)

static int sign(const struct signature_key *key, const char *sha512,
                char ret_text[SIGNATURE_TEXT_BYTES], struct error *err)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];
    uint8_t signature[SIGNATURE_MAXIMUM_BYTES];
    size_t size;

    if (!decode_hex(sha512, hash_size(HASH_SHA512), digest))
        return error_set(err, ERROR_INVALID, "the hash of the upload is not known");
    if (signature_key_sign(key, HASH_SHA512, digest, signature, &size, err) < 0)
        return error_prefix(err, "signing_key");
    encode_base64(signature, size, ret_text);
    ret_text[encode_base64_size(size)] = '\0';
    return 0;
}

int upload_signature_add(const struct staging_owner *owner, struct upload_journal *journal,
                         struct error *err)
{
    const struct signature_key *key = owner->signing_key;
    char text[SIGNATURE_TEXT_BYTES];

    if (key == NULL)
        return 0;
    if (sign(key, journal->sha512, text, err) < 0 ||
        upload_journal_set_property(journal, "img_signature", text, err) < 0 ||
        upload_journal_set_property(journal, "img_signature_hash_method", "SHA-512", err) < 0 ||
        upload_journal_set_property(journal, "img_signature_key_type",
                                    signature_key_type_name(signature_key_type(key)), err) < 0)
        return -1;
    return upload_journal_set_property(journal, "img_signature_certificate_uuid",
                                       owner->signing_certificate, err);
}
