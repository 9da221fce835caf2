/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/upload_staging.h"

#include "base/clock.h"
#include "staging_fixture.h"
#include "support/child_process.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void sleep_milliseconds(long milliseconds)
{
    const struct timespec span = {.tv_nsec = milliseconds * 1000000};

    (void)nanosleep(&span, NULL);
}

static void assert_active(const struct staging_fixture *fixture, const char *id)
{
    assert_true(scripted_image_service_holds(fixture->images, id, fixture->bytes, fixture->size));
}

/* --- the way from sealed to active --- */

static void a_sealed_upload_waits_until_the_start(void **state)
{
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct upload_info info;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(upload_staging_query(fixture->staging, IMAGE_ID, &info, &err));
    assert_string_equal(info.image_id, IMAGE_ID);
    assert_int_equal(info.state, UPLOAD_SEALED);
    assert_int_equal(info.stored_bytes, fixture->size);
    assert_int_equal(info.plaintext_bytes, fixture->size - 100);
    assert_int_equal(info.sent_bytes, 0);
    assert_int_equal(info.attempts, 0);
    assert_true(info.sealed_at > 1700000000);
    assert_string_equal(info.error, "");
    assert_int_equal(scripted_image_service_looks(fixture->images), 0);
}

static void what_was_sealed_before_the_start_becomes_active(void **state)
{
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    staging_fixture_restart(fixture);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    assert_succeeds(upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
    assert_active(fixture, IMAGE_ID);
    assert_true(scripted_image_service_has_property(fixture->images, IMAGE_ID, "os_decrypt_size",
                                                    "299917"));
    assert_int_equal(scripted_image_service_uploads(fixture->images), 1);
}

static void what_is_sealed_after_the_start_becomes_active_at_once(void **state)
{
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
    assert_active(fixture, IMAGE_ID);
}

static void an_active_upload_leaves_nothing_but_its_memory(void **state)
{
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct upload_info info;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(upload_staging_send(fixture->staging, IMAGE_ID, NULL, NULL, &err));
    assert_int_equal(staging_fixture_files(fixture), 0);
    assert_succeeds(upload_staging_query(fixture->staging, IMAGE_ID, &info, &err));
    assert_int_equal(info.state, UPLOAD_ACTIVE);
    assert_int_equal(info.sent_bytes, fixture->size);
    assert_int_equal(info.attempts, 1);
    staging_fixture_restart(fixture);
    assert_fails(ERROR_NOT_FOUND, upload_staging_query(fixture->staging, IMAGE_ID, &info, &err));
}

static void many_uploads_end_two_at_a_time(void **state)
{
    static const char *const ids[] = {IMAGE_ID, OTHER_ID, THIRD_ID,
                                      "00000000-0000-4000-8000-000000000001",
                                      "00000000-0000-4000-8000-000000000002"};
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(ids); i++) {
        scripted_image_service_add(fixture->images, ids[i], NULL, 0);
        staging_fixture_seal(fixture, ids[i]);
    }
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    for (size_t i = 0; i < ELEMENTS_OF(ids); i++) {
        assert_succeeds(upload_staging_wait(fixture->staging, ids[i], NULL, &err));
        assert_active(fixture, ids[i]);
    }
    assert_in_range(scripted_image_service_most_at_once(fixture->images), 1, 2);
    assert_int_equal(scripted_image_service_uploads(fixture->images), ELEMENTS_OF(ids));
}

static void a_stuck_image_does_not_hold_up_the_others(void **state)
{
    static const struct scripted_upload stuck[] = {{.action = SCRIPT_STUCK}};
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct upload_info info;

    scripted_image_service_add(fixture->images, IMAGE_ID, stuck, 1);
    scripted_image_service_add(fixture->images, OTHER_ID, stuck, 1);
    scripted_image_service_add(fixture->images, THIRD_ID, NULL, 0);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    staging_fixture_seal(fixture, OTHER_ID);
    staging_fixture_seal(fixture, THIRD_ID);
    assert_succeeds(upload_staging_wait(fixture->staging, THIRD_ID, NULL, &err));
    do {
        sleep_milliseconds(10);
        assert_succeeds(upload_staging_query(fixture->staging, IMAGE_ID, &info, &err));
    } while (info.error[0] == '\0');
    assert_true(info.state == UPLOAD_SEALED || info.state == UPLOAD_UPLOADING);
    assert_non_null(strstr(info.error, "saving"));
    assert_int_equal(info.attempts, 1);
}

