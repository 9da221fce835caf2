/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up, listing, renaming, removing and expiring files; their xattrs. */
#include "write_bed.h"

#include "base/clock.h"
#include "glancefs/limits.h"
#include "support/crypto_arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CREATE (O_WRONLY | O_CREAT | O_TRUNC)

/* --- lookup --- */

static void a_queued_image_is_an_empty_file(void **state)
{
    struct write_bed *bed = *state;
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    write_bed_put(bed, IMAGE_ID, "queued", WRITABLE ", \"updated_at\": \"2026-01-02T03:04:05Z\"");
    assert_int_equal(write_index_peek(bed->index, IMAGE_ID, &attributes), WRITE_UNKNOWN);
    assert_succeeds(write_index_lookup(bed->index, IMAGE_ID, NULL, &attributes, &err));
    assert_string_equal(attributes.name, IMAGE_ID);
    assert_string_equal(attributes.image_id, IMAGE_ID);
    assert_int_equal(attributes.state, WRITE_QUEUED);
    assert_int_equal(attributes.size, 0);
    assert_int_equal(attributes.changed_at, 1767323045);
    assert_int_equal(write_index_peek(bed->index, IMAGE_ID, &attributes), WRITE_PRESENT);
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 1);
}

static void only_queued_images_are_files(void **state)
{
    static const char *const statuses[] = {"active", "saving", "killed", "deactivated"};
    struct write_bed *bed = *state;

    for (size_t i = 0; i < ELEMENTS_OF(statuses); i++) {
        write_bed_put(bed, IMAGE_ID, statuses[i], WRITABLE);
        assert_absent(bed, IMAGE_ID);
    }
    assert_absent(bed, OTHER_ID);
}

static void memory_answers_for_names_that_need_no_service(void **state)
{
    struct write_bed *bed = *state;
    struct write_attributes attributes;

    assert_int_equal(write_index_peek(bed->index, "x", &attributes), WRITE_ABSENT);
    assert_int_equal(write_index_peek(bed->index, IMAGE_PART, &attributes), WRITE_ABSENT);
    assert_int_equal(write_index_peek(bed->index, IMAGE_TEMPORARY, &attributes), WRITE_ABSENT);
    write_bed_create(bed, "hello", 5);
    assert_int_equal(write_index_peek(bed->index, IMAGE_PART, &attributes), WRITE_PRESENT);
    assert_int_equal(attributes.state, WRITE_STAGING);
    assert_int_equal(attributes.size, 5);
    assert_in_range(attributes.changed_at, time(NULL) - 60, time(NULL));
}

static void a_sealed_image_is_never_seen_empty(void **state)
{
    struct write_bed *bed = *state;
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    assert_file_size(bed, IMAGE_ID, 0);
    write_bed_create(bed, "hello", 5);
    assert_file_size(bed, IMAGE_ID, 0);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_file_size(bed, IMAGE_ID, 5);
    assert_int_equal(write_index_peek(bed->index, IMAGE_ID, &attributes), WRITE_UNKNOWN);
}

static void states_follow_the_upload(void **state)
{
    static const struct {
        enum upload_state state;
        const char *name;
    } states[] = {{UPLOAD_SEALED, "sealed"},
                  {UPLOAD_UPLOADING, "uploading"},
                  {UPLOAD_ACTIVE, "active"},
                  {UPLOAD_FAILED, "failed"}};
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    for (size_t i = 0; i < ELEMENTS_OF(states); i++) {
        fake_staging_set_state(bed->staging, IMAGE_ID, states[i].state, "");
        assert_state(bed, IMAGE_ID, states[i].name);
        assert_file_size(bed, IMAGE_ID, 5);
    }
}

static void a_failing_service_is_no_absence(void **state)
{
    struct write_bed *bed = *state;
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    fake_cloud_fail_records(bed->cloud, ERROR_UNAVAILABLE);
    assert_fails(ERROR_UNAVAILABLE,
                 write_index_lookup(bed->index, IMAGE_ID, NULL, &attributes, &err));
}

static void records_are_given_for_their_properties(void **state)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    CLEANUP(image_record_unref) struct image_record *of_part = NULL;
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(write_index_record(bed->index, IMAGE_ID, NULL, &record, &err));
    assert_string_equal(image_record_property(record, "os_encrypt_key_id"), KEY_ID);
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 1);
    assert_fails(ERROR_NOT_FOUND, write_index_record(bed->index, IMAGE_PART, NULL, &of_part, &err));
    write_bed_create(bed, "x", 1);
    assert_succeeds(write_index_record(bed->index, IMAGE_PART, NULL, &of_part, &err));
    assert_string_equal(image_record_id(of_part), IMAGE_ID);
}

