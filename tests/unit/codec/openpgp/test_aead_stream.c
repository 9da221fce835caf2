/* SPDX-License-Identifier: Apache-2.0 */
/* AEAD encrypted data as the verify pass reads it, through its header, chunks and stream. */
#include "codec/openpgp/aead_stream.h"

#include "glancefs/limits.h"
#include "packet_fixture.h"
#include "support/aead_builder.h"

#include <stdlib.h>

#define SMALL_CHUNK_OCTET 0
#define SMALL_CHUNK_BYTES ((size_t)64)
#define MOST_BYTES ((size_t)300)

static const uint8_t key_bytes[CIPHER_MAXIMUM_KEY_BYTES] = "a key of thirty-two octets, AES";

/* One packet being read. */
struct fixture {
    struct packet_fixture packet;
    struct octets octets;
    struct aead_header header;
    struct session_key *key;
    struct aead_stream *stream;
};

static int start_stream(struct fixture *fixture, struct error *err)
{
    struct aead_chunks chunks = {.cipher = NULL};
    uint8_t version;

    if (byte_stream_read_exact(&fixture->packet.body.stream, &version, 1, NULL, err) < 0 ||
        aead_header_read(&fixture->packet.body.stream, fixture->packet.header.type, version, NULL,
                         &fixture->header, err) < 0)
        return -1;
    fixture->key->algorithm = fixture->header.cipher;
    fixture->key->size = cipher_key_size(fixture->header.cipher);
    if (aead_chunks_init(&chunks, &fixture->header, fixture->key, err) < 0)
        return -1;
    return aead_stream_new(&fixture->packet.body.stream, &chunks, bed_arena(), &fixture->stream,
                           err);
}

static int start(struct fixture *fixture, const struct aead_plan *plan, const uint8_t *content,
                 size_t size, const struct memory_source_options *options, struct error *err)
{
    struct error key_err = ERROR_INIT;

    *fixture = (struct fixture){.stream = NULL};
    build_aead(&fixture->octets, plan, key_bytes, content, size);
    packet_fixture_start(&fixture->packet, &fixture->octets, options);
    assert_int_equal(session_key_new(bed_arena(), &fixture->key, &key_err), 0);
    memcpy(fixture->key->key, key_bytes, sizeof key_bytes);
    return start_stream(fixture, err);
}

static void stop(struct fixture *fixture)
{
    aead_stream_free(fixture->stream);
    session_key_free(fixture->key);
    packet_fixture_stop(&fixture->packet);
    octets_clear(&fixture->octets);
}

static const struct aead_plan plans[] = {
    {FRAMING_SHORTEST, false, CIPHER_AES256, AEAD_ALGORITHM_OCB, SMALL_CHUNK_OCTET, AEAD_SOUND},
    {FRAMING_PARTIAL_512, false, CIPHER_AES128, AEAD_ALGORITHM_EAX, SMALL_CHUNK_OCTET, AEAD_SOUND},
    {FRAMING_SHORTEST, false, CIPHER_AES192, AEAD_ALGORITHM_GCM, SMALL_CHUNK_OCTET, AEAD_SOUND},
    {FRAMING_SHORTEST, true, CIPHER_AES256, AEAD_ALGORITHM_OCB, SMALL_CHUNK_OCTET, AEAD_SOUND},
    {FRAMING_PARTIAL_512, true, CIPHER_AES256, AEAD_ALGORITHM_EAX, SMALL_CHUNK_OCTET, AEAD_SOUND},
};

static void every_length_around_chunks_comes_out(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(50, MOST_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(plans); i++) {
        for (size_t size = 0; size <= MOST_BYTES; size++) {
            CLEANUP(octets_clear) struct octets got = {0};
            struct fixture fixture;
            struct error err = ERROR_INIT;

            assert_succeeds(start(&fixture, &plans[i], content, size, NULL, &err));
            assert_int_equal(fixture.header.chunk_size, SMALL_CHUNK_BYTES);
            assert_succeeds(
                read_to_end(aead_stream_plaintext(fixture.stream), 1 + size % 97, &got, &err));
            assert_succeeds(aead_stream_finish(fixture.stream, &err));
            assert_int_equal(got.size, size);
            if (size > 0)
                assert_memory_equal(got.data, content, size);
            assert_int_equal(*aead_stream_decrypted_bytes(fixture.stream), size);
            stop(&fixture);
        }
    }
}