static void an_upload_cut_short_by_the_end_is_resumed(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_HANGS}};
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    uint64_t begun_ns;

    scripted_image_service_add(fixture->images, IMAGE_ID, script, 1);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    while (scripted_image_service_uploads(fixture->images) == 0)
        sleep_milliseconds(1);
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_UPLOADING);
    begun_ns = clock_monotonic_ns();
    staging_fixture_restart(fixture);
    assert_true(clock_monotonic_ns() - begun_ns < NANOSECONDS_PER_SECOND / 2);
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_SEALED);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    assert_succeeds(upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
    assert_active(fixture, IMAGE_ID);
}

static void the_worker_finds_what_another_process_sealed(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(upload_staging_free)
    struct upload_staging *daemon = staging_fixture_again(fixture, CLOUD, PROJECT);
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    assert_succeeds(upload_staging_start(daemon, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
    assert_active(fixture, IMAGE_ID);
}

static void two_workers_on_one_directory_send_each_upload_once(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(upload_staging_free)
    struct upload_staging *second = staging_fixture_again(fixture, CLOUD, PROJECT);
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    scripted_image_service_add(fixture->images, OTHER_ID, NULL, 0);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    assert_succeeds(upload_staging_start(second, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    staging_fixture_seal(fixture, OTHER_ID);
    assert_succeeds(upload_staging_wait(second, IMAGE_ID, NULL, &err));
    assert_succeeds(upload_staging_wait(second, OTHER_ID, NULL, &err));
    assert_int_equal(scripted_image_service_uploads(fixture->images), 2);
    assert_active(fixture, IMAGE_ID);
    assert_active(fixture, OTHER_ID);
}

/* --- refusals --- */

static void a_refused_upload_stays_failed_and_is_not_sent_again(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_REFUSED, .kind = ERROR_TOO_LARGE}};
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;
    struct upload_info info;

    scripted_image_service_add(fixture->images, IMAGE_ID, script, 1);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_fails(ERROR_TOO_LARGE, upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
    staging_fixture_restart(fixture);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    sleep_milliseconds(60);
    assert_succeeds(upload_staging_query(fixture->staging, IMAGE_ID, &info, &err));
    assert_int_equal(info.state, UPLOAD_FAILED);
    assert_int_equal(info.attempts, 1);
    assert_non_null(strstr(info.error, "as the script says"));
    assert_int_equal(scripted_image_service_uploads(fixture->images), 1);
    assert_true(staging_fixture_has(fixture, IMAGE_ID, ".data"));
}

static void a_failed_upload_can_be_sent_again(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_REFUSED, .kind = ERROR_INVALID}};
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, script, 1);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_fails(ERROR_INVALID, upload_staging_send(fixture->staging, IMAGE_ID, NULL, NULL, &err));
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_FAILED);
    assert_succeeds(upload_staging_send(fixture->staging, IMAGE_ID, NULL, NULL, &err));
    assert_active(fixture, IMAGE_ID);
    assert_int_equal(staging_fixture_files(fixture), 0);
}

static void a_failed_upload_can_go_to_another_image(void **state)
{
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, OTHER_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_fails(ERROR_NOT_FOUND,
                 upload_staging_send(fixture->staging, IMAGE_ID, NULL, NULL, &err));
    assert_succeeds(upload_staging_send(fixture->staging, IMAGE_ID, OTHER_ID, NULL, &err));
    assert_active(fixture, OTHER_ID);
    assert_true(scripted_image_service_has_property(fixture->images, OTHER_ID, "os_decrypt_size",
                                                    "299917"));
    assert_int_equal(staging_fixture_files(fixture), 0);
}

