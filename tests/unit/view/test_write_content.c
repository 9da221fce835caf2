/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_content.h"

#include "fake_upload_staging.h"
#include "glancefs/limits.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define ID "11111111-2222-4333-8444-555555555555"
#define KEY_ID "99999999-2222-4333-8444-555555555555"
#define WINDOW ((size_t)5000)
#define FILE_BYTES ((size_t)100000)

/* --- a codec that leaves bytes as they are, so that thousands of runs take a moment --- */

struct plain_sink {
    struct byte_sink sink;
    struct byte_sink *below;
};

static uint64_t last_declared_size;
static unsigned sinks_opened;

static int plain_write(struct byte_sink *sink, const void *bytes, size_t size,
                       struct cancel *cancel, struct error *err)
{
    return byte_sink_write(((struct plain_sink *)sink)->below, bytes, size, cancel, err);
}

static int plain_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    return byte_sink_commit(((struct plain_sink *)sink)->below, cancel, err);
}

static void plain_abort(struct byte_sink *sink)
{
    byte_sink_abort(((struct plain_sink *)sink)->below);
}

static void plain_free(struct byte_sink *sink)
{
    free(sink);
}

static int plain_open_sink(const struct codec *codec, struct secure_arena *arena,
                           const struct secure_buffer *passphrase, uint64_t declared_size,
                           struct byte_sink *ciphertext, struct byte_sink **ret, struct error *err)
{
    static const struct byte_sink_ops ops = {
        .write = plain_write, .commit = plain_commit, .abort = plain_abort, .free = plain_free};
    struct plain_sink *plain = calloc(1, sizeof *plain);