/* --- lists --- */

static bool lists(const struct write_listing *listing, const char *name, enum write_state state)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->files[i].name, name) == 0)
            return listing->files[i].state == state;
    return false;
}

static void everything_is_listed_once(void **state)
{
    CLEANUP(memory_free) struct write_listing *listing = NULL;
    CLEANUP(memory_free) struct write_listing *staged = NULL;
    struct write_bed *bed = *state;
    struct write_attributes attributes;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "x", 1);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    write_bed_put(bed, OTHER_ID, "queued", WRITABLE);
    write_stream_close(write_bed_open_file(bed, OTHER_ID ".part", CREATE));
    write_bed_put(bed, "22222222-2222-4222-8222-222222222222", "queued", WRITABLE);
    write_bed_put(bed, "33333333-2222-4222-8222-222222222222", "active", WRITABLE);
    write_bed_put(bed, "44444444-2222-4222-8222-222222222222", "queued", "\"name\": \"plain\"");
    write_bed_put(bed, "55555555-2222-4222-8222-222222222222", "queued", FOREIGN);
    assert_succeeds(write_index_list(bed->index, NULL, &listing, &err));
    assert_int_equal(listing->count, 4);
    assert_true(lists(listing, IMAGE_ID, WRITE_SEALED));
    assert_true(lists(listing, OTHER_ID, WRITE_QUEUED));
    assert_true(lists(listing, OTHER_ID ".part", WRITE_STAGING));
    assert_true(lists(listing, "22222222-2222-4222-8222-222222222222", WRITE_QUEUED));
    assert_int_equal(
        write_index_peek(bed->index, "22222222-2222-4222-8222-222222222222", &attributes),
        WRITE_PRESENT);
    assert_succeeds(write_index_list_staged(bed->index, &staged, &err));
    assert_int_equal(staged->count, 2);
}

static void a_staging_under_the_images_name_is_listed_once(void **state)
{
    CLEANUP(memory_free) struct write_listing *listing = NULL;
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 100);
    write_stream_close(write_bed_open_file(bed, IMAGE_ID, CREATE));
    assert_succeeds(write_index_list(bed->index, NULL, &listing, &err));
    assert_int_equal(listing->count, 1);
    assert_int_equal(listing->files[0].state, WRITE_STAGING);
}

static void many_images_are_listed(void **state)
{
    CLEANUP(memory_free) struct write_listing *listing = NULL;
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;
    char id[37];

    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(id, sizeof id, "22222222-2222-4222-8222-%012u", i);
        write_bed_put(bed, id, "queued", WRITABLE);
    }
    assert_succeeds(write_index_list(bed->index, NULL, &listing, &err));
    assert_int_equal(listing->count, 201);
}

static void an_empty_cloud_gives_an_empty_list(void **state)
{
    CLEANUP(memory_free) struct write_listing *listing = NULL;
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    fake_cloud_remove(bed->cloud, IMAGE_ID);
    assert_succeeds(write_index_list(bed->index, NULL, &listing, &err));
    assert_int_equal(listing->count, 0);
}

/* --- rename --- */

static void other_renames_are_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
        unsigned flags;
        int errnum;
    } renames[] = {
        {IMAGE_PART, IMAGE_ID, RENAME_NOREPLACE, EEXIST},
        {IMAGE_PART, IMAGE_ID, RENAME_EXCHANGE, EINVAL},
        {IMAGE_PART, IMAGE_ID, RENAME_WHITEOUT, EINVAL},
        {IMAGE_PART, IMAGE_ID, RENAME_NOREPLACE | RENAME_EXCHANGE, EINVAL},
        {IMAGE_PART, OTHER_ID, 0, EACCES},
        {IMAGE_PART, OTHER_ID ".part", 0, EACCES},
        {IMAGE_PART, IMAGE_TEMPORARY, 0, EACCES},
        {IMAGE_PART, IMAGE_PART, 0, EACCES},
        {IMAGE_PART, "disk.img", 0, EACCES},
        {IMAGE_ID, IMAGE_PART, 0, EACCES},
        {IMAGE_ID, "disk.img", 0, EACCES},
        {IMAGE_TEMPORARY, IMAGE_ID, 0, ENOENT},
        {OTHER_ID ".part", OTHER_ID, 0, ENOENT},
        {"disk.img", IMAGE_ID, 0, ENOENT},
    };
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    for (size_t i = 0; i < ELEMENTS_OF(renames); i++) {
        err = (struct error)ERROR_INIT;
        assert_int_equal(write_index_rename(bed->index, renames[i].from, renames[i].to,
                                            renames[i].flags, NULL, &err),
                         -1);
        if (err.errnum != renames[i].errnum)
            fail_msg("%s to %s: %s", renames[i].from, renames[i].to, err.message);
    }
    assert_state(bed, IMAGE_PART, "staging");
}

