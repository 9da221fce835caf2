/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/s2k.h"

#include "base/clock.h"
#include "codec/openpgp/algorithm.h"
#include "codec/openpgp/message_damaged.h"
#include "codec/openpgp/s2k_lane.h"
#include "glancefs/limits.h"

#include <string.h>

/* Salt and passphrase are hashed from a run of many copies: the hash then works on long pieces,
 * twice as fast as when it is fed a copy at a time. */
#define S2K_RUN_BYTES (64 * KIB)

/* A hash of fewer bytes is done before a thread for it has started. */
#define WORTH_A_THREAD_BYTES (512 * KIB)

uint64_t s2k_decode_count(uint8_t coded)
{
    return (UINT64_C(16) + (coded & 15)) << ((coded >> 4) + 6);
}

/* Section 3.7.1.4: salt, passes, lanes, and the exponent of the memory in KiB. */
static int parse_argon2(struct byte_cursor *cursor, struct s2k *s2k, struct error *err)
{
    struct argon2_cost *cost = &s2k->argon2;
    uint8_t exponent;

    if (byte_cursor_copy(cursor, s2k->salt, S2K_ARGON2_SALT_BYTES, err) < 0 ||
        byte_cursor_u8(cursor, &cost->passes, err) < 0 ||
        byte_cursor_u8(cursor, &cost->lanes, err) < 0 || byte_cursor_u8(cursor, &exponent, err) < 0)
        return message_damaged(err);
    if (cost->passes == 0 || cost->lanes == 0 || exponent > 31)
        return message_damaged(err);
    cost->memory_kib = UINT32_C(1) << exponent;
    if (cost->memory_kib < UINT32_C(8) * cost->lanes)
        return message_damaged(err);
    if (cost->memory_kib > LIMIT_ARGON2_BYTES / KIB)
        return error_set(err, ERROR_TOO_LARGE,
                         "Argon2 key derivation takes %u MiB of memory, the limit is %zu MiB",
                         (unsigned)(cost->memory_kib / KIB), LIMIT_ARGON2_BYTES / MIB);
    return 0;
}

static int parse_hashed(struct byte_cursor *cursor, struct s2k *s2k, struct error *err)
{
    uint8_t hash, coded_count;

    if (byte_cursor_u8(cursor, &hash, err) < 0)
        return message_damaged(err);
    if (!hash_algorithm_from_id(hash, &s2k->hash))
        return error_set(err, ERROR_UNSUPPORTED, "S2K hash algorithm %u is not supported", hash);
    if (s2k->type != S2K_SIMPLE && byte_cursor_copy(cursor, s2k->salt, S2K_SALT_BYTES, err) < 0)
        return message_damaged(err);
    if (s2k->type == S2K_ITERATED_AND_SALTED) {
        if (byte_cursor_u8(cursor, &coded_count, err) < 0)
            return message_damaged(err);
        s2k->count = s2k_decode_count(coded_count);
    }
    return 0;
}

int s2k_parse(struct byte_cursor *cursor, struct s2k *ret, struct error *err)
{
    uint8_t type;

    memset(ret, 0, sizeof *ret);
    if (byte_cursor_u8(cursor, &type, err) < 0)
        return message_damaged(err);
    ret->type = type;
    switch (type) {
    case S2K_SIMPLE:
    case S2K_SALTED:
    case S2K_ITERATED_AND_SALTED:
        return parse_hashed(cursor, ret, err);
    case S2K_ARGON2:
        return parse_argon2(cursor, ret, err);
    default:
        return error_set(err, ERROR_UNSUPPORTED, "S2K type %u is not supported", type);
    }
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

static void take_off(struct s2k_allowance *allowance, uint64_t cpu_ns)
{
    allowance->cpu_ns -= cpu_ns < allowance->cpu_ns ? cpu_ns : allowance->cpu_ns;
}

/* What a lane took is gone, whether or not it came to its end. */
static int settle(const struct s2k_lane *lane, struct s2k_allowance *allowance, struct error *err)
{
    take_off(allowance, lane->cpu_ns);
    if (!error_is_set(&lane->err))
        return 0;
    *err = lane->err;
    return -1;
}

static int run_side_by_side(struct s2k_lane *lanes, size_t count, struct s2k_allowance *allowance,
                            struct error *err)
{
    int result = 0;

    for (size_t i = 0; i < count; i++)
        lanes[i].cpu_limit_ns = allowance->cpu_ns / count;
    s2k_lanes_run(lanes, count);
    for (size_t i = 0; i < count; i++)
        if (settle(&lanes[i], allowance, err) < 0)
            result = -1;
    return result;
}

static int run_in_turn(struct s2k_lane *lanes, size_t count, struct s2k_allowance *allowance,
                       struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        lanes[i].cpu_limit_ns = allowance->cpu_ns;
        s2k_lane_run(&lanes[i]);
        if (settle(&lanes[i], allowance, err) < 0)
            return -1;
    }
    return 0;
}

