/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/object_verifier.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "support/fake_image_service.h"
#include "support/memory_sink.h"
#include "support/pseudo_random.h"
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define ID "11111111-2222-4333-8444-555555555555"
#define SIZE (2 * MIB + 1000)

/* Threads are started through this (the linker's --wrap), so that a test can run out of them. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);

static bool has_threads = true;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument)
{
    return has_threads ? __real_pthread_create(thread, attributes, function, argument) : EAGAIN;
}

static const struct memory_sink_options well_behaved;

/* A verifier between a file and an observer in memory. */
struct set_up {
    uint8_t *bytes;
    struct image_record *record;
    struct memory_sink_record file;
    struct memory_sink_record observed;
    struct byte_sink *observer;
    struct object_metadata expected;
    _Atomic uint64_t progress;
    struct object_verifier *verifier;
};

/* A verifier for a record, as a command has it: without an arena, so without tags. */
static int new_plain(const struct image_record *record, bool require_hash, struct byte_sink *file,
                     struct object_verifier **ret, struct error *err)
{
    struct object_metadata expected;
    const struct object_verifier_parts parts = {
        .expected = &expected, .require_hash = require_hash, .file = file};

    object_metadata_of(record, &expected);
    return object_verifier_new(&parts, ret, err);
}

static void set_up(struct set_up *set, struct secure_arena *arena,
                   const struct memory_sink_options *file,
                   const struct memory_sink_options *observer)
{
    struct error err = ERROR_INIT;

    memset(set, 0, sizeof *set);
    set->bytes = pseudo_random_bytes(1, SIZE);
    set->record = fake_image_record_hashed(ID, set->bytes, SIZE, "sha256");
    set->observer = observer == NULL ? NULL : memory_sink_new(&set->observed, observer);
    object_metadata_of(set->record, &set->expected);
    const struct object_verifier_parts parts = {
        .expected = &set->expected,
        .require_hash = true,
        .arena = arena,
        .file = file == NULL ? NULL : memory_sink_new(&set->file, file),
        .observer = set->observer,
        .progress = &set->progress};
    assert_succeeds(object_verifier_new(&parts, &set->verifier, &err));
}

static void tear_down(struct set_up *set)
{
    object_verifier_free(set->verifier);
    assert_int_equal(set->observed.frees, 0); /* borrowed */
    byte_sink_free(set->observer);
    image_record_unref(set->record);
    memory_sink_record_clear(&set->file);
    memory_sink_record_clear(&set->observed);
    free(set->bytes);
}

/* Writes `size` bytes in random pieces. */
static int feed(struct set_up *set, const uint8_t *bytes, size_t size, struct error *err)
{
    struct pseudo_random random = {.state = size};

    while (size > 0) {
        size_t piece = 1 + pseudo_random_below(&random, 200000);

        piece = piece < size ? piece : size;
        if (byte_sink_write(object_verifier_sink(set->verifier), bytes, piece, NULL, err) < 0)
            return -1;
        bytes += piece;
        size -= piece;
    }
    return 0;
}

static int commit(struct set_up *set, struct error *err)
{
    return byte_sink_commit(object_verifier_sink(set->verifier), NULL, err);
}

static void right_bytes_reach_file_and_observer_and_are_tagged(void **state)
{
    CLEANUP(gmac_table_free) struct gmac_table *tags = NULL;
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, &well_behaved, &well_behaved);
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_int_equal(set.file.commits, 0);
    assert_int_equal(set.observed.commits, 0);
    assert_int_equal(set.progress, SIZE);
    assert_succeeds(commit(&set, &err));
    assert_int_equal(object_verifier_verdict(set.verifier), OBJECT_NOT_JUDGED);
    assert_int_equal(set.file.size, SIZE);
    assert_memory_equal(set.file.bytes, set.bytes, SIZE);
    assert_int_equal(set.observed.size, SIZE);
    assert_memory_equal(set.observed.bytes, set.bytes, SIZE);
    assert_int_equal(set.file.commits, 1);
    assert_int_equal(set.observed.commits, 1);
    tags = object_verifier_take_tags(set.verifier);
    assert_non_null(tags);
    for (size_t block = 0; block < 3; block++) {
        const size_t size = block < 2 ? MIB : 1000;

        assert_succeeds(gmac_table_check(tags, block, set.bytes + block * MIB, size, &err));
    }
    assert_fails(ERROR_CORRUPT, gmac_table_check(tags, 3, set.bytes, 1, &err));
    tear_down(&set);
}

