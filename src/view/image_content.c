/* SPDX-License-Identifier: Apache-2.0 */
#include "view/image_content.h"

#include "crypto/hash.h"

#include <string.h>

/* A digest this long identifies content; policy may admit shorter ones, which do not. */
#define IDENTIFYING_HASH_BYTES 32

static bool same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

bool image_content_is_same(const struct signature_policy *signatures, const struct image_record *a,
                           const struct image_record *b)
{
    enum hash_algorithm algorithm;
    uint64_t size_a = 0;
    uint64_t size_b = 0;

    return same_text(image_record_id(a), image_record_id(b)) &&
           same_text(image_record_hash_algo(a), image_record_hash_algo(b)) &&
           same_text(image_record_hash_value(a), image_record_hash_value(b)) &&
           hash_algorithm_from_name(image_record_hash_algo(a), &algorithm) &&
           hash_size(algorithm) >= IDENTIFYING_HASH_BYTES && image_record_size(a, &size_a) &&
           image_record_size(b, &size_b) && size_a == size_b &&
           signature_policy_same_claim(signatures, a, b);
}