static void what_another_target_answers_does_not_fail_the_upload(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_REFUSED, .kind = ERROR_DENIED}};
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, OTHER_ID, script, 1);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_fails(ERROR_DENIED,
                 upload_staging_send(fixture->staging, IMAGE_ID, OTHER_ID, NULL, &err));
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_SEALED);
}

struct ends {
    atomic_uint active, refused;
};

static void count_end(void *context, const char *image_id, const struct error *err)
{
    struct ends *ends = context;

    if (err == NULL && strcmp(image_id, IMAGE_ID) == 0)
        atomic_fetch_add(&ends->active, 1);
    if (err != NULL && err->kind == ERROR_DENIED && strcmp(image_id, OTHER_ID) == 0)
        atomic_fetch_add(&ends->refused, 1);
}

static size_t count_of_uploads(const struct staging_fixture *fixture, const char *cloud,
                               const char *former_cloud)
{
    const struct upload_staging_parts parts = {.cache_path = fixture->path,
                                               .cloud = cloud,
                                               .former_cloud = former_cloud,
                                               .project_id = PROJECT,
                                               .images = fixture->images};
    CLEANUP(upload_staging_free) struct upload_staging *staging = NULL;
    CLEANUP(memory_free) struct upload_info *infos = NULL;
    struct error err = ERROR_INIT;
    size_t count = 0;

    assert_succeeds(upload_staging_new(&parts, &staging, &err));
    assert_succeeds(upload_staging_list(staging, &infos, &count, &err));
    return count;
}

/* An image of one region does not exist in another; earlier versions did not name it. */
static void uploads_of_a_former_name_are_ours_and_of_other_places_are_not(void **state)
{
    struct staging_fixture *fixture = *state;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_int_equal(count_of_uploads(fixture, CLOUD "@One", NULL), 0);
    assert_int_equal(count_of_uploads(fixture, CLOUD "@One", CLOUD), 1);
    assert_int_equal(count_of_uploads(fixture, CLOUD "@One", CLOUD "@Two"), 0);
}

static void each_end_in_the_background_is_told_once(void **state)
{
    static const struct scripted_upload late[] = {{.action = SCRIPT_CUT_OFF}};
    static const struct scripted_upload refused[] = {
        {.action = SCRIPT_REFUSED, .kind = ERROR_DENIED}};
    struct staging_fixture *fixture = *state;
    CLEANUP(upload_staging_free) struct upload_staging *staging = NULL;
    struct error err = ERROR_INIT;
    struct ends ends = {0};
    const struct upload_staging_parts parts = {.cache_path = fixture->path,
                                               .cloud = CLOUD,
                                               .project_id = PROJECT,
                                               .images = fixture->images,
                                               .first_retry_ms = 1,
                                               .last_retry_ms = 1,
                                               .max_uploads = 2,
                                               .on_end = count_end,
                                               .on_end_context = &ends};

    scripted_image_service_add(fixture->images, IMAGE_ID, late, 1);
    scripted_image_service_add(fixture->images, OTHER_ID, refused, 1);
    staging_fixture_seal(fixture, IMAGE_ID);
    staging_fixture_seal(fixture, OTHER_ID);
    assert_succeeds(upload_staging_new(&parts, &staging, &err));
    assert_succeeds(upload_staging_start(staging, &err));
    assert_succeeds(upload_staging_wait(staging, IMAGE_ID, NULL, &err));
    assert_fails(ERROR_DENIED, upload_staging_wait(staging, OTHER_ID, NULL, &err));
    sleep_milliseconds(50);
    upload_staging_free(steal(&staging));
    assert_int_equal(atomic_load(&ends.active), 1);
    assert_int_equal(atomic_load(&ends.refused), 1);
}

/* --- wait --- */