static void bytes_from_disk_need_no_file_and_no_observer(void **state)
{
    CLEANUP(gmac_table_free) struct gmac_table *tags = NULL;
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, NULL, NULL);
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_succeeds(commit(&set, &err));
    tags = object_verifier_take_tags(set.verifier);
    assert_succeeds(gmac_table_check(tags, 0, set.bytes, MIB, &err));
    tear_down(&set);
}

static void assert_undone(struct set_up *set, enum object_verdict verdict)
{
    if (set->verifier != NULL)
        assert_int_equal(object_verifier_verdict(set->verifier), verdict);
    assert_int_equal(set->file.commits, 0);
    assert_int_equal(set->file.aborts, 1);
    assert_int_equal(set->observed.commits, 0);
    assert_int_equal(set->observed.aborts, 1);
    tear_down(set);
}

static void wrong_bytes_fail_the_commit_and_undo_everything(void **state)
{
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, &well_behaved, &well_behaved);
    set.bytes[MIB + 7] ^= 1;
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_fails(ERROR_CORRUPT, commit(&set, &err));
    assert_undone(&set, OBJECT_MISMATCH);
}

static void too_few_bytes_fail_the_commit(void **state)
{
    static const size_t sizes[] = {0, 1, MIB, SIZE - 1};

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        struct error err = ERROR_INIT;
        struct set_up set;

        set_up(&set, *state, &well_behaved, &well_behaved);
        assert_succeeds(feed(&set, set.bytes, sizes[i], &err));
        assert_fails(ERROR_CORRUPT, commit(&set, &err));
        assert_undone(&set, OBJECT_MISMATCH);
    }
}

/* The byte too many is never written anywhere, however it comes. */
static void too_many_bytes_fail_the_write(void **state)
{
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, &well_behaved, &well_behaved);
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_fails(ERROR_CORRUPT,
                 byte_sink_write(object_verifier_sink(set.verifier), "x", 1, NULL, &err));
    assert_true(set.file.size <= SIZE);
    assert_true(set.observed.size <= SIZE);
    assert_undone(&set, OBJECT_MISMATCH);
}

static void freeing_without_commit_undoes_everything(void **state)
{
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, &well_behaved, &well_behaved);
    assert_succeeds(feed(&set, set.bytes, 100, &err));
    object_verifier_free(steal(&set.verifier));
    assert_int_equal(set.file.frees, 1);
    assert_undone(&set, OBJECT_NOT_JUDGED);
    object_verifier_free(NULL);
}

/* But what the observer agreed to before: its commit comes first. */
static void a_file_that_fails_undoes_everything(void **state)
{
    const struct memory_sink_options full = {.fails = true, .fail_at = MIB};
    const struct memory_sink_options uncommitted = {.fails_commit = true};
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, &full, &well_behaved);
    assert_fails(ERROR_NO_SPACE, feed(&set, set.bytes, SIZE, &err));
    assert_undone(&set, OBJECT_NOT_JUDGED);
    set_up(&set, *state, &uncommitted, &well_behaved);
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_fails(ERROR_NO_SPACE, commit(&set, &err));
    assert_int_equal(set.file.aborts, 1);
    assert_int_equal(set.observed.commits, 1);
    tear_down(&set);
}

static void an_observer_that_fails_ends_the_pass_with_its_error(void **state)
{
    const struct memory_sink_options full = {
        .fails = true, .fail_at = MIB, .fail_kind = ERROR_UNSUPPORTED};
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, &well_behaved, &full);
    assert_fails(ERROR_UNSUPPORTED, feed(&set, set.bytes, SIZE, &err));
    assert_undone(&set, OBJECT_REFUSED);
}

/* The observer first: bytes that it refuses are not worth storing. */
static void an_observer_that_refuses_the_end_comes_before_the_file(void **state)
{
    const struct memory_sink_options refuses = {.fails_commit = true, .fail_kind = ERROR_CORRUPT};
    struct error err = ERROR_INIT;
    struct set_up set;

    set_up(&set, *state, &well_behaved, &refuses);
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_fails(ERROR_CORRUPT, commit(&set, &err));
    assert_int_equal(object_verifier_verdict(set.verifier), OBJECT_REFUSED);
    assert_int_equal(set.file.commits, 0);
    assert_int_equal(set.file.aborts, 1);
    assert_int_equal(set.observed.aborts, 1);
    tear_down(&set);
}

/* "taken over, also on failure" */
static void a_refused_record_still_frees_the_file(void **state)
{
    CLEANUP(image_record_unref)
    struct image_record *record = fake_image_record_hashed(ID, "abc", 3, "md5");
    CLEANUP(memory_sink_record) struct memory_sink_record file = {0};
    struct object_verifier *verifier = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_fails(ERROR_UNSUPPORTED,
                 new_plain(record, true, memory_sink_new(&file, NULL), &verifier, &err));
    assert_null(verifier);
    assert_int_equal(file.aborts, 1);
    assert_int_equal(file.frees, 1);
}

