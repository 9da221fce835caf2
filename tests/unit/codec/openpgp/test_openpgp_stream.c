/* SPDX-License-Identifier: Apache-2.0 */
/* Reading messages while they arrive, and opening them again by their layout. */
#include "codec/openpgp/openpgp_stream.h"

#include "glancefs/limits.h"
#include "message_shapes.h"

#include <stdlib.h>

#define CONTENT_BYTES ((size_t)30000)

static int open_stream(struct byte_source *ciphertext, const char *passphrase,
                       struct codec_stream **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(passphrase);

    if (codec_open_stream(test_gpg_codec(), bed_arena(), ciphertext, secret, NULL, ret, err) == 0)
        return 0;
    byte_source_free(ciphertext);
    return -1;
}

static int open_octets(const struct octets *message, const struct memory_source_options *options,
                       struct codec_stream **ret, struct error *err)
{
    return open_stream(memory_source_new(message->data, message->size, options), SHAPE_PASSPHRASE,
                       ret, err);
}

static int read_stream(struct codec_stream *stream, size_t step, struct octets *ret,
                       struct error *err)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(step);
    size_t got;

    assert_non_null(buffer);
    do {
        if (codec_stream_read(stream, buffer, step, NULL, &got, err) < 0)
            return -1;
        octets_add(ret, buffer, got);
    } while (got > 0);
    return 0;
}

static bool has_definite_literal(const struct message_shape *shape)
{
    return shape->inner != FRAMING_PARTIAL_512;
}

static void every_shape_is_read_and_gives_a_message(void **state)
{
    static const size_t steps[] = {1000, 4096, MIB};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(70, CONTENT_BYTES);

    (void)state;
    for (size_t i = 0; i < message_shape_count * ELEMENTS_OF(steps); i++) {
        const struct message_shape *shape = &message_shapes[i / ELEMENTS_OF(steps)];
        const struct memory_source_options forward = {.is_forward_only = true};
        CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
        struct error err = ERROR_INIT;
        size_t more = 1;

        build_shape(&message, shape, content, CONTENT_BYTES);
        assert_succeeds(open_octets(&message, &forward, &stream, &err));
        assert_null(codec_stream_message(stream));
        assert_false(codec_stream_is_compressed(stream));
        assert_int_equal(codec_stream_plaintext_size(stream),
                         has_definite_literal(shape) ? CONTENT_BYTES : BYTE_SOURCE_SIZE_UNKNOWN);
        assert_succeeds(read_stream(stream, steps[i % ELEMENTS_OF(steps)], &got, &err));
        assert_int_equal(got.size, CONTENT_BYTES);
        assert_memory_equal(got.data, content, CONTENT_BYTES);
        opened = codec_stream_message(stream);
        assert_int_equal(codec_message_plaintext_size(opened), CONTENT_BYTES);
        assert_succeeds(codec_stream_read(stream, got.data, 10, NULL, &more, &err));
        assert_int_equal(more, 0);
    }
}

static void compressed_messages_tell_no_size(void **state)
{
    CLEANUP(octets_clear) struct octets literal = {0};
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets got = {0};
    CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    build_literal(&literal, FRAMING_SHORTEST, "content", 7);
    build_compressed(&packets, FRAMING_SHORTEST, 2, literal.data, literal.size);
    build_message_around(&message, SHAPE_PASSPHRASE, packets.data, packets.size);
    assert_succeeds(open_octets(&message, NULL, &stream, &err));
    assert_true(codec_stream_is_compressed(stream));
    assert_int_equal(codec_stream_plaintext_size(stream), BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(read_stream(stream, 100, &got, &err));
    assert_int_equal(got.size, 7);
}

/* --- what is read of a slow source --- */

/* Tells how far it was read. */
struct metered_source {
    struct byte_source base;
    struct byte_source *inner;
    uint64_t *furthest;
};

static int metered_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                         struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct metered_source *metered = (struct metered_source *)source;

    if (*metered->furthest < offset + size)
        *metered->furthest = offset + size;
    return byte_source_pread(metered->inner, buffer, size, offset, cancel, ret_size, err);
}

