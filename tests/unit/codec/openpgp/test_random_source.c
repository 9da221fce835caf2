/* SPDX-License-Identifier: Apache-2.0 */
/* Reading verified messages at any offset: what is read is the slice of the plaintext. */
#include "codec/openpgp/random_source.h"

#include "message_shapes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define MOST_BYTES ((size_t)20000)
#define THREADS 4

struct fixture {
    uint8_t *content;
    size_t size;
    struct octets message;
    struct codec_message *opened;
    struct byte_source *plaintext;
};

static void start_over(struct fixture *fixture, const struct message_shape *shape, size_t size,
                       struct byte_source *(*make)(struct fixture *fixture))
{
    struct byte_source *ciphertext;
    struct error err = ERROR_INIT;

    *fixture = (struct fixture){.content = pseudo_random_bytes(size, size + 1), .size = size};
    fixture->opened = open_shape(shape, fixture->content, size, &fixture->message);
    ciphertext = make(fixture);
    if (codec_message_open(fixture->opened, ciphertext, NULL, &fixture->plaintext, &err) < 0)
        fail_msg("%s: %s", shape->name, err.message);
    if (byte_source_is_forward_only(fixture->plaintext))
        fail_msg("%s of %zu bytes is forward only", shape->name, size);
    assert_int_equal(byte_source_size(fixture->plaintext), size);
}

static struct byte_source *sound_ciphertext(struct fixture *fixture)
{
    const struct memory_source_options options = {.can_be_visited = fixture->size % 2 == 1};

    return memory_source_new(fixture->message.data, fixture->message.size, &options);
}

static void start(struct fixture *fixture, const struct message_shape *shape, size_t size)
{
    start_over(fixture, shape, size, sound_ciphertext);
}

static void stop(struct fixture *fixture)
{
    byte_source_free(fixture->plaintext);
    codec_message_unref(fixture->opened);
    octets_clear(&fixture->message);
    free(fixture->content);
}

/* True when a read gives the slice, or an error that is told in `err`. Any thread. */
static bool reads_slice(const struct fixture *fixture, uint64_t offset, size_t size,
                        uint8_t *buffer, struct error *err)
{
    const uint64_t left = offset < fixture->size ? fixture->size - offset : 0;
    const size_t expected = size < left ? size : (size_t)left;
    size_t got;

    if (byte_source_pread(fixture->plaintext, buffer, size, offset, NULL, &got, err) < 0)
        return true;
    return got == expected && (got == 0 || memcmp(buffer, fixture->content + offset, got) == 0);
}

static void assert_slice(const struct fixture *fixture, const struct message_shape *shape,
                         uint64_t offset, size_t size, uint8_t *buffer)
{
    struct error err = ERROR_INIT;

    if (!reads_slice(fixture, offset, size, buffer, &err) || error_is_set(&err))
        fail_msg("%s of %zu bytes: %zu at %ju: %s", shape->name, fixture->size, size,
                 (uintmax_t)offset, error_is_set(&err) ? err.message : "other bytes");
}

static void every_slice_of_small_messages_is_right(void **state)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 130};
    uint8_t buffer[140];

    (void)state;
    for (size_t i = 0; i < message_shape_count * ELEMENTS_OF(sizes); i++) {
        const struct message_shape *shape = &message_shapes[i / ELEMENTS_OF(sizes)];
        const size_t content = sizes[i % ELEMENTS_OF(sizes)];
        struct fixture fixture;

        start(&fixture, shape, content);
        for (size_t offset = 0; offset <= content + 1; offset++)
            for (size_t size = 1; size <= content + 2; size++)
                assert_slice(&fixture, shape, offset, size, buffer);
        stop(&fixture);
    }
}

/* Lengths around the ends of blocks, AEAD chunks and partial lengths, header octets included. */
static void random_slices_of_messages_around_every_boundary_are_right(void **state)
{
    static const size_t near[] = {128, 256, 512, 1024, 4096, 8192, MOST_BYTES - 20};
    CLEANUP(memory_free) uint8_t *buffer = malloc(MOST_BYTES);
    struct pseudo_random random = {.state = 60};

    (void)state;
    assert_non_null(buffer);
    for (size_t i = 0; i < message_shape_count * ELEMENTS_OF(near) * 40;
         i += FEWER_UNDER_TSAN(1, 11)) {
        const struct message_shape *shape = &message_shapes[i % message_shape_count];
        const size_t content =
            near[i / message_shape_count / 40] - 30 + i / message_shape_count % 40;
        struct fixture fixture;

        start(&fixture, shape, content);
        for (int reads = 0; reads < 30; reads++)
            assert_slice(
                &fixture, shape, pseudo_random_below(&random, content + 5),
                1 + pseudo_random_below(&random, (size_t)1 << pseudo_random_below(&random, 14)),
                buffer);
        stop(&fixture);
    }
}