/* As mv does first, after somebody removed the image's name. */
static void a_rename_that_replaces_nothing_works_on_a_removed_name(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    assert_succeeds(write_index_remove(bed->index, IMAGE_ID, NULL, &err));
    assert_state(bed, IMAGE_PART, "staging");
    assert_succeeds(
        write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, RENAME_NOREPLACE, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "hello", 5);
    assert_file_size(bed, IMAGE_ID, 5);
}

/* --- removal --- */

static void removing_gives_the_staging_up(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    assert_succeeds(write_index_remove(bed->index, IMAGE_PART, NULL, &err));
    assert_absent(bed, IMAGE_PART);
    assert_state(bed, IMAGE_ID, "queued");
    assert_int_equal(fake_staging_unsealed(bed->staging), 0);
    assert_int_equal(secure_arena_used(bed->arena), bed->arena_used);
    assert_fails(ERROR_NOT_FOUND, write_index_remove(bed->index, IMAGE_PART, NULL, &err));
    assert_fails(ERROR_NOT_FOUND, write_index_remove(bed->index, "disk.img", NULL, &err));
}

/* As install, tar and cp --remove-destination do. */
static void a_queued_image_can_be_removed_and_created_anew(void **state)
{
    CLEANUP(memory_free) struct write_listing *listing = NULL;
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    write_bed_declare(bed, 5);
    for (int round = 0; round < 2; round++) {
        assert_succeeds(write_index_remove(bed->index, IMAGE_ID, NULL, &err));
        assert_absent(bed, IMAGE_ID);
        assert_succeeds(write_index_list(bed->index, NULL, &listing, &err));
        assert_int_equal(listing->count, 0);
        free(steal(&listing));
        stream = write_bed_open_file(bed, IMAGE_ID, O_WRONLY | O_CREAT | O_EXCL);
        write_bed_write(stream, "hell", 4, 0);
        write_stream_close(stream);
        assert_state(bed, IMAGE_ID, "staging");
    }
}

static void a_size_by_xattr_outlives_a_removal(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    assert_succeeds(
        write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.size", "5", 1, NULL, &err));
    assert_succeeds(write_index_remove(bed->index, IMAGE_ID, NULL, &err));
    write_stream_close(write_bed_open_file(bed, IMAGE_ID, CREATE | O_EXCL));
    assert_succeeds(write_index_remove(bed->index, IMAGE_ID, NULL, &err));
    write_stream_close(write_bed_open_file(bed, IMAGE_ID, CREATE | O_EXCL));
}

static void a_sealed_upload_cannot_be_removed(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_fails(ERROR_BUSY, write_index_remove(bed->index, IMAGE_ID, NULL, &err));
    assert_message_has("glancefs uploads drop");
    assert_fails(ERROR_NOT_FOUND, write_index_remove(bed->index, IMAGE_PART, NULL, &err));
}

/* --- truncate by path --- */

static void truncating_a_path_is_a_short_write(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    assert_errno(EDESTADDRREQ, write_index_truncate(bed->index, IMAGE_ID, 0, NULL, &err));
    assert_errno(ENOENT, write_index_truncate(bed->index, IMAGE_PART, 0, NULL, &err));
    write_bed_create(bed, "hello", 5);
    assert_succeeds(write_index_truncate(bed->index, IMAGE_PART, 2, NULL, &err));
    stream = write_bed_open_file(bed, IMAGE_PART, O_WRONLY);
    assert_errno(EBUSY, write_index_truncate(bed->index, IMAGE_PART, 1, NULL, &err));
    write_stream_close(stream);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_sealed(bed, IMAGE_ID, "he", 2);
}

/* --- expiry --- */

static void idle_stagings_expire(void **state)
{
    struct write_bed *bed = *state;
    const uint64_t ttl_ns = 10 * NANOSECONDS_PER_SECOND;

    bed->config->staging_ttl_seconds = 10;
    write_bed_create(bed, "hello", 5);
    write_index_sweep(bed->index, clock_monotonic_ns() + ttl_ns / 2);
    assert_state(bed, IMAGE_PART, "staging");
    write_index_sweep(bed->index, clock_monotonic_ns() + ttl_ns);
    assert_absent(bed, IMAGE_PART);
    assert_int_equal(fake_staging_unsealed(bed->staging), 0);
    assert_int_equal(secure_arena_used(bed->arena), bed->arena_used);
}

static void open_files_do_not_expire(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);

    write_index_sweep(bed->index, UINT64_MAX);
    assert_state(bed, IMAGE_PART, "staging");
    write_stream_close(stream);
    stream = write_bed_open_file(bed, IMAGE_PART, O_RDONLY);
    write_index_sweep(bed->index, UINT64_MAX);
    assert_state(bed, IMAGE_PART, "staging");
    write_stream_close(stream);
    write_index_sweep(bed->index, UINT64_MAX);
    assert_absent(bed, IMAGE_PART);
}