static void metered_free(struct byte_source *source)
{
    byte_source_free(((struct metered_source *)source)->inner);
    free(source);
}

static struct byte_source *metered_source_new(const struct octets *message, uint64_t *furthest)
{
    static const struct byte_source_ops ops = {
        .pread = metered_pread, .free = metered_free, .is_forward_only = true};
    struct metered_source *metered = malloc(sizeof *metered);

    assert_non_null(metered);
    metered->base.ops = &ops;
    metered->inner = memory_source_new(message->data, message->size, NULL);
    metered->furthest = furthest;
    *furthest = 0;
    return &metered->base;
}

static void the_first_plaintext_needs_little_ciphertext(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(71, 4 * MIB);

    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
        struct error err = ERROR_INIT;
        uint64_t furthest;
        uint8_t buffer[512];
        size_t got;

        if (message_shapes[i].chunk_octet > 6)
            continue;
        build_shape(&message, &message_shapes[i], content, 4 * MIB);
        assert_succeeds(
            open_stream(metered_source_new(&message, &furthest), SHAPE_PASSPHRASE, &stream, &err));
        assert_succeeds(codec_stream_read(stream, buffer, sizeof buffer, NULL, &got, &err));
        assert_in_range(got, 1, sizeof buffer);
        assert_in_range(furthest, 1, message_shapes[i].chunk_octet == 6 ? 8 * KIB : 4 * KIB);
    }
}

static void never_much_more_is_read_than_was_given_out(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(72, 4 * MIB);

    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
        struct error err = ERROR_INIT;
        uint64_t furthest, given = 0;
        uint8_t buffer[4096];
        size_t got = 1;

        if (message_shapes[i].chunk_octet > 6)
            continue;
        build_shape(&message, &message_shapes[i], content, 4 * MIB);
        assert_succeeds(
            open_stream(metered_source_new(&message, &furthest), SHAPE_PASSPHRASE, &stream, &err));
        while (got > 0) {
            assert_succeeds(codec_stream_read(stream, buffer, sizeof buffer, NULL, &got, &err));
            given += got;
            if (message_shapes[i].chunk_octet >= 3 || !message_shapes[i].is_aead)
                assert_in_range(furthest, 1, 8 * KIB + 2 * given + given / 8);
        }
        assert_int_equal(given, 4 * MIB);
    }
}

/* --- damage, refusals, failures --- */

static void damage_shows_at_the_end_and_stays(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(73, CONTENT_BYTES);

    (void)state;
    for (size_t i = 0; i < message_shape_count * 3; i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
        struct error err = ERROR_INIT;

        build_shape(&message, &message_shapes[i / 3], content, CONTENT_BYTES);
        if (i % 3 == 0)
            message.data[message.size - 1] ^= 1;
        else if (i % 3 == 1)
            octets_add_u8(&message, 0xd4);
        else
            message.size--;
        if (open_octets(&message, NULL, &stream, &err) == 0) {
            assert_fails(ERROR_CORRUPT, read_stream(stream, 1000, &got, &err));
            assert_in_range(got.size, 1, CONTENT_BYTES);
            assert_memory_equal(got.data, content, got.size);
            assert_null(codec_stream_message(stream));
            assert_fails(ERROR_CORRUPT, read_stream(stream, 1000, &got, &err));
        }
        assert_string_equal(err.message, DAMAGED_MESSAGE);
    }
}

static void wrong_passphrases_open_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        struct codec_stream *stream = NULL;
        struct error err = ERROR_INIT;

        build_shape(&message, &message_shapes[i], "content", 7);
        assert_fails(ERROR_CORRUPT, open_stream(memory_source_new(message.data, message.size, NULL),
                                                "another passphrase", &stream, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        assert_fails(
            ERROR_KEY_REJECTED,
            open_stream(memory_source_new(message.data, message.size, NULL), "", &stream, &err));
    }
}

/* Once told to, two of three reads fail as if interrupted. */
struct flaky_source {
    struct byte_source base;
    struct byte_source *inner;
    bool is_flaky;
    unsigned reads;
};