static void sequential_reads_of_any_size_give_everything(void **state)
{
    static const size_t steps[] = {1, 15, 16, 64, 100, 511, 4096, MOST_BYTES};
    CLEANUP(memory_free) uint8_t *buffer = malloc(MOST_BYTES);

    (void)state;
    assert_non_null(buffer);
    for (size_t i = 0; i < message_shape_count * ELEMENTS_OF(steps); i++) {
        const struct message_shape *shape = &message_shapes[i / ELEMENTS_OF(steps)];
        const size_t step = steps[i % ELEMENTS_OF(steps)];
        struct fixture fixture;

        start(&fixture, shape, MOST_BYTES / 4);
        for (uint64_t offset = 0; offset <= fixture.size; offset += step)
            assert_slice(&fixture, shape, offset, step, buffer);
        stop(&fixture);
    }
}

/* --- failures in between --- */

/* Fails every so many reads, each time as if the reader had been interrupted. */
struct flaky_source {
    struct byte_source base;
    struct byte_source *inner;
    unsigned period;
    atomic_uint reads;
};

static int flaky_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                       struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct flaky_source *flaky = (struct flaky_source *)source;

    if (atomic_fetch_add(&flaky->reads, 1) % flaky->period == flaky->period - 1)
        return error_set(err, ERROR_CANCELLED, "interrupted");
    return byte_source_pread(flaky->inner, buffer, size, offset, cancel, ret_size, err);
}

/* Shows half of what was asked for, before it fails. */
static int flaky_visit(struct byte_source *source, size_t size, uint64_t offset,
                       const struct byte_visitor *visitor, struct cancel *cancel, size_t *ret_size,
                       struct error *err)
{
    struct flaky_source *flaky = (struct flaky_source *)source;
    const bool fails = atomic_fetch_add(&flaky->reads, 1) % flaky->period == flaky->period - 1;

    if (byte_source_visit(flaky->inner, fails ? size / 2 : size, offset, visitor, cancel, ret_size,
                          err) < 0)
        return -1;
    return fails ? error_set(err, ERROR_CANCELLED, "interrupted") : 0;
}

static void flaky_free(struct byte_source *source)
{
    byte_source_free(((struct flaky_source *)source)->inner);
    free(source);
}

static struct byte_source *flaky_ciphertext(struct fixture *fixture)
{
    static const struct byte_source_ops ops = {
        .pread = flaky_pread, .visit = flaky_visit, .free = flaky_free};
    struct flaky_source *flaky = malloc(sizeof *flaky);

    assert_non_null(flaky);
    flaky->base.ops = &ops;
    flaky->inner = memory_source_new(fixture->message.data, fixture->message.size,
                                     &(struct memory_source_options){.can_be_visited = true});
    flaky->period = 7;
    atomic_init(&flaky->reads, 0);
    return &flaky->base;
}

static void failed_reads_in_between_change_nothing(void **state)
{
    struct pseudo_random random = {.state = 61};
    uint8_t buffer[3000];

    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        struct fixture fixture;
        unsigned failures = 0;

        start_over(&fixture, &message_shapes[i], 5000, flaky_ciphertext);
        for (int reads = 0; reads < 300; reads++) {
            const uint64_t offset = pseudo_random_below(&random, 5000);
            const size_t size = 1 + pseudo_random_below(&random, sizeof buffer);
            struct error err = ERROR_INIT;

            assert_true(reads_slice(&fixture, offset, size, buffer, &err));
            assert_true(err.kind == ERROR_NONE || err.kind == ERROR_CANCELLED);
            failures += err.kind == ERROR_CANCELLED;
        }
        assert_in_range(failures, 10, 299);
        stop(&fixture);
    }
}

/* --- threads --- */

struct reader {
    const struct fixture *fixture;
    uint64_t seed;
    unsigned wrong, failed;
};

static void *read_at_random(void *context)
{
    struct reader *reader = context;
    struct pseudo_random random = {.state = reader->seed};
    uint8_t buffer[3000];

    for (int reads = 0; reads < 300; reads++) {
        const uint64_t offset = pseudo_random_below(&random, reader->fixture->size);
        const size_t size = 1 + pseudo_random_below(&random, sizeof buffer);
        struct error err = ERROR_INIT;

        reader->wrong += !reads_slice(reader->fixture, offset, size, buffer, &err);
        reader->failed += error_is_set(&err);
    }
    return NULL;
}

static void assert_threads_read(const struct fixture *fixture, unsigned failures_allowed)
{
    struct reader readers[THREADS];
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        readers[i] = (struct reader){.fixture = fixture, .seed = 62 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &readers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(readers[i].wrong, 0);
        assert_in_range(readers[i].failed, 0, failures_allowed);
    }
}

static void threads_read_one_source_at_the_same_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        struct fixture fixture;

        start(&fixture, &message_shapes[i], 5000);
        assert_threads_read(&fixture, 0);
        stop(&fixture);
        start_over(&fixture, &message_shapes[i], 5000, flaky_ciphertext);
        assert_threads_read(&fixture, 299);
        stop(&fixture);
    }
}