static void poisoned_and_declared_ones_expire_too(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    struct error err = ERROR_INIT;

    assert_errno(EIO, write_stream_flush(stream, true, &err));
    write_stream_close(stream);
    wait_until(fake_staging_unsealed(bed->staging) == 0);
    write_bed_put(bed, OTHER_ID, "queued", WRITABLE);
    assert_succeeds(
        write_index_set_xattr(bed->index, OTHER_ID, "user.glancefs.size", "5", 1, NULL, &err));
    wait_until((write_index_sweep(bed->index, UINT64_MAX),
                write_index_open(bed->index, IMAGE_PART, O_RDONLY, NULL, &stream, &err)) < 0);
    assert_absent(bed, IMAGE_PART);
    assert_errno(EDESTADDRREQ,
                 write_index_open(bed->index, OTHER_ID, O_WRONLY, NULL, &stream, &err));
}

/* --- xattrs --- */

static char *get_xattr(struct write_bed *bed, const char *name, const char *xattr)
{
    struct error err = ERROR_INIT;
    char *text = NULL;

    if (write_index_get_xattr(bed->index, name, xattr, NULL, &text, &err) < 0)
        assert_int_equal(err.errnum, ENODATA);
    return text;
}

static void assert_xattr(struct write_bed *bed, const char *name, const char *xattr,
                         const char *expected)
{
    CLEANUP(memory_free) char *text = get_xattr(bed, name, xattr);

    if (expected == NULL)
        assert_null(text);
    else
        assert_string_equal(text, expected);
}

static void xattrs_say_state_size_and_error(void **state)
{
    struct write_bed *bed = *state;
    struct write_stream *stream;
    struct error err = ERROR_INIT;

    assert_xattr(bed, IMAGE_ID, "user.glancefs.state", "queued");
    assert_xattr(bed, IMAGE_ID, "user.glancefs.size", NULL);
    assert_xattr(bed, IMAGE_ID, "user.glancefs.error", NULL);
    write_bed_put(bed, OTHER_ID, "queued", WRITABLE ", \"os_decrypt_size\": \"77\"");
    assert_xattr(bed, OTHER_ID, "user.glancefs.size", "77");
    assert_succeeds(
        write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.size", "5", 1, NULL, &err));
    assert_xattr(bed, IMAGE_ID, "user.glancefs.size", "5");
    stream = write_bed_open_file(bed, IMAGE_PART, CREATE);
    assert_xattr(bed, IMAGE_PART, "user.glancefs.size", "5");
    assert_errno(EIO, write_stream_flush(stream, true, &err));
    assert_xattr(bed, IMAGE_PART, "user.glancefs.state", "poisoned");
    assert_xattr(bed, IMAGE_PART, "user.glancefs.error", "its writer was killed");
    assert_xattr(bed, IMAGE_ID, "user.glancefs.error", NULL);
    write_stream_close(stream);
    write_bed_create(bed, "hello", 5);
    assert_succeeds(write_index_rename(bed->index, IMAGE_PART, IMAGE_ID, 0, NULL, &err));
    assert_xattr(bed, IMAGE_ID, "user.glancefs.size", "5");
    fake_staging_set_state(bed->staging, IMAGE_ID, UPLOAD_FAILED, "over quota");
    assert_xattr(bed, IMAGE_ID, "user.glancefs.error", "over quota");
}

static void the_commit_xattr_is_write_only(void **state)
{
    CLEANUP(memory_free) char *names = NULL;
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;
    size_t size;

    write_bed_create(bed, "x", 1);
    assert_xattr(bed, IMAGE_PART, "user.glancefs.commit", NULL);
    assert_succeeds(write_index_list_xattrs(bed->index, IMAGE_PART, NULL, &names, &size, &err));
    assert_int_equal(size, sizeof "user.glancefs.state");
    assert_memory_equal(names, "user.glancefs.state", size);
}

static void declared_sizes_are_listed(void **state)
{
    static const char expected[] = "user.glancefs.state\0user.glancefs.size";
    CLEANUP(memory_free) char *names = NULL;
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;
    size_t size;

    write_bed_declare(bed, 5);
    assert_succeeds(write_index_list_xattrs(bed->index, IMAGE_ID, NULL, &names, &size, &err));
    assert_int_equal(size, sizeof expected);
    assert_memory_equal(names, expected, size);
}

static void other_xattrs_are_absent_without_asking(void **state)
{
    static const char *const names[] = {"security.selinux", "user.glance.name", "user.x",
                                        "system.posix_acl_access", ""};
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(names); i++) {
        assert_xattr(bed, IMAGE_ID, names[i], NULL);
        assert_fails(ERROR_UNSUPPORTED,
                     write_index_set_xattr(bed->index, IMAGE_ID, names[i], "1", 1, NULL, &err));
    }
    assert_int_equal(fake_cloud_calls(bed->cloud).gets, 0);
    assert_fails(ERROR_UNSUPPORTED,
                 write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.state", "active", 6,
                                       NULL, &err));
}