static void an_empty_object_is_verified_too(void **state)
{
    CLEANUP(image_record_unref)
    struct image_record *record = fake_image_record_hashed(ID, "", 0, "sha512");
    CLEANUP(memory_sink_record) struct memory_sink_record file = {0};
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(new_plain(record, true, memory_sink_new(&file, NULL), &verifier, &err));
    assert_succeeds(byte_sink_commit(object_verifier_sink(verifier), NULL, &err));
    assert_int_equal(file.commits, 1);
    assert_int_equal(file.size, 0);
}

static void an_upper_case_digest_is_the_same_digest(void **state)
{
    CLEANUP(image_record_unref)
    struct image_record *record = fake_image_record(
        ID, "abc", 3, "sha256", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(new_plain(record, true, NULL, &verifier, &err));
    assert_succeeds(byte_sink_write(object_verifier_sink(verifier), "abc", 3, NULL, &err));
    assert_succeeds(byte_sink_commit(object_verifier_sink(verifier), NULL, &err));
}

/* For whoever will not read. */
static void without_an_arena_no_tags_are_made(void **state)
{
    CLEANUP(image_record_unref)
    struct image_record *record = fake_image_record_hashed(ID, "abc", 3, "sha512");
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(new_plain(record, true, NULL, &verifier, &err));
    assert_true(object_verifier_has_hash(verifier));
    assert_succeeds(byte_sink_write(object_verifier_sink(verifier), "abc", 3, NULL, &err));
    assert_succeeds(byte_sink_commit(object_verifier_sink(verifier), NULL, &err));
    assert_null(object_verifier_take_tags(verifier));
}

/* Threads do not start at will: then the caller's thread does all. */
static void a_shortage_of_threads_is_no_obstacle(void **state)
{
    struct error err = ERROR_INIT;
    struct set_up set;

    has_threads = false;
    set_up(&set, *state, &well_behaved, &well_behaved);
    has_threads = true;
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_succeeds(commit(&set, &err));
    tear_down(&set);
    has_threads = false;
    set_up(&set, *state, &well_behaved, &well_behaved);
    has_threads = true;
    set.bytes[SIZE - 1] ^= 1;
    assert_succeeds(feed(&set, set.bytes, SIZE, &err));
    assert_fails(ERROR_CORRUPT, commit(&set, &err));
    assert_undone(&set, OBJECT_MISMATCH);
}

static void what_nothing_can_prove_is_told(void **state)
{
    static const struct {
        const char *algorithm, *value;
        bool has_proof; /* where none is required: the checksum */
    } records[] = {{NULL, NULL, true}, {"sha512", NULL, true}, {"blake2b", "00", true}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(records); i++) {
        CLEANUP(image_record_unref)
        struct image_record *record =
            fake_image_record(ID, "abc", 3, records[i].algorithm, records[i].value);
        CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
        struct object_metadata expected;
        struct error err = ERROR_INIT;

        object_metadata_of(record, &expected);
        assert_fails(ERROR_UNSUPPORTED, object_verifier_can_prove(&expected, true, &err));
        assert_fails(ERROR_UNSUPPORTED, new_plain(record, true, NULL, &verifier, &err));
        assert_succeeds(object_verifier_can_prove(&expected, false, &err));
        assert_succeeds(new_plain(record, false, NULL, &verifier, &err));
        assert_int_equal(object_verifier_has_hash(verifier), records[i].has_proof);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_bytes_reach_file_and_observer_and_are_tagged),
        cmocka_unit_test(bytes_from_disk_need_no_file_and_no_observer),
        cmocka_unit_test(wrong_bytes_fail_the_commit_and_undo_everything),
        cmocka_unit_test(too_few_bytes_fail_the_commit),
        cmocka_unit_test(too_many_bytes_fail_the_write),
        cmocka_unit_test(freeing_without_commit_undoes_everything),
        cmocka_unit_test(a_file_that_fails_undoes_everything),
        cmocka_unit_test(an_observer_that_fails_ends_the_pass_with_its_error),
        cmocka_unit_test(an_observer_that_refuses_the_end_comes_before_the_file),
        cmocka_unit_test(a_refused_record_still_frees_the_file),
        cmocka_unit_test(an_empty_object_is_verified_too),
        cmocka_unit_test(an_upper_case_digest_is_the_same_digest),
        cmocka_unit_test(without_an_arena_no_tags_are_made),
        cmocka_unit_test(a_shortage_of_threads_is_no_obstacle),
        cmocka_unit_test(what_nothing_can_prove_is_told),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