    (void)codec;
    (void)arena;
    (void)passphrase;
    if (plain == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    plain->sink.ops = &ops;
    plain->below = ciphertext;
    last_declared_size = declared_size;
    sinks_opened++;
    *ret = &plain->sink;
    return 0;
}

static const struct codec_ops plain_ops = {.open_sink = plain_open_sink};
static const struct codec plain_codec = {.ops = &plain_ops, .format = "plain"};

/* --- what each test stands on --- */

struct bed {
    struct secure_arena *arena;
    struct upload_staging *staging;
    struct write_content *content;
};

static struct write_content *new_content(struct bed *bed, uint64_t declared_size)
{
    const struct write_content_parts parts = {.staging = bed->staging,
                                              .arena = bed->arena,
                                              .codec = &plain_codec,
                                              .image_id = ID,
                                              .key_id = KEY_ID,
                                              .window_bytes = WINDOW,
                                              .declared_size = declared_size,
                                              .sets_container_format = true};
    struct secure_buffer *passphrase = NULL;
    struct write_content *content = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(secure_buffer_copy_of(bed->arena, "x", 1, &passphrase, &err));
    assert_succeeds(write_content_new(&parts, passphrase, &content, &err));
    return content;
}

static int open_bed(void **state)
{
    static struct bed bed;
    struct error err = ERROR_INIT;

    bed = (struct bed){.staging = fake_staging_new()};
    if (secure_arena_new(SECURE_ARENA_MINIMUM_BYTES, &bed.arena, &err) < 0)
        return -1;
    *state = &bed;
    return 0;
}

static int close_bed(void **state)
{
    struct bed *bed = *state;
    bool is_clean;

    write_content_free(bed->content);
    is_clean = secure_arena_used(bed->arena) == 0 && fake_staging_unsealed(bed->staging) == 0;
    upload_staging_free(bed->staging);
    secure_arena_free(bed->arena);
    return is_clean ? 0 : -1;
}

#define content_test(function) cmocka_unit_test_setup_teardown(function, open_bed, close_bed)

static void assert_stored(struct bed *bed, const void *bytes, size_t size)
{
    size_t stored;
    const uint8_t *data = fake_staging_bytes(bed->staging, ID, &stored);

    assert_true(fake_staging_is_sealed(bed->staging, ID));
    assert_int_equal(stored, size);
    if (size > 0)
        assert_memory_equal(data, bytes, size);
}

/* --- single calls --- */

static void a_seal_sets_what_readers_need(void **state)
{
    struct bed *bed = *state;
    struct upload_info info;
    struct error err = ERROR_INIT;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(write_content_write(bed->content, "hello", 5, 0, NULL, &err));
    assert_int_equal(write_content_size(bed->content), 5);
    assert_succeeds(write_content_seal(bed->content, NULL, &err));
    assert_stored(bed, "hello", 5);
    assert_string_equal(fake_staging_property(bed->staging, ID, "os_decrypt_size"), "5");
    assert_string_equal(fake_staging_property(bed->staging, ID, "os_decrypt_container_format"),
                        "bare");
    assert_succeeds(upload_staging_query(bed->staging, ID, &info, &err));
    assert_int_equal(info.plaintext_bytes, 5);
}

static void what_left_the_window_cannot_change(void **state)
{
    static const uint8_t bytes[2 * WINDOW];
    struct bed *bed = *state;
    struct error err = ERROR_INIT;
    uint8_t byte;
    size_t got;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(write_content_write(bed->content, bytes, sizeof bytes, 0, NULL, &err));
    assert_succeeds(write_content_read(bed->content, &byte, 1, WINDOW, &got, &err));
    assert_fails(ERROR_UNSUPPORTED,
                 write_content_read(bed->content, &byte, 1, WINDOW - 1, &got, &err));
    assert_fails(ERROR_UNSUPPORTED, write_content_truncate(bed->content, WINDOW - 1, &err));
    assert_fails(ERROR_UNSUPPORTED,
                 write_content_allocate(bed->content, FALLOC_FL_ZERO_RANGE, WINDOW - 1, 1, &err));
    assert_fails(ERROR_UNSUPPORTED,
                 write_content_write(bed->content, bytes, 1, WINDOW - 1, NULL, &err));
    assert_message_has("write_window");
}

static void reads_only_what_the_window_holds(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;
    uint8_t bytes[10];
    size_t got = 99;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(write_content_read(bed->content, bytes, sizeof bytes, 0, &got, &err));
    assert_int_equal(got, 0);
    assert_succeeds(write_content_truncate(bed->content, 3 * WINDOW, &err));
    assert_succeeds(write_content_read(bed->content, bytes, sizeof bytes, WINDOW - 3, &got, &err));
    assert_int_equal(got, 3);
    assert_fails(ERROR_UNSUPPORTED,
                 write_content_read(bed->content, bytes, sizeof bytes, WINDOW, &got, &err));
    assert_succeeds(write_content_read(bed->content, bytes, sizeof bytes, 3 * WINDOW, &got, &err));
    assert_int_equal(got, 0);
}

static void refuses_more_than_was_declared(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->content = new_content(bed, 10);
    assert_int_equal(last_declared_size, 10);
    assert_succeeds(write_content_write(bed->content, "0123456789", 10, 0, NULL, &err));
    assert_fails(ERROR_TOO_LARGE, write_content_write(bed->content, "x", 1, 10, NULL, &err));
    assert_fails(ERROR_TOO_LARGE, write_content_truncate(bed->content, 11, &err));
    assert_fails(ERROR_TOO_LARGE, write_content_allocate(bed->content, 0, 5, 6, &err));
    assert_succeeds(write_content_allocate(bed->content, FALLOC_FL_KEEP_SIZE, 5, 6, &err));
    assert_int_equal(write_content_size(bed->content), 10);
}

static void refuses_what_is_too_large_for_an_image(void **state)
{
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(write_content_truncate(bed->content, LIMIT_PLAINTEXT_BYTES, &err));
    assert_fails(ERROR_TOO_LARGE,
                 write_content_truncate(bed->content, LIMIT_PLAINTEXT_BYTES + 1, &err));
    assert_fails(ERROR_TOO_LARGE,
                 write_content_write(bed->content, "x", 1, LIMIT_PLAINTEXT_BYTES, NULL, &err));
    assert_fails(ERROR_TOO_LARGE,
                 write_content_write(bed->content, "x", 1, UINT64_MAX, NULL, &err));
    assert_fails(ERROR_TOO_LARGE,
                 write_content_allocate(bed->content, 0, UINT64_MAX, UINT64_MAX, &err));
    assert_succeeds(write_content_allocate(bed->content, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                           UINT64_MAX, UINT64_MAX, &err));
}

static void knows_the_modes_of_fallocate(void **state)
{
    static const struct {
        int mode;
        bool is_known;
    } modes[] = {{0, true},
                 {FALLOC_FL_KEEP_SIZE, true},
                 {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, true},
                 {FALLOC_FL_ZERO_RANGE, true},
                 {FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, true},
                 {FALLOC_FL_PUNCH_HOLE, false},
                 {FALLOC_FL_COLLAPSE_RANGE, false},
                 {FALLOC_FL_INSERT_RANGE, false},
                 {FALLOC_FL_UNSHARE_RANGE, false},
                 {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE, false}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(modes); i++)
        assert_int_equal(write_content_has_mode(modes[i].mode), modes[i].is_known);
}

static void a_restart_renews_the_session_key_only_when_it_was_used(void **state)
{
    static const uint8_t bytes[WINDOW + 1];
    struct bed *bed = *state;
    struct error err = ERROR_INIT;
    unsigned before;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    before = sinks_opened;
    assert_succeeds(write_content_write(bed->content, bytes, WINDOW, 0, NULL, &err));
    assert_succeeds(write_content_truncate(bed->content, 0, &err));
    assert_int_equal(sinks_opened, before);
    assert_succeeds(write_content_write(bed->content, bytes, WINDOW + 1, 0, NULL, &err));
    assert_succeeds(write_content_truncate(bed->content, 0, &err));
    assert_int_equal(sinks_opened, before + 1);
    assert_int_equal(write_content_size(bed->content), 0);
    assert_succeeds(write_content_write(bed->content, "new", 3, 0, NULL, &err));
    assert_succeeds(write_content_seal(bed->content, NULL, &err));
    assert_stored(bed, "new", 3);
}

static void a_size_can_be_declared_until_it_contradicts(void **state)
{
    static const uint8_t bytes[WINDOW + 1];
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(write_content_write(bed->content, bytes, 10, 0, NULL, &err));
    assert_false(write_content_may_declare(bed->content, 9));
    assert_true(write_content_may_declare(bed->content, 2 * WINDOW));
    assert_succeeds(write_content_declare(bed->content, 2 * WINDOW, &err));
    assert_int_equal(last_declared_size, 2 * WINDOW);
    assert_true(write_content_may_declare(bed->content, 3 * WINDOW));
    assert_succeeds(write_content_declare(bed->content, 3 * WINDOW, &err));
    assert_succeeds(write_content_write(bed->content, bytes, sizeof bytes, 0, NULL, &err));
    assert_false(write_content_may_declare(bed->content, 2 * WINDOW));
    assert_true(write_content_may_declare(bed->content, 3 * WINDOW));
}

static void a_late_declaration_leaves_the_message_as_it_is(void **state)
{
    static const uint8_t bytes[WINDOW + 1];
    struct bed *bed = *state;
    struct error err = ERROR_INIT;
    unsigned before;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    before = sinks_opened;
    assert_succeeds(write_content_write(bed->content, bytes, sizeof bytes, 0, NULL, &err));
    assert_true(write_content_may_declare(bed->content, sizeof bytes));
    assert_succeeds(write_content_declare(bed->content, sizeof bytes, &err));
    assert_int_equal(sinks_opened, before);
    assert_fails(ERROR_TOO_LARGE,
                 write_content_write(bed->content, bytes, 1, sizeof bytes, NULL, &err));
}

static void an_interrupted_gap_can_be_repeated(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    CLEANUP(memory_free) uint8_t *expected = calloc(1, 3 * WINDOW + 1);
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_non_null(expected);
    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_succeeds(write_content_write(bed->content, "a", 1, 0, cancel, &err));
    assert_fails(ERROR_CANCELLED,
                 write_content_write(bed->content, "b", 1, 3 * WINDOW, cancel, &err));
    assert_int_equal(write_content_size(bed->content), 1);
    assert_succeeds(write_content_write(bed->content, "b", 1, 3 * WINDOW, NULL, &err));
    assert_succeeds(write_content_seal(bed->content, NULL, &err));
    expected[0] = 'a';
    expected[3 * WINDOW] = 'b';
    assert_stored(bed, expected, 3 * WINDOW + 1);
}

static void nothing_is_sealed_after_a_failed_declaration(void **state)
{
    const struct fake_staging_faults faults = {.fails_begin = true};
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(write_content_write(bed->content, "hello", 5, 0, NULL, &err));
    fake_staging_misbehave(bed->staging, &faults);
    assert_fails(ERROR_NO_SPACE, write_content_declare(bed->content, 5, &err));
    assert_fails(ERROR_INVALID, write_content_seal(bed->content, NULL, &err));
}

static void a_cancelled_seal_of_many_zeros_ends(void **state)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(cancel_new(&cancel, &err));
    assert_succeeds(write_content_truncate(bed->content, LIMIT_PLAINTEXT_BYTES, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, write_content_seal(bed->content, cancel, &err));
}

static void a_full_disk_is_reported_by_write_and_seal(void **state)
{
    static const uint8_t bytes[2 * WINDOW];
    const struct fake_staging_faults full = {.fails_writes = true, .fail_at = 10};
    struct bed *bed = *state;
    struct error err = ERROR_INIT;

    fake_staging_misbehave(bed->staging, &full);
    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_succeeds(write_content_write(bed->content, bytes, 11, 0, NULL, &err));
    assert_fails(ERROR_NO_SPACE, write_content_seal(bed->content, NULL, &err));
    write_content_free(bed->content);
    bed->content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    assert_fails(ERROR_NO_SPACE,
                 write_content_write(bed->content, bytes, sizeof bytes, 0, NULL, &err));
}

/* --- against a plain file --- */

struct model {
    uint8_t bytes[FILE_BYTES];
    size_t size;
    size_t consumed;
    bool is_over; /* a call was refused, as it should be */
};

/* The call fails exactly when the model says so, and then the content is given up. */
static bool agrees(struct model *model, bool should_fail, int result)
{
    assert_int_equal(result, should_fail ? -1 : 0);
    model->is_over = should_fail;
    return result == 0;
}

/* A place to work at: mostly in the window, sometimes behind it, rarely before. */
static size_t choose_offset(const struct model *model, struct pseudo_random *random)
{
    const size_t choice = pseudo_random_below(random, 100);
    size_t offset = model->consumed;

    if (choice == 0)
        offset = pseudo_random_below(random, model->consumed + 1);
    else if (choice < 15)
        offset += pseudo_random_below(random, 4 * WINDOW);
    else
        offset += pseudo_random_below(random, WINDOW);
    return offset < FILE_BYTES ? offset : FILE_BYTES - 1;
}

static size_t choose_size(size_t offset, struct pseudo_random *random)
{
    const size_t size =
        1 +
        pseudo_random_below(random, pseudo_random_below(random, 8) == 0 ? 3 * WINDOW : WINDOW / 4);

    return size < FILE_BYTES - offset ? size : FILE_BYTES - offset;
}

static void write_something(struct write_content *content, struct model *model,
                            struct pseudo_random *random)
{
    const size_t offset = choose_offset(model, random);
    const size_t size = choose_size(offset, random);
    CLEANUP(memory_free) uint8_t *bytes = malloc(size + 1);
    struct error err = ERROR_INIT;

