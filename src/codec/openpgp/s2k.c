/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/s2k.h"

#include "base/clock.h"
#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/message_damaged.h"
#include "glancefs/limits.h"

#include <string.h>

/* Salt and passphrase are hashed from a run of many copies: the hash then works on long pieces,
 * twice as fast as when it is fed a copy at a time. */
#define S2K_RUN_BYTES (64 * KIB)

uint64_t s2k_decode_count(uint8_t coded)
{
    return (UINT64_C(16) + (coded & 15)) << ((coded >> 4) + 6);
}

int s2k_parse(struct byte_cursor *cursor, struct s2k *ret, struct error *err)
{
    uint8_t type, hash, coded_count;

    memset(ret, 0, sizeof *ret);
    if (byte_cursor_u8(cursor, &type, err) < 0)
        return message_damaged(err);
    if (type == S2K_ARGON2)
        return error_set(err, ERROR_UNSUPPORTED, "Argon2 key derivation is not supported");
    if (type != S2K_SIMPLE && type != S2K_SALTED && type != S2K_ITERATED_AND_SALTED)
        return error_set(err, ERROR_UNSUPPORTED, "S2K type %u is not supported", type);
    ret->type = type;
    if (byte_cursor_u8(cursor, &hash, err) < 0)
        return message_damaged(err);
    if (!hash_algorithm_from_id(hash, &ret->hash))
        return error_set(err, ERROR_UNSUPPORTED, "S2K hash algorithm %u is not supported", hash);
    if (ret->type != S2K_SIMPLE && byte_cursor_copy(cursor, ret->salt, S2K_SALT_BYTES, err) < 0)
        return message_damaged(err);
    if (ret->type == S2K_ITERATED_AND_SALTED) {
        if (byte_cursor_u8(cursor, &coded_count, err) < 0)
            return message_damaged(err);
        ret->count = s2k_decode_count(coded_count);
    }
    return 0;
}

/* As many whole copies of salt and passphrase as fit, at least one. */
static int make_run(const struct s2k *s2k, struct secure_arena *arena,
                    const struct secure_buffer *passphrase, struct secure_buffer **ret,
                    struct error *err)
{
    size_t salt_size = s2k->type == S2K_SIMPLE ? 0 : S2K_SALT_BYTES;
    size_t unit = salt_size + secure_buffer_size(passphrase);
    size_t copies =
        s2k->type == S2K_ITERATED_AND_SALTED && unit < S2K_RUN_BYTES ? S2K_RUN_BYTES / unit : 1;
    CLEANUP(secure_buffer_free) struct secure_buffer *run = NULL;

    if (secure_buffer_new(arena, copies * unit, &run, err) < 0)
        return -1;
    for (size_t i = 0; i < copies; i++) {
        if (secure_buffer_append(run, s2k->salt, salt_size, err) < 0 ||
            secure_buffer_append(run, secure_buffer_bytes(passphrase),
                                 secure_buffer_size(passphrase), err) < 0)
            return -1;
    }
    *ret = steal(&run);
    return 0;
}

static int hash_run(struct hash *hash, const struct secure_buffer *run, uint64_t count,
                    uint64_t cpu_deadline_ns, struct cancel *cancel, struct error *err)
{
    while (count > 0) {
        size_t piece = secure_buffer_size(run) < count ? secure_buffer_size(run) : (size_t)count;

        if (cancel_check(cancel, err) < 0)
            return -1;
        if (clock_thread_cpu_ns() > cpu_deadline_ns)
            return error_set(err, ERROR_TOO_LARGE, "key derivation takes over %d s of CPU",
                             LIMIT_DERIVATION_SECONDS);
        hash_update(hash, secure_buffer_bytes(run), piece);
        count -= piece;
    }
    return 0;
}

int s2k_derive(const struct s2k *s2k, struct secure_arena *arena,
               const struct secure_buffer *passphrase, uint64_t cpu_deadline_ns,
               struct cancel *cancel, uint8_t *ret_key, size_t key_size, struct error *err)
{
    static const uint8_t zeros[CIPHER_MAXIMUM_KEY_BYTES];
    CLEANUP(secure_buffer_free) struct secure_buffer *run = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *digest = NULL;
    CLEANUP(hash_free) struct hash *hash = NULL;
    size_t digest_size = hash_size(s2k->hash);
    size_t unit = (s2k->type == S2K_SIMPLE ? 0 : S2K_SALT_BYTES) + secure_buffer_size(passphrase);
    uint64_t count = s2k->count > unit ? s2k->count : unit;
    size_t derived = 0;

    if (make_run(s2k, arena, passphrase, &run, err) < 0 ||
        secure_buffer_new(arena, digest_size, &digest, err) < 0 ||
        hash_new(s2k->hash, &hash, err) < 0)
        return -1;
    /* A digest shorter than the key is continued by hashes preloaded with one zero octet more
     * each (section 3.7.1.1). */
    for (size_t pass = 0; derived < key_size; pass++) {
        size_t piece = key_size - derived < digest_size ? key_size - derived : digest_size;

        hash_update(hash, zeros, pass);
        if (hash_run(hash, run, count, cpu_deadline_ns, cancel, err) < 0)
            return -1;
        hash_finish(hash, secure_buffer_data(digest));
        memcpy(ret_key + derived, secure_buffer_bytes(digest), piece);
        derived += piece;
    }
    return 0;
}