static int flaky_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                       struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct flaky_source *flaky = (struct flaky_source *)source;

    if (flaky->is_flaky && flaky->reads++ % 3 < 2)
        return error_set(err, ERROR_CANCELLED, "interrupted");
    return byte_source_pread(flaky->inner, buffer, size, offset, cancel, ret_size, err);
}

static void flaky_free(struct byte_source *source)
{
    byte_source_free(((struct flaky_source *)source)->inner);
}

static void assert_reads_through_failures(struct codec_stream *stream, const uint8_t *content,
                                          size_t size)
{
    CLEANUP(memory_free) uint8_t *buffer = malloc(size + 1);
    size_t done = 0, got = 1;
    unsigned failures = 0;

    assert_non_null(buffer);
    while (got > 0) {
        struct error err = ERROR_INIT;

        if (codec_stream_read(stream, buffer + done, size + 1 - done, NULL, &got, &err) < 0) {
            assert_int_equal(err.kind, ERROR_CANCELLED);
            assert_in_range(++failures, 1, 1000);
            got = 1;
            continue;
        }
        done += got;
    }
    assert_in_range(failures, 2, 1000);
    assert_int_equal(done, size);
    assert_memory_equal(buffer, content, size);
}

static void interrupted_reads_consume_nothing(void **state)
{
    static const struct byte_source_ops ops = {
        .pread = flaky_pread, .free = flaky_free, .is_forward_only = true};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(74, CONTENT_BYTES);

    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        struct flaky_source flaky = {.base = {&ops}};
        CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
        struct error err = ERROR_INIT;

        build_shape(&message, &message_shapes[i], content, CONTENT_BYTES);
        flaky.inner = memory_source_new(message.data, message.size, NULL);
        assert_succeeds(open_stream(&flaky.base, SHAPE_PASSPHRASE, &stream, &err));
        flaky.is_flaky = true;
        assert_reads_through_failures(stream, content, CONTENT_BYTES);
        opened = codec_stream_message(stream);
        assert_non_null(opened);
    }
}

/* A padding packet behind the literal, longer than what is read at a time. */
static void an_interruption_behind_the_literal_is_no_damage(void **state)
{
    static const struct byte_source_ops ops = {
        .pread = flaky_pread, .free = flaky_free, .is_forward_only = true};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(75, 2 * MIB);
    struct flaky_source flaky = {.base = {&ops}};
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, content, CONTENT_BYTES);
    build_packet(&packets, 21, FRAMING_SHORTEST, content, 2 * MIB);
    build_message_around(&message, SHAPE_PASSPHRASE, packets.data, packets.size);
    flaky.inner = memory_source_new(message.data, message.size, NULL);
    assert_succeeds(open_stream(&flaky.base, SHAPE_PASSPHRASE, &stream, &err));
    flaky.is_flaky = true;
    assert_reads_through_failures(stream, content, CONTENT_BYTES);
}