static void waiting_for_an_image_that_is_active_already_succeeds(void **state)
{
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    assert_fails(ERROR_NOT_FOUND, upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
    scripted_image_service_set_status(fixture->images, IMAGE_ID, "active");
    assert_succeeds(upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
    assert_fails(ERROR_NOT_FOUND, upload_staging_wait(fixture->staging, OTHER_ID, NULL, &err));
    assert_fails(ERROR_NOT_FOUND, upload_staging_wait(fixture->staging, "../x", NULL, &err));
}

static void a_wait_can_be_cancelled(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, upload_staging_wait(fixture->staging, IMAGE_ID, cancel, &err));
    assert_fails(ERROR_CANCELLED,
                 upload_staging_send(fixture->staging, IMAGE_ID, NULL, cancel, &err));
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_SEALED);
}

struct canceller {
    struct cancel *cancel;
    struct image_service *images;
    unsigned looks; /* to have been seen before */
};

static void *cancel_later(void *argument)
{
    struct canceller *canceller = argument;

    while (scripted_image_service_looks(canceller->images) < canceller->looks)
        sleep_milliseconds(1);
    cancel_request(canceller->cancel);
    return NULL;
}

static void sending_is_cancelled_in_milliseconds(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_HANGS}};
    struct staging_fixture *fixture = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    struct canceller canceller;
    pthread_t thread;

    scripted_image_service_add(fixture->images, IMAGE_ID, script, 1);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(cancel_new(&cancel, &err));
    canceller = (struct canceller){cancel, fixture->images, 1};
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &canceller), 0);
    assert_fails(ERROR_CANCELLED,
                 upload_staging_send(fixture->staging, IMAGE_ID, NULL, cancel, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_SEALED);
}

static void a_send_that_backs_off_is_cancelled_too(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;
    struct canceller canceller;
    pthread_t thread;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    scripted_image_service_fail_looks(fixture->images, ERROR_UNAVAILABLE, 1000);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(cancel_new(&cancel, &err));
    canceller = (struct canceller){cancel, fixture->images, 4};
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &canceller), 0);
    assert_fails(ERROR_CANCELLED,
                 upload_staging_send(fixture->staging, IMAGE_ID, NULL, cancel, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

struct waiter {
    struct upload_staging *staging;
    int result;
    struct error err;
};

static void *wait_for_image(void *argument)
{
    struct waiter *waiter = argument;

    waiter->result = upload_staging_wait(waiter->staging, IMAGE_ID, NULL, &waiter->err);
    return NULL;
}

static void who_waits_for_an_upload_that_is_dropped_is_told(void **state)
{
    struct staging_fixture *fixture = *state;
    struct waiter waiter = {.staging = fixture->staging};
    struct error err = ERROR_INIT;
    pthread_t thread;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_image, &waiter), 0);
    sleep_milliseconds(20);
    assert_succeeds(upload_staging_drop(fixture->staging, IMAGE_ID, &err));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(waiter.result, -1);
    assert_int_equal(waiter.err.kind, ERROR_NOT_FOUND);
}

/* --- drop --- */

static void dropping_deletes_the_upload(void **state)
{
    struct staging_fixture *fixture = *state;
    struct error err = ERROR_INIT;

    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(upload_staging_drop(fixture->staging, IMAGE_ID, &err));
    assert_int_equal(staging_fixture_files(fixture), 0);
    assert_fails(ERROR_NOT_FOUND, upload_staging_drop(fixture->staging, IMAGE_ID, &err));
    assert_fails(ERROR_NOT_FOUND, upload_staging_drop(fixture->staging, "no-uuid", &err));
}

static void what_is_being_sent_is_neither_dropped_nor_sent_twice(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_HANGS}};
    struct staging_fixture *fixture = *state;
    CLEANUP(upload_staging_free)
    struct upload_staging *other = staging_fixture_again(fixture, CLOUD, PROJECT);
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, script, 1);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    while (scripted_image_service_uploads(fixture->images) == 0)
        sleep_milliseconds(1);
    assert_fails(ERROR_BUSY, upload_staging_drop(other, IMAGE_ID, &err));
    assert_fails(ERROR_BUSY, upload_staging_send(other, IMAGE_ID, NULL, NULL, &err));
    assert_int_equal(staging_fixture_state(other, IMAGE_ID), UPLOAD_UPLOADING);
}

