/* SPDX-License-Identifier: Apache-2.0 */
/* Plaintext of a message that is verified on its way, over a codec's stream that does as told. */
#include "glancefs/limits.h"
#include "support/pseudo_random.h"
#include "support/testing.h"
#include "view/plaintext.h"

#include <stdlib.h>
#include <string.h>

#define SIZE (4 * MIB + 4321)
#define SHOWN (SIZE - STREAM_WITHHELD_BYTES) /* what need not wait for the end */

/* A message that is decrypted in pieces of at most `step` bytes. */
struct fake_stream {
    struct codec_stream stream;
    const uint8_t *bytes;
    size_t size;
    size_t step;
    size_t position;
    size_t fail_at; /* the read that would reach this byte fails; SIZE_MAX: none */
    enum error_kind fail_kind;
    bool refuses_end; /* the message is not sound */
    unsigned ends;    /* how often it was asked past its last byte */
    struct codec_message message;
};

static int fake_read(struct codec_stream *stream, void *buffer, size_t size, struct cancel *cancel,
                     size_t *ret_size, struct error *err)
{
    struct fake_stream *fake = (struct fake_stream *)stream;
    const size_t rest = fake->size - fake->position;
    size_t length = size < fake->step ? size : fake->step;

    assert_true(size > 0);
    if (cancel_check(cancel, err) < 0)
        return -1;
    length = length < rest ? length : rest;
    if (fake->position + length > fake->fail_at)
        return error_set(err, fake->fail_kind, "as told");
    if (length == 0 && fake->refuses_end)
        return error_set(err, ERROR_CORRUPT, "not sound");
    fake->ends += length == 0;
    memcpy(buffer, fake->bytes + fake->position, length);
    fake->position += length;
    *ret_size = length;
    return 0;
}

static void fake_message_free(struct codec_message *message)
{
    (void)message;
}

static struct codec_message *fake_message(struct codec_stream *stream)
{
    struct fake_stream *fake = (struct fake_stream *)stream;

    return fake->ends == 0 ? NULL : codec_message_ref(&fake->message);
}

static void fake_free(struct codec_stream *stream)
{
    (void)stream;
}

struct bed {
    struct secure_arena *arena;
    uint8_t *bytes;
    uint8_t *got;
    struct fake_stream fake;
    struct plaintext *plaintext;
    unsigned verified;      /* how often the listener was told */
    enum error_kind failed; /* what it was told last */
};

static int open_bed(void **state)
{
    static const struct codec_stream_ops ops = {
        .read = fake_read, .message = fake_message, .free = fake_free};
    static const struct codec_message_ops message_ops = {.free = fake_message_free};
    struct bed *bed = calloc(1, sizeof *bed);
    struct error err = ERROR_INIT;

    if (bed == NULL || secure_arena_new(8 * MIB, &bed->arena, &err) < 0)
        return -1;
    bed->bytes = pseudo_random_bytes(9, SIZE);
    bed->got = malloc(FUSE_REQUEST_BYTES);
    bed->fake = (struct fake_stream){.stream.ops = &ops,
                                     .bytes = bed->bytes,
                                     .size = SIZE,
                                     .step = 64 * KIB,
                                     .fail_at = SIZE_MAX,
                                     .fail_kind = ERROR_CORRUPT};
    codec_message_init(&bed->fake.message, &message_ops);
    *state = bed;
    return bed->got == NULL ? -1 : 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;
    size_t used;

    plaintext_free(bed->plaintext);
    used = secure_arena_used(bed->arena);
    secure_arena_free(bed->arena);
    free(bed->bytes);
    free(bed->got);
    free(bed);
    return used == 0 ? 0 : -1;
}

static void note_verified(void *context, struct codec_message *message)
{
    struct bed *bed = context;

    assert_ptr_equal(message, &bed->fake.message);
    bed->verified++;
}

static void note_failed(void *context, const struct error *why, struct cancel *cancel)
{
    (void)cancel;
    ((struct bed *)context)->failed = why->kind;
}

static void open_plaintext(struct bed *bed, uint64_t size)
{
    const struct verified_listener listener = {
        .verified = note_verified, .failed = note_failed, .context = bed};
    struct error err = ERROR_INIT;

    assert_succeeds(plaintext_arriving_new(&bed->fake.stream, size, bed->arena, listener,
                                           &bed->plaintext, &err));
}