static void sizes_that_contradict_are_refused(void **state)
{
    static const char *const values[] = {
        "", "-1", "x", "5x", "0x5", " 5", "5 ", "5\n", "99999999999999999999"};
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(values); i++)
        assert_errno(EINVAL, write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.size",
                                                   values[i], strlen(values[i]), NULL, &err));
    write_bed_create(bed, "hello", 5);
    assert_errno(EINVAL, write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.size", "4", 1,
                                               NULL, &err));
    assert_errno(EBUSY, write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.size", "5", 1,
                                              NULL, &err));
    assert_state(bed, IMAGE_PART, "staging");
    write_bed_declare(bed, 6);
    assert_errno(EINVAL, write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.size", "5", 1,
                                               NULL, &err));
    assert_errno(ENOENT, write_index_set_xattr(bed->index, IMAGE_TEMPORARY, "user.glancefs.size",
                                               "5", 1, NULL, &err));
}

static void declaring_needs_the_right_to_write(void **state)
{
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_put(bed, IMAGE_ID, "queued", FOREIGN);
    assert_fails(ERROR_DENIED, write_index_set_xattr(bed->index, IMAGE_ID, "user.glancefs.size",
                                                     "5", 1, NULL, &err));
}

static void a_declaration_that_fails_on_disk_poisons(void **state)
{
    const struct fake_staging_faults faults = {.fails_begin = true};
    struct write_bed *bed = *state;
    struct error err = ERROR_INIT;

    write_bed_create(bed, "hello", 5);
    fake_staging_misbehave(bed->staging, &faults);
    assert_fails(ERROR_NO_SPACE, write_index_set_xattr(bed->index, IMAGE_PART, "user.glancefs.size",
                                                       "5", 1, NULL, &err));
    assert_state(bed, IMAGE_PART, "poisoned");
}

static void names_of_states_are_those_of_the_manual(void **state)
{
    (void)state;
    assert_string_equal(write_state_name(WRITE_QUEUED), "queued");
    assert_string_equal(write_state_name(WRITE_FAILED), "failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        write_test(a_queued_image_is_an_empty_file),
        write_test(only_queued_images_are_files),
        write_test(memory_answers_for_names_that_need_no_service),
        write_test(a_sealed_image_is_never_seen_empty),
        write_test(states_follow_the_upload),
        write_test(a_failing_service_is_no_absence),
        write_test(records_are_given_for_their_properties),
        write_test(everything_is_listed_once),
        write_test(a_staging_under_the_images_name_is_listed_once),
        write_test(many_images_are_listed),
        write_test(an_empty_cloud_gives_an_empty_list),
        write_test(other_renames_are_refused),
        write_test(a_rename_that_replaces_nothing_works_on_a_removed_name),
        write_test(removing_gives_the_staging_up),
        write_test(a_queued_image_can_be_removed_and_created_anew),
        write_test(a_size_by_xattr_outlives_a_removal),
        write_test(a_sealed_upload_cannot_be_removed),
        write_test(truncating_a_path_is_a_short_write),
        write_test(idle_stagings_expire),
        write_test(open_files_do_not_expire),
        write_test(poisoned_and_declared_ones_expire_too),
        write_test(xattrs_say_state_size_and_error),
        write_test(the_commit_xattr_is_write_only),
        write_test(declared_sizes_are_listed),
        write_test(other_xattrs_are_absent_without_asking),
        write_test(sizes_that_contradict_are_refused),
        write_test(declaring_needs_the_right_to_write),
        write_test(a_declaration_that_fails_on_disk_poisons),
        write_test(names_of_states_are_those_of_the_manual),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