/* A moment lies between the end of the journal and the memory of what was completed. */
static void an_upload_whose_journal_is_gone_is_known_until_its_attempt_ends(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_HANGS}};
    struct staging_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, ".json");
    struct error err = ERROR_INIT;
    struct upload_info info;

    scripted_image_service_add(fixture->images, IMAGE_ID, script, 1);
    assert_succeeds(upload_staging_start(fixture->staging, &err));
    staging_fixture_seal(fixture, IMAGE_ID);
    while (scripted_image_service_uploads(fixture->images) == 0)
        sleep_milliseconds(1);
    assert_int_equal(unlinkat(temp_dir_fd(fixture->dir), path, 0), 0);
    assert_succeeds(upload_staging_query(fixture->staging, IMAGE_ID, &info, &err));
    assert_int_equal(info.state, UPLOAD_UPLOADING);
    assert_string_equal(info.image_id, IMAGE_ID);
}

/* --- whose uploads --- */

static void foreign_uploads_are_left_alone(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(upload_staging_free)
    struct upload_staging *other_cloud = staging_fixture_again(fixture, "openstack", PROJECT);
    CLEANUP(upload_staging_free)
    struct upload_staging *other_project = staging_fixture_again(fixture, CLOUD, "");
    struct upload_staging *const others[] = {other_cloud, other_project};

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    for (size_t i = 0; i < ELEMENTS_OF(others); i++) {
        CLEANUP(memory_free) struct upload_info *infos = NULL;
        struct staged_upload *upload = NULL;
        struct error err = ERROR_INIT;
        struct upload_info info;
        size_t count = 1;

        assert_succeeds(upload_staging_start(others[i], &err));
        sleep_milliseconds(60);
        assert_fails(ERROR_NOT_FOUND, upload_staging_query(others[i], IMAGE_ID, &info, &err));
        assert_succeeds(upload_staging_list(others[i], &infos, &count, &err));
        assert_int_equal(count, 0);
        assert_fails(ERROR_DENIED, upload_staging_drop(others[i], IMAGE_ID, &err));
        assert_fails(ERROR_DENIED, upload_staging_send(others[i], IMAGE_ID, NULL, NULL, &err));
        assert_fails(ERROR_NOT_FOUND, upload_staging_wait(others[i], IMAGE_ID, NULL, &err));
        assert_fails(ERROR_EXISTS, staged_upload_new(others[i], IMAGE_ID, &upload, &err));
    }
    assert_int_equal(scripted_image_service_uploads(fixture->images), 0);
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_SEALED);
}

/* --- what cannot be read --- */

static void damaged_and_newer_journals_are_shown_and_left_alone(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
        enum error_kind kind;
    } journals[] = {
        {"", "damaged", ERROR_CORRUPT},
        {"{\"version\":1}\n", "damaged", ERROR_CORRUPT},
        {"{\"version\":3,\"image_id\":[]}\n", "version 3", ERROR_UNSUPPORTED},
    };
    struct staging_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, ".json");

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    for (size_t i = 0; i < ELEMENTS_OF(journals); i++) {
        CLEANUP(memory_free) struct upload_info *infos = NULL;
        CLEANUP(memory_free) uint8_t *text = NULL;
        struct error err = ERROR_INIT;
        size_t count = 0;

        temp_dir_write(fixture->dir, path, journals[i].text, strlen(journals[i].text));
        staging_fixture_restart(fixture);
        assert_succeeds(upload_staging_start(fixture->staging, &err));
        sleep_milliseconds(60);
        assert_succeeds(upload_staging_list(fixture->staging, &infos, &count, &err));
        assert_int_equal(count, 1);
        assert_int_equal(infos[0].state, UPLOAD_FAILED);
        assert_int_equal(infos[0].stored_bytes, fixture->size);
        assert_string_equal(infos[0].image_id, IMAGE_ID);
        assert_non_null(strstr(infos[0].error, journals[i].reason));
        assert_fails(journals[i].kind,
                     upload_staging_send(fixture->staging, IMAGE_ID, NULL, NULL, &err));
        assert_fails(journals[i].kind, upload_staging_wait(fixture->staging, IMAGE_ID, NULL, &err));
        text = temp_dir_read(fixture->dir, path, NULL);
        assert_string_equal((char *)text, journals[i].text);
    }
    assert_true(staging_fixture_has(fixture, IMAGE_ID, ".data"));
    assert_int_equal(scripted_image_service_looks(fixture->images), 0);
}