/* Gets a piece and compares it; how many bytes came, or -1. */
static ssize_t get(struct bed *bed, uint64_t offset, size_t size, struct cancel *cancel,
                   struct error *err)
{
    struct plaintext_pieces found;
    size_t done = 0;

    if (plaintext_get(bed->plaintext, offset, size, cancel, &found, err) < 0)
        return -1;
    for (int i = 0; i < found.count; i++) {
        assert_memory_equal(found.pieces[i].iov_base, bed->bytes + offset + done,
                            found.pieces[i].iov_len);
        done += found.pieces[i].iov_len;
    }
    assert_int_equal(done, found.size);
    plaintext_put(bed->plaintext, &found);
    return (ssize_t)done;
}

static void assert_gives(struct bed *bed, uint64_t offset, size_t size, size_t expected)
{
    struct error err = ERROR_INIT;

    assert_int_equal(get(bed, offset, size, NULL, &err), expected);
}

static void assert_gives_the_rest(struct bed *bed, uint64_t offset, size_t step)
{
    while (offset < SIZE) {
        const size_t expected = step < SIZE - offset ? step : (size_t)(SIZE - offset);

        assert_gives(bed, offset, step, expected);
        offset += expected;
    }
    assert_gives(bed, SIZE, step, 0);
    assert_int_equal(bed->verified, 1);
    assert_true(bed->plaintext->is_verified);
    assert_int_equal(bed->plaintext->size, SIZE);
}

static void gives_everything_in_steps_of_any_size(void **state)
{
    static const size_t steps[] = {1 * MIB, 4096, 77777};
    struct bed *bed = *state;

    for (size_t i = 0; i < 2 * ELEMENTS_OF(steps); i++) {
        bed->fake.position = 0;
        bed->fake.ends = 0;
        bed->verified = 0;
        open_plaintext(bed, i % 2 == 0 ? SIZE : BYTE_SOURCE_SIZE_UNKNOWN);
        assert_int_equal(secure_arena_used(bed->arena), 0); /* before it is read */
        assert_gives_the_rest(bed, 0, steps[i / 2]);
        plaintext_free(steal(&bed->plaintext));
    }
}

static void decrypts_no_more_than_it_gives(void **state)
{
    struct bed *bed = *state;

    open_plaintext(bed, SIZE);
    assert_gives(bed, 0, 512, 512);
    assert_int_equal(bed->fake.position, 512);
    assert_gives(bed, 512, SHOWN % MIB, SHOWN % MIB);
    assert_int_equal(bed->fake.position, 512 + SHOWN % MIB);
    assert_false(bed->plaintext->is_verified);
}

static void forward_to(struct bed *bed, uint64_t offset)
{
    for (uint64_t at = 0; at < offset; at += 64 * KIB)
        assert_gives(bed, at, offset - at < 64 * KIB ? (size_t)(offset - at) : 64 * KIB,
                     offset - at < 64 * KIB ? (size_t)(offset - at) : 64 * KIB);
}

static void withholds_the_end_until_everything_is_verified(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->fake.refuses_end = true;
    open_plaintext(bed, SIZE);
    forward_to(bed, SHOWN);
    assert_int_equal(bed->fake.position, SHOWN);
    assert_fails(ERROR_CORRUPT, (int)get(bed, SHOWN, 1, NULL, &err));
    assert_int_equal(bed->verified, 0);
    bed->fake.refuses_end = false;
    assert_gives(bed, SHOWN, 1, 1);
    assert_int_equal(bed->verified, 1);
}

static void a_read_that_touches_the_end_gives_nothing_before_that(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->fake.refuses_end = true;
    open_plaintext(bed, SIZE);
    forward_to(bed, SHOWN - 100);
    assert_fails(ERROR_CORRUPT, (int)get(bed, SHOWN - 100, 101, NULL, &err));
    assert_gives(bed, SHOWN - 100, 100, 100);
}

