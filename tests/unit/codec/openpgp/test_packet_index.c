/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the bytes of a body in its container. */
#include "codec/openpgp/packet_index.h"

#include "codec_bed.h"

#include <stdlib.h>

/* A body scattered over a container: chunks with `gap` octets before each. */
struct scatter {
    struct octets body;
    struct octets container;
    struct packet_index index;
    unsigned reads;
    struct error failure;
};

static void add_chunk(struct scatter *scatter, size_t gap, size_t size)
{
    CLEANUP(memory_free) uint8_t *bytes = pseudo_random_bytes(scatter->body.size + size, size);

    octets_add_run(&scatter->container, 0xee, gap);
    packet_index_add(&scatter->index, scatter->container.size, size);
    octets_add(&scatter->container, bytes, size);
    octets_add(&scatter->body, bytes, size);
}

static void scatter_clear_cleanup(struct scatter *scatter)
{
    packet_index_clear(&scatter->index);
    octets_clear(&scatter->body);
    octets_clear(&scatter->container);
}

static int read_container(void *context, void *buffer, size_t size, uint64_t position,
                          struct cancel *cancel, struct error *err)
{
    struct scatter *scatter = context;

    (void)cancel;
    scatter->reads++;
    if (error_is_set(&scatter->failure)) {
        *err = scatter->failure;
        return -1;
    }
    if (position > scatter->container.size || size > scatter->container.size - position)
        return error_set(err, ERROR_INVALID, "outside of the container");
    memcpy(buffer, scatter->container.data + position, size);
    return 0;
}

static void assert_slice(struct scatter *scatter, uint64_t offset, size_t size)
{
    const struct packet_container container = {read_container, scatter};
    CLEANUP(memory_free) uint8_t *buffer = malloc(size + 1);
    struct error err = ERROR_INIT;

    assert_non_null(buffer);
    assert_succeeds(
        packet_index_read(&scatter->index, &container, buffer, size, offset, NULL, &err));
    if (size > 0)
        assert_memory_equal(buffer, scatter->body.data + offset, size);
}

static void assert_every_slice(struct scatter *scatter)
{
    assert_false(scatter->index.is_lost);
    assert_int_equal(scatter->index.body_size, scatter->body.size);
    for (size_t offset = 0; offset <= scatter->body.size; offset++)
        for (size_t size = 0; size <= scatter->body.size - offset; size++)
            assert_slice(scatter, offset, size);
}

static void an_empty_body_has_nothing_to_find(void **state)
{
    CLEANUP(scatter_clear) struct scatter scatter = {0};

    (void)state;
    packet_index_add(&scatter.index, 7, 0);
    assert_int_equal(scatter.index.count, 0);
    assert_every_slice(&scatter);
    assert_int_equal(scatter.reads, 0);
}

static void a_body_in_one_piece_is_one_run_read_at_once(void **state)
{
    CLEANUP(scatter_clear) struct scatter scatter = {0};

    (void)state;
    add_chunk(&scatter, 6, 40);
    assert_int_equal(scatter.index.count, 1);
    assert_slice(&scatter, 3, 30);
    assert_int_equal(scatter.reads, 1);
    assert_every_slice(&scatter);
}

static void chunks_of_one_size_are_one_run(void **state)
{
    CLEANUP(scatter_clear) struct scatter scatter = {0};

    (void)state;
    for (size_t i = 0; i < 6; i++)
        add_chunk(&scatter, 1, 8);
    assert_int_equal(scatter.index.count, 1);
    add_chunk(&scatter, 5, 3);
    assert_int_equal(scatter.index.count, 2);
    assert_every_slice(&scatter);
}

static void chunks_of_changing_sizes_and_gaps_are_found(void **state)
{
    CLEANUP(scatter_clear) struct scatter scatter = {0};

    (void)state;
    add_chunk(&scatter, 2, 16);
    add_chunk(&scatter, 1, 1);
    add_chunk(&scatter, 1, 1);
    add_chunk(&scatter, 2, 1);
    add_chunk(&scatter, 1, 4);
    add_chunk(&scatter, 1, 4);
    add_chunk(&scatter, 5, 4);
    add_chunk(&scatter, 1, 2);
    assert_int_equal(scatter.index.count, 6);
    assert_every_slice(&scatter);
}

static void too_many_runs_are_given_up(void **state)
{
    CLEANUP(scatter_clear) struct scatter scatter = {0};

    (void)state;
    for (size_t i = 0; i < PACKET_INDEX_MAXIMUM_RUNS; i++)
        add_chunk(&scatter, 1, 1 + i % 2);
    assert_false(scatter.index.is_lost);
    assert_int_equal(scatter.index.count, PACKET_INDEX_MAXIMUM_RUNS);
    assert_slice(&scatter, 0, scatter.body.size);
    add_chunk(&scatter, 1, 7);
    assert_true(scatter.index.is_lost);
    add_chunk(&scatter, 1, 7);
    assert_int_equal(scatter.index.count, PACKET_INDEX_MAXIMUM_RUNS);
}

static void sizes_that_overflow_are_given_up(void **state)
{
    CLEANUP(scatter_clear) struct scatter scatter = {0};

    (void)state;
    packet_index_add(&scatter.index, 6, UINT64_MAX);
    assert_false(scatter.index.is_lost);
    packet_index_add(&scatter.index, 6, 1);
    assert_true(scatter.index.is_lost);
}

static void a_failing_container_is_told(void **state)
{
    CLEANUP(scatter_clear) struct scatter scatter = {0};
    const struct packet_container container = {read_container, &scatter};
    struct error err = ERROR_INIT;
    uint8_t buffer[4];

    (void)state;
    add_chunk(&scatter, 1, 4);
    (void)error_set(&scatter.failure, ERROR_UNAVAILABLE, "gone");
    assert_fails(ERROR_UNAVAILABLE,
                 packet_index_read(&scatter.index, &container, buffer, 4, 0, NULL, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(an_empty_body_has_nothing_to_find),
        bed_test(a_body_in_one_piece_is_one_run_read_at_once),
        bed_test(chunks_of_one_size_are_one_run),
        bed_test(chunks_of_changing_sizes_and_gaps_are_found),
        bed_test(too_many_runs_are_given_up),
        bed_test(sizes_that_overflow_are_given_up),
        bed_test(a_failing_container_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
