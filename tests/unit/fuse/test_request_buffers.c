/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/request_buffers.h"

#include "glancefs/limits.h"
#include "support/testing.h"

#include <string.h>

/* Room for two buffers, not for three. */
#define ARENA_BYTES (5 * MIB / 2)

struct bed {
    struct secure_arena *arena;
    struct request_buffers *buffers;
};

static void open_bed(struct bed *bed)
{
    struct error err = ERROR_INIT;

    assert_succeeds(secure_arena_new(ARENA_BYTES, &bed->arena, &err));
    assert_succeeds(request_buffers_new(bed->arena, &bed->buffers, &err));
}

/* Everything must have been given back. */
static void close_bed(struct bed *bed)
{
    request_buffers_free(bed->buffers);
    assert_int_equal(secure_arena_used(bed->arena), 0);
    secure_arena_free(bed->arena);
}

static void a_buffer_holds_the_largest_request_in_locked_memory(void **state)
{
    struct bed bed;
    void *buffer;

    (void)state;
    open_bed(&bed);
    buffer = request_buffers_take(bed.buffers);
    assert_true(secure_arena_contains(bed.arena, buffer));
    assert_true(secure_arena_allocation_size(bed.arena, buffer) > FUSE_REQUEST_BYTES);
    request_buffers_give(bed.buffers, buffer, 0);
    request_buffers_give(bed.buffers, NULL, 0);
    close_bed(&bed);
}

static void a_buffer_comes_back_wiped(void **state)
{
    static const char plaintext[] = "plaintext";
    struct bed bed;
    char *buffer;

    (void)state;
    open_bed(&bed);
    buffer = request_buffers_take(bed.buffers);
    memcpy(buffer, plaintext, sizeof plaintext);
    request_buffers_give(bed.buffers, buffer, sizeof plaintext);
    buffer = request_buffers_take(bed.buffers);
    for (size_t i = 0; i < sizeof plaintext; i++)
        assert_int_equal(buffer[i], 0);
    request_buffers_give(bed.buffers, buffer, 0);
    close_bed(&bed);
}

static void a_request_that_keeps_its_buffer_leaves_the_receiver_another(void **state)
{
    struct bed bed;
    void *receiver;
    void *request;
    void *kept;

    (void)state;
    open_bed(&bed);
    receiver = request_buffers_take(bed.buffers);
    request = receiver;
    request_buffers_set_receiver(bed.buffers, &receiver);
    kept = request_buffers_keep(bed.buffers);
    assert_ptr_equal(kept, request);
    assert_non_null(receiver);
    assert_ptr_not_equal(receiver, kept);
    request_buffers_give(bed.buffers, kept, 0);
    request_buffers_give(bed.buffers, receiver, 0);
    close_bed(&bed);
}

static void without_memory_the_receiver_keeps_its_own(void **state)
{
    struct bed bed;
    void *receiver;
    void *request;
    void *other;

    (void)state;
    open_bed(&bed);
    receiver = request_buffers_take(bed.buffers);
    other = request_buffers_take(bed.buffers);
    assert_null(request_buffers_take(bed.buffers));
    request = receiver;
    request_buffers_set_receiver(bed.buffers, &receiver);
    assert_null(request_buffers_keep(bed.buffers));
    assert_ptr_equal(receiver, request);
    request_buffers_give(bed.buffers, other, 0);
    assert_ptr_equal(request_buffers_keep(bed.buffers), request);
    request_buffers_give(bed.buffers, request, 0);
    request_buffers_give(bed.buffers, receiver, 0);
    close_bed(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_holds_the_largest_request_in_locked_memory),
        cmocka_unit_test(a_buffer_comes_back_wiped),
        cmocka_unit_test(a_request_that_keeps_its_buffer_leaves_the_receiver_another),
        cmocka_unit_test(without_memory_the_receiver_keeps_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
