/* SPDX-License-Identifier: Apache-2.0 */
#include "view/image_content.h"

#include "crypto/hash.h"

#include <assert.h>
#include <string.h>

/* A digest this long identifies content; policy may admit shorter ones, which do not. */
#define IDENTIFYING_HASH_BYTES 32

static bool known_and_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static_assert(PASS_KEY_BYTES == 32, "a SHA-256");

static void hash_text(struct hash *hash, const char *text)
{
    hash_update(hash, text != NULL ? text : "", text != NULL ? strlen(text) + 1 : 1);
}

int image_content_pass_key(const struct signature_policy *signatures,
                           const struct image_record *record, struct pass_key *ret,
                           struct error *err)
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    uint64_t size = BYTE_SOURCE_SIZE_UNKNOWN;

    if (hash_new_public(HASH_SHA256, &hash, err) < 0)
        return -1;
    (void)image_record_size(record, &size);
    hash_update(hash, &size, sizeof size);
    hash_text(hash, image_record_hash_algo(record));
    hash_text(hash, image_record_hash_value(record));
    signature_policy_hash_claim(signatures, record, hash);
    hash_finish(hash, ret->bytes);
    return 0;
}

bool image_content_is_same(const struct signature_policy *signatures, const struct image_record *a,
                           const struct image_record *b)
{
    enum hash_algorithm algorithm;
    uint64_t size_a = 0;
    uint64_t size_b = 0;

    return known_and_same(image_record_id(a), image_record_id(b)) &&
           known_and_same(image_record_hash_algo(a), image_record_hash_algo(b)) &&
           known_and_same(image_record_hash_value(a), image_record_hash_value(b)) &&
           hash_algorithm_from_name(image_record_hash_algo(a), &algorithm) &&
           hash_size(algorithm) >= IDENTIFYING_HASH_BYTES && image_record_size(a, &size_a) &&
           image_record_size(b, &size_b) && size_a == size_b &&
           signature_policy_same_claim(signatures, a, b);
}
