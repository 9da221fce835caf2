/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_layout.h"

#include "crypto/constant_time.h"
#include "crypto/hash.h"

#include <stdlib.h>

static const char key_check_purpose[] = "glancefs key check";

static void free_layout(struct codec_layout *base)
{
    struct openpgp_layout *layout = (struct openpgp_layout *)base;

    packet_index_clear(&layout->body);
    packet_index_clear(&layout->content);
    free(layout);
}

int openpgp_layout_new(struct openpgp_layout **ret, struct error *err)
{
    struct openpgp_layout *layout = calloc(1, sizeof *layout);

    if (layout == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    codec_layout_init(&layout->layout, free_layout);
    *ret = layout;
    return 0;
}

static int key_check_value(const struct session_key *key, uint8_t ret[KEY_CHECK_BYTES],
                           struct error *err)
{
    const uint8_t algorithm = (uint8_t)key->algorithm;
    CLEANUP(hash_free) struct hash *sha256 = NULL;

    if (hash_new(HASH_SHA256, &sha256, err) < 0)
        return -1;
    hash_update(sha256, key_check_purpose, sizeof key_check_purpose);
    hash_update(sha256, &algorithm, sizeof algorithm);
    hash_update(sha256, key->key, cipher_key_size(key->algorithm));
    hash_finish(sha256, ret);
    return 0;
}

int openpgp_layout_set_key(struct openpgp_layout *layout, const struct session_key *key,
                           struct error *err)
{
    return key_check_value(key, layout->key_check, err);
}

int openpgp_layout_check_key(const struct openpgp_layout *layout, const struct session_key *key,
                             bool *ret, struct error *err)
{
    uint8_t value[KEY_CHECK_BYTES];

    if (key_check_value(key, value, err) < 0)
        return -1;
    *ret = constant_time_equal(value, layout->key_check, sizeof value);
    return 0;
}

bool openpgp_layout_is_random_access(const struct openpgp_layout *layout)
{
    return !layout->is_compressed && !layout->body.is_lost && !layout->content.is_lost &&
           layout->content.body_size >= layout->plaintext_size;
}