/* A digest shorter than the key is continued by hashes preloaded with one zero octet more each
 * (section 3.7.1.1). */
static int derive_by_hash(const struct s2k *s2k, struct secure_arena *arena,
                          const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
                          struct cancel *cancel, uint8_t *ret_key, size_t key_size,
                          struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *run = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *digests = NULL;
    const size_t digest_size = hash_size(s2k->hash);
    const size_t unit =
        (s2k->type == S2K_SIMPLE ? 0 : S2K_SALT_BYTES) + secure_buffer_size(passphrase);
    const size_t lane_count = (key_size + digest_size - 1) / digest_size;
    struct s2k_lane lanes[S2K_MAXIMUM_LANES];

    if (make_run(s2k, arena, passphrase, &run, err) < 0 ||
        secure_buffer_new(arena, lane_count * digest_size, &digests, err) < 0)
        return -1;
    for (size_t i = 0; i < lane_count; i++)
        lanes[i] = (struct s2k_lane){.hash = s2k->hash,
                                     .zeros = i,
                                     .run = run,
                                     .count = s2k->count > unit ? s2k->count : unit,
                                     .cancel = cancel,
                                     .digest = secure_buffer_data(digests) + i * digest_size};
    if ((lane_count > 1 && lanes[0].count >= WORTH_A_THREAD_BYTES
             ? run_side_by_side(lanes, lane_count, allowance, err)
             : run_in_turn(lanes, lane_count, allowance, err)) < 0)
        return -1;
    memcpy(ret_key, secure_buffer_data(digests), key_size);
    return 0;
}

/* Where an Argon2 derivation stands against what it may take. */
struct argon2_watch {
    uint64_t deadline_ns; /* of the thread's CPU clock */
    struct cancel *cancel;
};

static int check_argon2(void *context, struct error *err)
{
    const struct argon2_watch *watch = context;

    if (clock_thread_cpu_ns() > watch->deadline_ns)
        return s2k_takes_too_long(err);
    return cancel_check(watch->cancel, err);
}

static int derive_by_argon2(const struct s2k *s2k, const struct secure_buffer *passphrase,
                            struct s2k_allowance *allowance, struct cancel *cancel,
                            uint8_t *ret_key, size_t key_size, struct error *err)
{
    const uint64_t begin = clock_thread_cpu_ns();
    struct argon2_watch watch = {.cancel = cancel};
    int result;

    if (__builtin_add_overflow(begin, allowance->cpu_ns, &watch.deadline_ns))
        watch.deadline_ns = UINT64_MAX;
    if (allowance->gate != NULL && argon2_gate_enter(allowance->gate, cancel, err) < 0)
        return -1;
    result = argon2id_derive(&s2k->argon2, secure_buffer_bytes(passphrase),
                             secure_buffer_size(passphrase), s2k->salt, S2K_ARGON2_SALT_BYTES,
                             check_argon2, &watch, ret_key, key_size, err);
    if (allowance->gate != NULL)
        argon2_gate_leave(allowance->gate);
    take_off(allowance, clock_thread_cpu_ns() - begin);
    return result;
}

int s2k_derive(const struct s2k *s2k, struct secure_arena *arena,
               const struct secure_buffer *passphrase, struct s2k_allowance *allowance,
               struct cancel *cancel, uint8_t *ret_key, size_t key_size, struct error *err)
{
    if (s2k->type == S2K_ARGON2)
        return derive_by_argon2(s2k, passphrase, allowance, cancel, ret_key, key_size, err);
    return derive_by_hash(s2k, arena, passphrase, allowance, cancel, ret_key, key_size, err);
}