/* No flaw goes unseen, and of a chunk whose tag is wrong nothing comes out. */
static void every_flaw_is_damage_and_releases_checked_chunks_only(void **state)
{
    static const size_t sizes[] = {2 * SMALL_CHUNK_BYTES, 3 * SMALL_CHUNK_BYTES,
                                   3 * SMALL_CHUNK_BYTES + 5};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(51, MOST_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(plans) * ELEMENTS_OF(sizes) * AEAD_FLAWS; i++) {
        struct aead_plan plan = plans[i % ELEMENTS_OF(plans)];
        const size_t size = sizes[i / ELEMENTS_OF(plans) % ELEMENTS_OF(sizes)];
        CLEANUP(octets_clear) struct octets got = {0};
        struct fixture fixture;
        struct error err = ERROR_INIT;

        plan.flaw = (enum aead_flaw)(i / ELEMENTS_OF(plans) / ELEMENTS_OF(sizes));
        if (plan.flaw == AEAD_SOUND)
            continue;
        assert_succeeds(start(&fixture, &plan, content, size, NULL, &err));
        assert_fails(ERROR_CORRUPT,
                     read_to_end(aead_stream_plaintext(fixture.stream), 50, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        assert_in_range(got.size, 0, size);
        if (got.size > 0)
            assert_memory_equal(got.data, content, got.size);
        if (plan.flaw == AEAD_TAG_WRONG || plan.flaw == AEAD_TAG_MISSING)
            assert_in_range(got.size, 0, (size - 1) / SMALL_CHUNK_BYTES * SMALL_CHUNK_BYTES);
        if (plan.flaw == AEAD_FIRST_TWO_SWAPPED || plan.flaw == AEAD_SHORT_CHUNK_IN_FRONT)
            assert_int_equal(got.size, 0);
        assert_fails(ERROR_CORRUPT, aead_stream_finish(fixture.stream, &err));
        assert_fails(ERROR_CORRUPT,
                     read_to_end(aead_stream_plaintext(fixture.stream), 50, &got, &err));
        stop(&fixture);
    }
}

static void a_failing_body_is_told_and_consumes_nothing(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(52, MOST_BYTES);

    (void)state;
    for (uint64_t place = 100; place < MOST_BYTES; place++) {
        const struct memory_source_options options = {.fails = true, .fail_at = place};
        CLEANUP(octets_clear) struct octets got = {0};
        struct fixture fixture;
        struct error err = ERROR_INIT;

        if (start(&fixture, &plans[0], content, MOST_BYTES, &options, &err) == 0) {
            assert_fails(ERROR_UNAVAILABLE,
                         read_to_end(aead_stream_plaintext(fixture.stream), 10, &got, &err));
            assert_int_equal(got.size % SMALL_CHUNK_BYTES, 0);
        }
        assert_int_equal(err.kind, ERROR_UNAVAILABLE);
        stop(&fixture);
    }
}

static void a_small_message_needs_no_room_for_a_large_chunk(void **state)
{
    static const unsigned octets[] = {16, 21, 56};
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(53, MOST_BYTES);

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(octets); i++) {
        struct aead_plan plan = plans[3];
        CLEANUP(octets_clear) struct octets got = {0};
        const size_t used = secure_arena_used(bed_arena());
        struct fixture fixture;
        struct error err = ERROR_INIT;

        plan.chunk_octet = octets[i];
        assert_succeeds(start(&fixture, &plan, content, MOST_BYTES, NULL, &err));
        assert_succeeds(read_to_end(aead_stream_plaintext(fixture.stream), 100, &got, &err));
        assert_int_equal(got.size, MOST_BYTES);
        assert_in_range(secure_arena_used(bed_arena()) - used, 1, 256 * KIB);
        stop(&fixture);
    }
}

/* The largest chunk that has to be taken, and one octet more in a packet that allows it. */
static void chunks_of_more_than_the_limit_are_refused(void **state)
{
    const size_t limit = LIMIT_AEAD_CHUNK_BYTES;
    CLEANUP(memory_free) uint8_t *content = calloc(1, limit + 1);

    (void)state;
    assert_non_null(content);
    for (size_t more = 0; more < 2; more++) {
        struct aead_plan plan = plans[3];
        CLEANUP(octets_clear) struct octets got = {0};
        struct fixture fixture;
        struct error err = ERROR_INIT;

        plan.chunk_octet = 17;
        assert_succeeds(start(&fixture, &plan, content, limit + more, NULL, &err));
        if (more == 0) {
            assert_succeeds(read_to_end(aead_stream_plaintext(fixture.stream), MIB, &got, &err));
            assert_int_equal(got.size, limit);
        } else {
            assert_fails(ERROR_TOO_LARGE,
                         read_to_end(aead_stream_plaintext(fixture.stream), MIB, &got, &err));
            assert_int_equal(got.size, 0);
        }
        stop(&fixture);
    }
}

static void headers_that_no_specification_allows_are_refused(void **state)
{
    static const struct {
        uint8_t octets[6]; /* type, length to come, version, cipher, mode, chunk size */
        enum error_kind kind;
        const char *text;
    } headers[] = {
        {{0xd2, 40, 2, 9, 2, 17}, ERROR_TOO_LARGE, "17"},
        {{0xd4, 40, 1, 9, 2, 57}, ERROR_TOO_LARGE, "57"},
        {{0xd2, 40, 2, 3, 2, 6}, ERROR_UNSUPPORTED, "cipher algorithm 3"},
        {{0xd2, 40, 2, 99, 2, 6}, ERROR_UNSUPPORTED, "cipher algorithm 99"},
        {{0xd4, 40, 1, 9, 0, 6}, ERROR_UNSUPPORTED, "AEAD algorithm 0"},
        {{0xd4, 40, 1, 9, 100, 6}, ERROR_UNSUPPORTED, "AEAD algorithm 100"},
        {{0xd2, 40, 2, 9, 2, 6}, ERROR_CORRUPT, DAMAGED_MESSAGE},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(headers); i++) {
        struct fixture fixture = {.stream = NULL};
        struct error err = ERROR_INIT;

        octets_add(&fixture.octets, headers[i].octets, sizeof headers[i].octets);
        packet_fixture_start(&fixture.packet, &fixture.octets, NULL);
        assert_succeeds(session_key_new(bed_arena(), &fixture.key, &err));
        assert_fails(headers[i].kind, start_stream(&fixture, &err));
        assert_message_has(headers[i].text);
        stop(&fixture);
    }
}

static void a_key_of_another_size_is_the_uniform_error(void **state)
{
    struct aead_header header = {.cipher = CIPHER_AES256, .aead = AEAD_ALGORITHM_OCB};
    struct session_key key = {.arena = bed_arena(), .size = 16};
    struct aead_chunks chunks = {.cipher = NULL};
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_CORRUPT, aead_chunks_init(&chunks, &header, &key, &err));
    assert_string_equal(err.message, DAMAGED_MESSAGE);
}