static void without_a_size_a_megabyte_must_be_behind(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->fake.refuses_end = true;
    open_plaintext(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_gives(bed, 0, 512, 512);
    assert_int_equal(bed->fake.position, 512 + STREAM_WITHHELD_BYTES);
    forward_to(bed, SHOWN);
    assert_fails(ERROR_CORRUPT, (int)get(bed, SHOWN, 1, NULL, &err));
    bed->fake.refuses_end = false;
    assert_gives(bed, SHOWN, FUSE_REQUEST_BYTES, STREAM_WITHHELD_BYTES);
    assert_gives(bed, SIZE, 100, 0);
}

static void a_message_shorter_than_the_withheld_end_is_withheld_whole(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->fake.size = 1000;
    bed->fake.refuses_end = true;
    open_plaintext(bed, 1000);
    assert_fails(ERROR_CORRUPT, (int)get(bed, 0, 1, NULL, &err));
    bed->fake.refuses_end = false;
    assert_gives(bed, 0, 4096, 1000);
}

static void an_empty_message_must_be_verified_as_well(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->fake.size = 0;
    bed->fake.refuses_end = true;
    open_plaintext(bed, 0);
    assert_fails(ERROR_CORRUPT, (int)get(bed, 0, 100, NULL, &err));
    bed->fake.refuses_end = false;
    assert_gives(bed, 0, 100, 0);
    assert_int_equal(bed->verified, 1);
}

static void another_size_than_promised_is_damage(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    open_plaintext(bed, SIZE + 1);
    forward_to(bed, SHOWN);
    assert_fails(ERROR_CORRUPT, (int)get(bed, SHOWN, FUSE_REQUEST_BYTES, NULL, &err));
    plaintext_free(steal(&bed->plaintext));
    bed->fake.position = 0;
    open_plaintext(bed, SIZE - 1);
    forward_to(bed, SHOWN - 1);
    assert_fails(ERROR_CORRUPT, (int)get(bed, SHOWN - 1, FUSE_REQUEST_BYTES, NULL, &err));
    assert_int_equal(bed->verified, 0);
}

static void delivered_bytes_can_be_read_again(void **state)
{
    struct bed *bed = *state;

    open_plaintext(bed, SIZE);
    forward_to(bed, 2 * MIB);
    assert_gives(bed, 2 * MIB - STREAM_HISTORY_BYTES, FUSE_REQUEST_BYTES, FUSE_REQUEST_BYTES);
    assert_gives(bed, 2 * MIB - 10, 20, 20);
    forward_to(bed, 0);
    assert_gives_the_rest(bed, 2 * MIB + 10, FUSE_REQUEST_BYTES);
}

static void a_cancelled_read_loses_nothing(void **state)
{
    struct bed *bed = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(cancel_new(&cancel, &err));
    open_plaintext(bed, SIZE);
    assert_gives(bed, 0, 1000, 1000);
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, (int)get(bed, 1000, FUSE_REQUEST_BYTES, cancel, &err));
    assert_gives_the_rest(bed, 1000, FUSE_REQUEST_BYTES);
}

static void a_failure_half_way_is_told_and_loses_nothing(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->fake.fail_at = 500000;
    bed->fake.fail_kind = ERROR_TIMEOUT;
    open_plaintext(bed, SIZE);
    assert_fails(ERROR_TIMEOUT, (int)get(bed, 0, FUSE_REQUEST_BYTES, NULL, &err));
    assert_int_equal(bed->failed, ERROR_TIMEOUT);
    bed->fake.fail_at = SIZE_MAX;
    assert_gives_the_rest(bed, 0, FUSE_REQUEST_BYTES);
}

#define test(name) cmocka_unit_test_setup_teardown(name, open_bed, close_bed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(gives_everything_in_steps_of_any_size),
        test(decrypts_no_more_than_it_gives),
        test(withholds_the_end_until_everything_is_verified),
        test(a_read_that_touches_the_end_gives_nothing_before_that),
        test(without_a_size_a_megabyte_must_be_behind),
        test(a_message_shorter_than_the_withheld_end_is_withheld_whole),
        test(an_empty_message_must_be_verified_as_well),
        test(another_size_than_promised_is_damage),
        test(delivered_bytes_can_be_read_again),
        test(a_cancelled_read_loses_nothing),
        test(a_failure_half_way_is_told_and_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