static void an_unreadable_upload_can_be_dropped(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, ".json");
    struct error err = ERROR_INIT;

    staging_fixture_seal(fixture, IMAGE_ID);
    temp_dir_write(fixture->dir, path, "x", 1);
    assert_succeeds(upload_staging_drop(fixture->staging, IMAGE_ID, &err));
    assert_int_equal(staging_fixture_files(fixture), 0);
}

static void an_upload_whose_data_are_missing_is_shown_as_failed(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, ".data");
    struct error err = ERROR_INIT;
    struct upload_info info;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_int_equal(unlinkat(temp_dir_fd(fixture->dir), path, 0), 0);
    staging_fixture_restart(fixture);
    assert_succeeds(upload_staging_query(fixture->staging, IMAGE_ID, &info, &err));
    assert_int_equal(info.state, UPLOAD_FAILED);
    assert_non_null(strstr(info.error, "missing"));
    assert_fails(ERROR_CORRUPT, upload_staging_send(fixture->staging, IMAGE_ID, NULL, NULL, &err));
    assert_succeeds(upload_staging_drop(fixture->staging, IMAGE_ID, &err));
    assert_int_equal(staging_fixture_files(fixture), 0);
}

static void staged_bytes_that_changed_never_become_an_image(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(memory_free) char *path = staging_fixture_file(IMAGE_ID, ".data");
    struct error err = ERROR_INIT;

    scripted_image_service_add(fixture->images, IMAGE_ID, NULL, 0);
    staging_fixture_seal(fixture, IMAGE_ID);
    fixture->bytes[1000] ^= 1;
    temp_dir_write(fixture->dir, path, fixture->bytes, fixture->size);
    assert_fails(ERROR_CORRUPT, upload_staging_send(fixture->staging, IMAGE_ID, NULL, NULL, &err));
    assert_int_equal(staging_fixture_state(fixture->staging, IMAGE_ID), UPLOAD_FAILED);
    assert_false(
        scripted_image_service_holds(fixture->images, IMAGE_ID, fixture->bytes, fixture->size));
    assert_true(staging_fixture_has(fixture, IMAGE_ID, ".data"));
}

/* --- list, purge, names --- */

static void the_list_is_in_the_order_of_sealing(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(memory_free) struct upload_info *infos = NULL;
    struct error err = ERROR_INIT;
    size_t count = 0;

    staging_fixture_seal(fixture, THIRD_ID);
    sleep_milliseconds(999);
    sleep_milliseconds(50);
    staging_fixture_seal(fixture, OTHER_ID);
    staging_fixture_seal(fixture, IMAGE_ID);
    assert_succeeds(upload_staging_list(fixture->staging, &infos, &count, &err));
    assert_int_equal(count, 3);
    assert_string_equal(infos[0].image_id, THIRD_ID);
    assert_true(infos[1].sealed_at <= infos[2].sealed_at);
}

static int begin_and_die(void *context)
{
    struct staging_fixture *fixture = context;
    struct staged_upload *upload = NULL;
    struct error err = ERROR_INIT;

    if (staged_upload_new(fixture->staging, IMAGE_ID, &upload, &err) < 0 ||
        byte_sink_write(staged_upload_sink(upload), "half", 4, NULL, &err) < 0)
        return 1;
    return 0;
}