    assert_non_null(bytes);
    pseudo_random_fill(random, bytes, size);
    if (!agrees(model, offset < model->consumed,
                write_content_write(content, bytes, size, offset, NULL, &err)))
        return;
    memcpy(model->bytes + offset, bytes, size);
    if (offset + size > model->size)
        model->size = offset + size;
    if (offset + size > model->consumed + WINDOW)
        model->consumed = offset + size - WINDOW;
}

static void truncate_something(struct write_content *content, struct model *model,
                               struct pseudo_random *random)
{
    const size_t size = pseudo_random_below(random, 20) == 0 ? 0 : choose_offset(model, random);
    struct error err = ERROR_INIT;

    if (!agrees(model, size > 0 && size < model->consumed,
                write_content_truncate(content, size, &err)))
        return;
    if (size < model->size)
        memset(model->bytes + size, 0, model->size - size);
    if (size == 0)
        model->consumed = 0;
    model->size = size;
}

static void zero_something(struct write_content *content, struct model *model,
                           struct pseudo_random *random)
{
    static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    const int mode = modes[pseudo_random_below(random, ELEMENTS_OF(modes))];
    const bool makes_zeros = (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0;
    const size_t offset = choose_offset(model, random);
    const size_t size = choose_size(offset, random);
    struct error err = ERROR_INIT;

    if (!agrees(model, makes_zeros && offset < model->consumed,
                write_content_allocate(content, mode, offset, size, &err)))
        return;
    if (makes_zeros)
        memset(model->bytes + offset, 0, size);
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0 && offset + size > model->size)
        model->size = offset + size;
}

static void read_something(struct write_content *content, const struct model *model,
                           struct pseudo_random *random)
{
    const size_t offset = choose_offset(model, random);
    const size_t window_end = model->consumed + WINDOW;
    uint8_t bytes[WINDOW];
    size_t expected = pseudo_random_below(random, sizeof bytes);
    size_t got = 0;
    struct error err = ERROR_INIT;
    const int result = write_content_read(content, bytes, expected, offset, &got, &err);