static void refused_content_is_told_by_open_once_all_is_verified(void **state)
{
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets message = {0};
    struct codec_stream *stream = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    build_packet(&packets, 4, FRAMING_SHORTEST, "\3\0\x08\x01........\1", 13);
    octets_add_run(&packets, 0x55, 600000);
    build_message_around(&message, SHAPE_PASSPHRASE, packets.data, packets.size);
    assert_fails(ERROR_UNSUPPORTED, open_octets(&message, NULL, &stream, &err));
    assert_message_has("signed");
    message.data[message.size - 1] ^= 1;
    assert_fails(ERROR_CORRUPT, open_octets(&message, NULL, &stream, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
}

/* --- several candidates for the key --- */

static void add_skesk(struct octets *out, const uint8_t *session_key, uint8_t *ret_key)
{
    struct skesk_plan plan = usual_skesk(SHAPE_PASSPHRASE);
    enum cipher_algorithm cipher;

    plan.has_encrypted_key = true;
    plan.session_cipher = CIPHER_AES128;
    memcpy(plan.session_key, session_key, cipher_key_size(CIPHER_AES128));
    build_skesk(out, &plan, ret_key, &cipher);
}

/* Looks for a wrong key that passes for the right one until the MDC. */
static void find_plausible_key(const struct octets *data, uint8_t *ret_key)
{
    CLEANUP(session_key_free) struct session_key *key = NULL;
    struct pseudo_random random = {.state = 76};
    struct error err = ERROR_INIT;
    bool fits = false;

    assert_succeeds(session_key_new(bed_arena(), &key, &err));
    key->algorithm = CIPHER_AES128;
    key->size = cipher_key_size(CIPHER_AES128);
    while (!fits) {
        pseudo_random_fill(&random, key->key, key->size);
        /* behind the packet's type, its length of two octets and its version */
        assert_succeeds(
            session_key_fits(key, data->data + 4, SESSION_KEY_SAMPLE_BYTES, &fits, &err));
    }
    memcpy(ret_key, key->key, key->size);
}

static int verify(const struct octets *message, bool is_forward_only, struct error *err)
{
    const struct memory_source_options options = {.is_forward_only = is_forward_only};
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(message->data, message->size, &options);
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(SHAPE_PASSPHRASE);
    CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
    int result =
        codec_decrypt(test_gpg_codec(), bed_arena(), source, secret, NULL, NULL, &opened, err);

    assert_int_equal(result < 0, error_is_set(err));
    return result;
}

static void a_plausible_wrong_key_does_not_hide_the_right_one(void **state)
{
    static const uint8_t right[CIPHER_MAXIMUM_KEY_BYTES] = "sixteen octets, right";
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(77, 1000);
    CLEANUP(octets_clear) struct octets packets = {0};
    CLEANUP(octets_clear) struct octets data = {0};
    CLEANUP(octets_clear) struct octets message = {0};
    uint8_t wrong[CIPHER_MAXIMUM_KEY_BYTES], key[CIPHER_MAXIMUM_KEY_BYTES];
    struct error err = ERROR_INIT;

    (void)state;
    build_literal(&packets, FRAMING_SHORTEST, content, 1000);
    build_seipd(&data, NULL, CIPHER_AES128, right, packets.data, packets.size);
    find_plausible_key(&data, wrong);
    add_skesk(&message, wrong, key);
    add_skesk(&message, right, key);
    octets_add(&message, data.data, data.size);
    assert_succeeds(verify(&message, false, &err));
    assert_succeeds(verify(&message, true, &err));
    message.data[message.size - 1] ^= 1;
    assert_fails(ERROR_CORRUPT, verify(&message, false, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
}

/* A message of packet 20 with chunks of 64 << `chunk_octet` bytes, where nothing but the first
 * chunk's tag tells that the second session key is the right one. */
static void build_with_two_keys(struct octets *message, unsigned chunk_octet, const void *content,
                                size_t size)
{
    static const uint8_t wrong[CIPHER_MAXIMUM_KEY_BYTES] = "sixteen octets, wrong";
    static const uint8_t right[CIPHER_MAXIMUM_KEY_BYTES] = "another key, the right one";
    const struct aead_plan plan = {.is_librepgp = true,
                                   .cipher = CIPHER_AES128,
                                   .aead = AEAD_ALGORITHM_OCB,
                                   .chunk_octet = chunk_octet};
    CLEANUP(octets_clear) struct octets packets = {0};
    uint8_t key[CIPHER_MAXIMUM_KEY_BYTES];

    build_literal(&packets, FRAMING_SHORTEST, content, size);
    add_skesk(message, wrong, key);
    add_skesk(message, right, key);
    build_aead(message, &plan, key, packets.data, packets.size);
}

static void the_first_chunk_tells_the_right_key(void **state)
{
    static const struct memory_source_options sources[] = {{0}, {.is_forward_only = true}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(sources); i++) {
        CLEANUP(octets_clear) struct octets message = {0};
        CLEANUP(octets_clear) struct octets got = {0};
        CLEANUP(codec_stream_free) struct codec_stream *stream = NULL;
        struct error err = ERROR_INIT;

        build_with_two_keys(&message, 2, "content", 7);
        assert_succeeds(open_octets(&message, &sources[i], &stream, &err));
        assert_false(error_is_set(&err));
        assert_succeeds(read_stream(stream, 100, &got, &err));
        assert_int_equal(got.size, 7);
    }
}

/* What comes behind the chunk that told it is read once: 8 MiB are more than are kept. */
static void the_largest_chunk_tells_it_of_a_source_that_is_read_once(void **state)
{
    const size_t size = 8 * MIB;
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(80, size);
    CLEANUP(octets_clear) struct octets message = {0};
    struct error err = ERROR_INIT;

    (void)state;
    build_with_two_keys(&message, 16, content, size);
    assert_succeeds(verify(&message, true, &err));
    message.data[message.size - 1] ^= 1;
    assert_fails(ERROR_CORRUPT, verify(&message, true, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
}

/* --- a layout without its key --- */

static int reopen(struct codec_layout *layout, const struct octets *message, const char *passphrase,
                  struct codec_message **ret, struct error *err)
{
    CLEANUP(byte_source_free)
    struct byte_source *source = memory_source_new(message->data, message->size, NULL);
    CLEANUP(secure_buffer_free) struct secure_buffer *secret = bed_passphrase(passphrase);

    return codec_reopen(test_gpg_codec(), bed_arena(), layout, source, secret, NULL, ret, err);
}

static void a_layout_and_the_passphrase_make_a_message(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(78, 3000);

    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        CLEANUP(codec_layout_unref) struct codec_layout *layout = NULL;
        CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
        CLEANUP(byte_source_free) struct byte_source *plaintext = NULL;
        CLEANUP(octets_clear) struct octets message = {0};
        const size_t used = secure_arena_used(bed_arena());
        struct error err = ERROR_INIT;
        uint8_t buffer[1000];
        size_t got;

        opened = open_shape(&message_shapes[i], content, 3000, &message);
        layout = codec_message_layout(opened);
        assert_non_null(layout);
        codec_message_unref(steal(&opened));
        assert_int_equal(secure_arena_used(bed_arena()), used);
        assert_fails(ERROR_CORRUPT, reopen(layout, &message, "another passphrase", &opened, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        assert_fails(ERROR_KEY_REJECTED, reopen(layout, &message, "", &opened, &err));
        assert_succeeds(reopen(layout, &message, SHAPE_PASSPHRASE, &opened, &err));
        assert_int_equal(codec_message_plaintext_size(opened), 3000);
        assert_succeeds(codec_message_open(
            opened, memory_source_new(message.data, message.size, NULL), NULL, &plaintext, &err));
        assert_succeeds(
            byte_source_pread(plaintext, buffer, sizeof buffer, 1777, NULL, &got, &err));
        assert_int_equal(got, sizeof buffer);
        assert_memory_equal(buffer, content + 1777, sizeof buffer);
    }
}

static void another_message_of_the_same_passphrase_is_not_the_one(void **state)
{
    CLEANUP(codec_layout_unref) struct codec_layout *layout = NULL;
    CLEANUP(codec_message_unref) struct codec_message *opened = NULL;
    CLEANUP(codec_message_unref) struct codec_message *other = NULL;
    CLEANUP(octets_clear) struct octets message = {0};
    CLEANUP(octets_clear) struct octets another = {0};
    struct error err = ERROR_INIT;

    (void)state;
    opened = open_shape(&message_shapes[0], "content", 7, &message);
    layout = codec_message_layout(opened);
    build_shape(&another, &message_shapes[1], "content", 7);
    assert_fails(ERROR_CORRUPT, reopen(layout, &another, SHAPE_PASSPHRASE, &other, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(every_shape_is_read_and_gives_a_message),
        bed_test(compressed_messages_tell_no_size),
        bed_test(the_first_plaintext_needs_little_ciphertext),
        bed_test(never_much_more_is_read_than_was_given_out),
        bed_test(damage_shows_at_the_end_and_stays),
        bed_test(wrong_passphrases_open_nothing),
        bed_test(interrupted_reads_consume_nothing),
        bed_test(an_interruption_behind_the_literal_is_no_damage),
        bed_test(refused_content_is_told_by_open_once_all_is_verified),
        bed_test(a_plausible_wrong_key_does_not_hide_the_right_one),
        bed_test(the_first_chunk_tells_the_right_key),
        bed_test(the_largest_chunk_tells_it_of_a_source_that_is_read_once),
        bed_test(a_layout_and_the_passphrase_make_a_message),
        bed_test(another_message_of_the_same_passphrase_is_not_the_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