static void what_a_dead_writer_left_is_purged(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(memory_free) char *stray = staging_fixture_file("notes", ".txt");

    temp_dir_write(fixture->dir, stray, "kept", 4);
    assert_int_equal(run_in_child(begin_and_die, fixture), 0);
    assert_true(staging_fixture_has(fixture, IMAGE_ID, ".part"));
    staging_fixture_restart(fixture);
    assert_false(staging_fixture_has(fixture, IMAGE_ID, ".part"));
    assert_true(temp_dir_has(fixture->dir, stray));
}

static void what_a_living_writer_holds_is_not_purged(void **state)
{
    struct staging_fixture *fixture = *state;
    CLEANUP(staged_upload_free)
    struct staged_upload *upload = staging_fixture_begin(fixture, IMAGE_ID);
    CLEANUP(upload_staging_free)
    struct upload_staging *other = staging_fixture_again(fixture, CLOUD, PROJECT);
    struct staged_upload *second = NULL;
    struct error err = ERROR_INIT;

    assert_true(staging_fixture_has(fixture, IMAGE_ID, ".part"));
    assert_fails(ERROR_BUSY, staged_upload_new(other, IMAGE_ID, &second, &err));
    assert_succeeds(byte_sink_commit(staged_upload_sink(upload), NULL, &err));
    assert_fails(ERROR_EXISTS, staged_upload_new(other, IMAGE_ID, &second, &err));
}

static void states_have_the_names_users_see(void **state)
{
    (void)state;
    assert_string_equal(upload_state_name(UPLOAD_SEALED), "sealed");
    assert_string_equal(upload_state_name(UPLOAD_UPLOADING), "uploading");
    assert_string_equal(upload_state_name(UPLOAD_ACTIVE), "active");
    assert_string_equal(upload_state_name(UPLOAD_FAILED), "failed");
}

#define staging_test(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, staging_fixture_open, staging_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        staging_test(a_sealed_upload_waits_until_the_start),
        staging_test(what_was_sealed_before_the_start_becomes_active),
        staging_test(what_is_sealed_after_the_start_becomes_active_at_once),
        staging_test(an_active_upload_leaves_nothing_but_its_memory),
        staging_test(many_uploads_end_two_at_a_time),
        staging_test(a_stuck_image_does_not_hold_up_the_others),
        staging_test(an_upload_cut_short_by_the_end_is_resumed),
        staging_test(the_worker_finds_what_another_process_sealed),
        staging_test(two_workers_on_one_directory_send_each_upload_once),
        staging_test(a_refused_upload_stays_failed_and_is_not_sent_again),
        staging_test(a_failed_upload_can_be_sent_again),
        staging_test(a_failed_upload_can_go_to_another_image),
        staging_test(what_another_target_answers_does_not_fail_the_upload),
        staging_test(uploads_of_a_former_name_are_ours_and_of_other_places_are_not),
        staging_test(each_end_in_the_background_is_told_once),
        staging_test(waiting_for_an_image_that_is_active_already_succeeds),
        staging_test(a_wait_can_be_cancelled),
        staging_test(sending_is_cancelled_in_milliseconds),
        staging_test(a_send_that_backs_off_is_cancelled_too),
        staging_test(who_waits_for_an_upload_that_is_dropped_is_told),
        staging_test(dropping_deletes_the_upload),
        staging_test(what_is_being_sent_is_neither_dropped_nor_sent_twice),
        staging_test(an_upload_whose_journal_is_gone_is_known_until_its_attempt_ends),
        staging_test(foreign_uploads_are_left_alone),
        staging_test(damaged_and_newer_journals_are_shown_and_left_alone),
        staging_test(an_unreadable_upload_can_be_dropped),
        staging_test(an_upload_whose_data_are_missing_is_shown_as_failed),
        staging_test(staged_bytes_that_changed_never_become_an_image),
        staging_test(the_list_is_in_the_order_of_sealing),
        staging_test(what_a_dead_writer_left_is_purged),
        staging_test(what_a_living_writer_holds_is_not_purged),
        cmocka_unit_test(states_have_the_names_users_see),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