    if (offset < model->size && (offset < model->consumed || offset >= window_end)) {
        assert_int_equal(result, -1);
        return;
    }
    assert_int_equal(result, 0);
    if (offset >= model->size)
        expected = 0;
    else if (expected > model->size - offset)
        expected = model->size - offset;
    if (expected > 0 && expected > window_end - offset)
        expected = window_end - offset;
    assert_int_equal(got, expected);
    if (expected > 0)
        assert_memory_equal(bytes, model->bytes + offset, expected);
}

static void do_something(struct write_content *content, struct model *model,
                         struct pseudo_random *random)
{
    switch (pseudo_random_below(random, 12)) {
    case 0:
        truncate_something(content, model, random);
        break;
    case 1:
    case 2:
        zero_something(content, model, random);
        break;
    case 3:
    case 4:
        read_something(content, model, random);
        break;
    default:
        write_something(content, model, random);
        break;
    }
}

static void run_against_model(struct bed *bed, struct model *model, uint64_t seed)
{
    CLEANUP(write_content_free)
    struct write_content *content = new_content(bed, BYTE_SOURCE_SIZE_UNKNOWN);
    struct pseudo_random random = {.state = seed};
    struct error err = ERROR_INIT;

    memset(model, 0, sizeof *model);
    for (int step = 0; step < 60 && !model->is_over; step++) {
        do_something(content, model, &random);
        if (!model->is_over)
            assert_int_equal(write_content_size(content), model->size);
    }
    if (model->is_over)
        return;
    assert_succeeds(write_content_seal(content, NULL, &err));
    assert_stored(bed, model->bytes, model->size);
}

static void any_order_of_calls_agrees_with_a_plain_file(void **state)
{
    CLEANUP(memory_free) struct model *model = malloc(sizeof *model);
    struct bed *bed = *state;
    unsigned sealed = 0;

    assert_non_null(model);
    for (uint64_t seed = 0; seed < 1500; seed++) {
        run_against_model(bed, model, seed);
        sealed += !model->is_over;
        upload_staging_free(bed->staging);
        bed->staging = fake_staging_new();
    }
    assert_in_range(sealed, 500, 1490);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        content_test(a_seal_sets_what_readers_need),
        content_test(what_left_the_window_cannot_change),
        content_test(reads_only_what_the_window_holds),
        content_test(refuses_more_than_was_declared),
        content_test(refuses_what_is_too_large_for_an_image),
        content_test(knows_the_modes_of_fallocate),
        content_test(a_restart_renews_the_session_key_only_when_it_was_used),
        content_test(a_size_can_be_declared_until_it_contradicts),
        content_test(a_late_declaration_leaves_the_message_as_it_is),
        content_test(an_interrupted_gap_can_be_repeated),
        content_test(nothing_is_sealed_after_a_failed_declaration),
        content_test(a_cancelled_seal_of_many_zeros_ends),
        content_test(a_full_disk_is_reported_by_write_and_seal),
        content_test(any_order_of_calls_agrees_with_a_plain_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