static void a_shortage_of_locked_memory_is_told(void **state)
{
    CLEANUP(memory_free) uint8_t *content = pseudo_random_bytes(54, MOST_BYTES);
    CLEANUP(octets_clear) struct octets got = {0};
    struct bed_hoard hoard;
    struct fixture fixture;
    struct error err = ERROR_INIT;
    int result;

    (void)state;
    assert_succeeds(start(&fixture, &plans[0], content, MOST_BYTES, NULL, &err));
    bed_hoard_memory(&hoard, 0);
    result = read_to_end(aead_stream_plaintext(fixture.stream), 100, &got, &err);
    bed_give_back(&hoard);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, ERROR_EXHAUSTED);
    assert_succeeds(read_to_end(aead_stream_plaintext(fixture.stream), 100, &got, &err));
    assert_int_equal(got.size, MOST_BYTES);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(every_length_around_chunks_comes_out),
        bed_test(every_flaw_is_damage_and_releases_checked_chunks_only),
        bed_test(a_failing_body_is_told_and_consumes_nothing),
        bed_test(a_small_message_needs_no_room_for_a_large_chunk),
        bed_test(chunks_of_more_than_the_limit_are_refused),
        bed_test(headers_that_no_specification_allows_are_refused),
        bed_test(a_key_of_another_size_is_the_uniform_error),
        bed_test(a_shortage_of_locked_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