/* --- damage, memory, lifetimes --- */

static void whole_aead_chunks_are_checked_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        uint8_t buffer[3000];
        struct fixture fixture;
        struct error err = ERROR_INIT;
        size_t got;

        if (!message_shapes[i].is_aead)
            continue;
        start(&fixture, &message_shapes[i], sizeof buffer);
        fixture.message.data[fixture.message.size - 1600] ^= 1;
        assert_fails(ERROR_CORRUPT, byte_source_pread(fixture.plaintext, buffer, sizeof buffer, 0,
                                                      NULL, &got, &err));
        assert_string_equal(err.message, DAMAGED_MESSAGE);
        fixture.message.data[fixture.message.size - 1600] ^= 1;
        assert_slice(&fixture, &message_shapes[i], 0, sizeof buffer, buffer);
        stop(&fixture);
    }
}

static void ciphertext_that_became_shorter_is_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        uint8_t buffer[3000];
        struct fixture fixture;
        struct byte_source *shorter;
        struct error err = ERROR_INIT;
        size_t got;

        start(&fixture, &message_shapes[i], sizeof buffer);
        byte_source_free(fixture.plaintext);
        shorter = memory_source_new(fixture.message.data, fixture.message.size - 200, NULL);
        assert_succeeds(
            codec_message_open(fixture.opened, shorter, NULL, &fixture.plaintext, &err));
        assert_fails(ERROR_CORRUPT, byte_source_pread(fixture.plaintext, buffer, sizeof buffer, 0,
                                                      NULL, &got, &err));
        stop(&fixture);
    }
}

static void an_open_that_nobody_reads_costs_no_locked_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        struct fixture fixture;
        size_t used;
        uint8_t octet;

        start(&fixture, &message_shapes[i], 1000);
        used = secure_arena_used(bed_arena());
        for (uint64_t offset = 0; offset < 1000; offset += 10)
            assert_slice(&fixture, &message_shapes[i], offset, 1, &octet);
        assert_in_range(secure_arena_used(bed_arena()) - used, 1, 64 * 1024);
        byte_source_free(fixture.plaintext);
        fixture.plaintext = NULL;
        assert_in_range(secure_arena_used(bed_arena()), 0, used);
        stop(&fixture);
    }
}

static void a_shortage_of_locked_memory_fails_a_read_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < message_shape_count; i++) {
        uint8_t buffer[3000];
        struct fixture fixture;
        struct bed_hoard hoard;
        struct error err = ERROR_INIT;
        size_t got;
        int result;

        start(&fixture, &message_shapes[i], sizeof buffer);
        bed_hoard_memory(&hoard, 0);
        result = byte_source_pread(fixture.plaintext, buffer, 10, 1000, NULL, &got, &err);
        bed_give_back(&hoard);
        assert_int_equal(result, -1);
        assert_int_equal(err.kind, ERROR_EXHAUSTED);
        assert_slice(&fixture, &message_shapes[i], 0, sizeof buffer, buffer);
        stop(&fixture);
    }
}

static void outlives_the_message_it_was_opened_from(void **state)
{
    uint8_t buffer[1000];
    struct fixture fixture;

    (void)state;
    start(&fixture, &message_shapes[0], sizeof buffer);
    codec_message_unref(fixture.opened);
    fixture.opened = NULL;
    assert_slice(&fixture, &message_shapes[0], 0, sizeof buffer, buffer);
    stop(&fixture);
}

static void a_forward_only_ciphertext_is_read_forward(void **state)
{
    const struct memory_source_options forward = {.is_forward_only = true};
    CLEANUP(byte_source_free) struct byte_source *plaintext = NULL;
    struct fixture fixture;
    struct error err = ERROR_INIT;

    (void)state;
    start(&fixture, &message_shapes[0], 10);
    assert_succeeds(codec_message_open(
        fixture.opened, memory_source_new(fixture.message.data, fixture.message.size, &forward),
        NULL, &plaintext, &err));
    assert_true(byte_source_is_forward_only(plaintext));
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(every_slice_of_small_messages_is_right),
        bed_test(random_slices_of_messages_around_every_boundary_are_right),
        bed_test(sequential_reads_of_any_size_give_everything),
        bed_test(failed_reads_in_between_change_nothing),
        bed_test(threads_read_one_source_at_the_same_time),
        bed_test(whole_aead_chunks_are_checked_again),
        bed_test(ciphertext_that_became_shorter_is_damage),
        bed_test(an_open_that_nobody_reads_costs_no_locked_memory),
        bed_test(a_shortage_of_locked_memory_fails_a_read_only),
        bed_test(outlives_the_message_it_was_opened_from),
        bed_test(a_forward_only_ciphertext_is_read_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
