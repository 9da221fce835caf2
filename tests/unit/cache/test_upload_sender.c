/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_sender.h"

#include "staging_fixture.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdlib.h>

/* A sealed upload of IMAGE_ID, taken in hand, and what its attempts answer. */
struct attempts {
    struct staging_fixture *fixture;
    struct staging_owner owner;
    struct upload_sender *sender;
    _Atomic uint64_t sent;
    struct error err;
};

static int open_attempts(void **state)
{
    struct attempts *attempts = calloc(1, sizeof *attempts);
    void *fixture = NULL;
    char *path;

    if (attempts == NULL || staging_fixture_open(&fixture) < 0)
        return -1;
    attempts->fixture = fixture;
    path = temp_dir_join(attempts->fixture->dir, "cache/staging");
    attempts->owner.dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    attempts->owner.cloud = CLOUD;
    attempts->owner.project_id = PROJECT;
    free(path);
    *state = attempts;
    return 0;
}

static int close_attempts(void **state)
{
    struct attempts *attempts = *state;
    void *fixture = attempts->fixture;

    upload_sender_free(attempts->sender);
    (void)close(attempts->owner.dir_fd);
    free(attempts);
    return staging_fixture_close(&fixture);
}

static void take_in_hand(struct attempts *attempts, const char *target)
{
    struct error err = ERROR_INIT;

    assert_succeeds(upload_sender_new(&attempts->owner, IMAGE_ID, target, &attempts->sender, &err));
}

/* Adds the image with its script, seals the upload and takes it in hand. */
static void prepare(struct attempts *attempts, const struct scripted_upload *script, size_t count)
{
    scripted_image_service_add(attempts->fixture->images, IMAGE_ID, script, count);
    staging_fixture_seal(attempts->fixture, IMAGE_ID);
    take_in_hand(attempts, NULL);
}

static enum upload_outcome attempt(struct attempts *attempts)
{
    attempts->err = (struct error)ERROR_INIT;
    return upload_sender_attempt(attempts->sender, attempts->fixture->images, &attempts->sent, NULL,
                                 &attempts->err);
}

static bool is_active_with_ours(const struct attempts *attempts)
{
    return scripted_image_service_holds(attempts->fixture->images, IMAGE_ID,
                                        attempts->fixture->bytes, attempts->fixture->size);
}

static unsigned uploads(const struct attempts *attempts)
{
    return scripted_image_service_uploads(attempts->fixture->images);
}

static void assert_done(struct attempts *attempts)
{
    const enum upload_outcome outcome = attempt(attempts);

    if (outcome != UPLOAD_OUTCOME_DONE)
        fail_msg("outcome %d: %s", (int)outcome, attempts->err.message);
    assert_true(is_active_with_ours(attempts));
    assert_int_equal(staging_fixture_files(attempts->fixture), 0);
}

static void assert_later(struct attempts *attempts, enum error_kind kind)
{
    assert_int_equal(attempt(attempts), UPLOAD_OUTCOME_LATER);
    assert_int_equal(attempts->err.kind, kind);
    assert_int_equal(staging_fixture_files(attempts->fixture), 2);
}

static struct upload_journal *read_journal(const struct attempts *attempts)
{
    struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;

    assert_succeeds(
        staging_directory_read_journal(attempts->owner.dir_fd, IMAGE_ID, &journal, &err));
    return journal;
}

/* Refused, and everybody can read so in the journal; the data are kept. */
static void assert_refused(struct attempts *attempts, enum error_kind kind, const char *text)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    const enum upload_outcome outcome = attempt(attempts);

    if (outcome != UPLOAD_OUTCOME_REFUSED || attempts->err.kind != kind ||
        strstr(attempts->err.message, text) == NULL)
        fail_msg("outcome %d, %s: %s", (int)outcome, error_kind_name(attempts->err.kind),
                 attempts->err.message);
    journal = read_journal(attempts);
    assert_true(journal->failed);
    assert_int_equal(journal->last_error.kind, kind);
    assert_non_null(strstr(journal->last_error.message, text));
    assert_true(staging_fixture_has(attempts->fixture, IMAGE_ID, ".data"));
}

/* --- it becomes active --- */

static void sets_the_properties_then_sends(void **state)
{
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 1);
    assert_int_equal(scripted_image_service_updates(attempts->fixture->images), 1);
    assert_true(scripted_image_service_has_property(attempts->fixture->images, IMAGE_ID,
                                                    "os_decrypt_size", "299917"));
    assert_int_equal(attempts->sent, attempts->fixture->size);
}

static void leaves_properties_alone_that_are_right(void **state)
{
    static const struct image_property properties[] = {{"os_decrypt_size", "299917"}};
    struct attempts *attempts = *state;
    struct error err = ERROR_INIT;

    prepare(attempts, NULL, 0);
    assert_succeeds(
        image_service_update(attempts->fixture->images, IMAGE_ID, properties, 1, NULL, &err));
    assert_done(attempts);
    assert_int_equal(scripted_image_service_updates(attempts->fixture->images), 1);
}

static void a_lost_reply_does_not_send_twice(void **state)
{
    static const enum error_kind kinds[] = {ERROR_UNAVAILABLE, ERROR_TIMEOUT,  ERROR_SYSTEM,
                                            ERROR_EXISTS,      ERROR_INVALID,  ERROR_DENIED,
                                            ERROR_NOT_FOUND,   ERROR_TOO_LARGE};
    struct attempts *attempts = *state;

    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++) {
        const struct scripted_upload script[] = {{.action = SCRIPT_REPLY_LOST, .kind = kinds[i]}};

        prepare(attempts, script, 1);
        assert_done(attempts);
        assert_int_equal(uploads(attempts), i + 1);
        upload_sender_free(steal(&attempts->sender));
        scripted_image_service_set_status(attempts->fixture->images, IMAGE_ID, "gone");
    }
}

/* The looks after the lost reply fail as well; a later one finds the image active. */
static void a_lost_reply_in_an_outage_does_not_send_twice(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_REPLY_LOST, .blind_looks = 3}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 1);
}

static void what_a_losing_writer_set_is_set_right(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_REPLY_LOST, .blind_looks = 1}};
    static const struct image_property theirs = {"os_decrypt_size", "1"};
    struct attempts *attempts = *state;
    struct image_service *images = attempts->fixture->images;
    struct error err;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_succeeds(image_service_update(images, IMAGE_ID, &theirs, 1, NULL, &err));
    scripted_image_service_fail_updates(images, ERROR_TIMEOUT, 1);
    assert_later(attempts, ERROR_TIMEOUT);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 1);
    assert_true(scripted_image_service_has_property(images, IMAGE_ID, "os_decrypt_size", "299917"));
}

static void an_image_still_being_saved_is_looked_at_later(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_SAVED_LATER, .looks = 2}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_BUSY);
    assert_later(attempts, ERROR_BUSY);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 1);
}

static void an_image_that_is_ours_already_is_not_sent(void **state)
{
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    assert_done(attempts);
    upload_sender_free(steal(&attempts->sender));
    staging_fixture_seal(attempts->fixture, IMAGE_ID);
    take_in_hand(attempts, NULL);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 1);
}

static void a_cut_off_upload_is_sent_again_whole(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_CUT_OFF}, {.action = SCRIPT_CUT_OFF, .kind = ERROR_TIMEOUT}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 2);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_later(attempts, ERROR_TIMEOUT);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 3);
}

static void a_service_may_start_anew_within_a_call(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_READ_TWICE}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_done(attempts);
}

static void a_service_away_for_long_is_asked_again(void **state)
{
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    scripted_image_service_fail_looks(attempts->fixture->images, ERROR_UNAVAILABLE, 20);
    for (int i = 0; i < 20; i++)
        assert_later(attempts, ERROR_UNAVAILABLE);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 1);
}

static void only_an_active_image_counts(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_FORGOTTEN}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_non_null(strstr(attempts->err.message, "still queued"));
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 2);
}

static void other_hash_algorithms_are_computed(void **state)
{
    struct attempts *attempts = *state;

    scripted_image_service_set_hash(attempts->fixture->images, "sha256", false);
    prepare(attempts, NULL, 0);
    assert_done(attempts);
}

static void without_a_hash_the_checksum_judges(void **state)
{
    struct attempts *attempts = *state;

    scripted_image_service_set_hash(attempts->fixture->images, NULL, true);
    prepare(attempts, NULL, 0);
    assert_done(attempts);
}

static void without_a_comparable_hash_nothing_is_believed(void **state)
{
    struct attempts *attempts = *state;

    scripted_image_service_set_hash(attempts->fixture->images, NULL, false);
    prepare(attempts, NULL, 0);
    assert_refused(attempts, ERROR_EXISTS, "other data");
}

/* --- later --- */

/* Takes the upload in hand anew, as another daemon does `seconds` later. */
static void take_in_hand_later(struct attempts *attempts, int64_t seconds)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = read_journal(attempts);
    struct error err = ERROR_INIT;

    if (journal->saving_since != 0)
        journal->saving_since -= seconds;
    assert_succeeds(staging_directory_write_journal(attempts->owner.dir_fd, journal, &err));
    upload_sender_free(steal(&attempts->sender));
    take_in_hand(attempts, NULL);
}

static void assert_stuck(struct attempts *attempts)
{
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;

    assert_int_equal(attempt(attempts), UPLOAD_OUTCOME_STUCK);
    assert_int_equal(attempts->err.kind, ERROR_TIMEOUT);
    assert_non_null(strstr(attempts->err.message, "stuck in saving"));
    journal = read_journal(attempts);
    assert_false(journal->failed);
    assert_non_null(strstr(journal->last_error.message, "stuck in saving"));
}

static void an_image_that_is_stuck_in_saving_is_called_so(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_STUCK}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_UNAVAILABLE);
    take_in_hand_later(attempts, 800);
    assert_later(attempts, ERROR_BUSY);
    take_in_hand_later(attempts, 200);
    assert_stuck(attempts);
    take_in_hand_later(attempts, 0);
    assert_stuck(attempts);
}

/* The service took its time with what our lost attempt had sent. */
static void an_image_that_was_called_stuck_may_become_ours(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_SAVED_LATER, .looks = 3}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_BUSY);
    take_in_hand_later(attempts, 1000);
    assert_stuck(attempts);
    assert_stuck(attempts);
    assert_done(attempts);
    assert_int_equal(uploads(attempts), 1);
}

static void a_clock_set_back_makes_nothing_stuck(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_STUCK}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_later(attempts, ERROR_BUSY);
    take_in_hand_later(attempts, -36000);
    assert_later(attempts, ERROR_BUSY);
    take_in_hand_later(attempts, 1000);
    assert_stuck(attempts);
}

/* What the journal says of its own image does not count for another target. */
static void another_target_is_not_stuck_at_first_sight(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_STUCK}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_UNAVAILABLE);
    assert_later(attempts, ERROR_BUSY);
    take_in_hand_later(attempts, 3600);
    upload_sender_free(steal(&attempts->sender));
    scripted_image_service_add(attempts->fixture->images, OTHER_ID, NULL, 0);
    scripted_image_service_set_status(attempts->fixture->images, OTHER_ID, "saving");
    take_in_hand(attempts, OTHER_ID);
    assert_later(attempts, ERROR_BUSY);
}

static void an_image_that_others_save_for_long_is_waited_for(void **state)
{
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    scripted_image_service_set_status(attempts->fixture->images, IMAGE_ID, "saving");
    assert_later(attempts, ERROR_BUSY);
    take_in_hand_later(attempts, 3600);
    assert_later(attempts, ERROR_BUSY);
    scripted_image_service_set_status(attempts->fixture->images, IMAGE_ID, "queued");
    assert_done(attempts);
}

static void an_image_still_saving_is_not_given_up(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_STUCK}};
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_UNAVAILABLE);
    for (int i = 0; i < 10; i++)
        assert_later(attempts, ERROR_BUSY);
    assert_int_equal(uploads(attempts), 1);
    journal = read_journal(attempts);
    assert_false(journal->failed);
    assert_int_equal(journal->attempts, 1);
    assert_non_null(strstr(journal->last_error.message, "saving"));
}

static void a_busy_or_full_service_is_asked_later(void **state)
{
    static const enum error_kind kinds[] = {ERROR_BUSY,     ERROR_EXISTS, ERROR_UNAVAILABLE,
                                            ERROR_TIMEOUT,  ERROR_SYSTEM, ERROR_NO_SPACE,
                                            ERROR_EXHAUSTED};
    struct scripted_upload script[ELEMENTS_OF(kinds)];
    struct attempts *attempts = *state;

    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        script[i] = (struct scripted_upload){.action = SCRIPT_REFUSED, .kind = kinds[i]};
    prepare(attempts, script, ELEMENTS_OF(kinds));
    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        assert_later(attempts, kinds[i]);
    assert_done(attempts);
}

/* A password that was changed: the image is as it was, and a new one will be given. */
static void a_refused_login_refuses_no_upload(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_REFUSED, .kind = ERROR_LOGIN}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    scripted_image_service_fail_looks(attempts->fixture->images, ERROR_LOGIN, 1);
    assert_later(attempts, ERROR_LOGIN);
    scripted_image_service_fail_updates(attempts->fixture->images, ERROR_LOGIN, 1);
    assert_later(attempts, ERROR_LOGIN);
    assert_later(attempts, ERROR_LOGIN);
    assert_done(attempts);
}

static void an_answer_without_sense_is_no_answer(void **state)
{
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    scripted_image_service_fail_looks(attempts->fixture->images, ERROR_INVALID, 2);
    assert_later(attempts, ERROR_INVALID);
    assert_later(attempts, ERROR_INVALID);
    assert_done(attempts);
}

static void a_source_read_at_random_fails_the_attempt_only(void **state)
{
    static const struct scripted_upload script[] = {{.action = SCRIPT_READ_AT_RANDOM}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_later(attempts, ERROR_SYSTEM);
    assert_done(attempts);
}

static void cancelling_cuts_it_short(void **state)
{
    struct attempts *attempts = *state;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err = ERROR_INIT;

    prepare(attempts, NULL, 0);
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_int_equal(upload_sender_attempt(attempts->sender, attempts->fixture->images,
                                           &attempts->sent, cancel, &err),
                     UPLOAD_OUTCOME_CUT_SHORT);
    assert_int_equal(err.kind, ERROR_CANCELLED);
    assert_int_equal(staging_fixture_files(attempts->fixture), 2);
    assert_done(attempts);
}

/* --- refused for good --- */

static void final_refusals_are_recorded(void **state)
{
    static const enum error_kind kinds[] = {ERROR_DENIED, ERROR_TOO_LARGE, ERROR_INVALID,
                                            ERROR_NOT_FOUND, ERROR_UNSUPPORTED};
    struct scripted_upload script[ELEMENTS_OF(kinds)];
    struct attempts *attempts = *state;

    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        script[i] = (struct scripted_upload){.action = SCRIPT_REFUSED, .kind = kinds[i]};
    prepare(attempts, script, ELEMENTS_OF(kinds));
    for (size_t i = 0; i < ELEMENTS_OF(kinds); i++)
        assert_refused(attempts, kinds[i], "as the script says");
    assert_true(upload_sender_has_failed(attempts->sender));
    assert_done(attempts); /* somebody insisted */
}

static void properties_that_are_refused_refuse_the_upload(void **state)
{
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    scripted_image_service_fail_updates(attempts->fixture->images, ERROR_DENIED, 1);
    assert_refused(attempts, ERROR_DENIED, "as the script says");
    assert_int_equal(uploads(attempts), 0);
}

static void an_image_with_other_data_is_not_ours(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_OVERTAKEN, .kind = ERROR_EXISTS}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_refused(attempts, ERROR_EXISTS, "active with other data");
    assert_refused(attempts, ERROR_EXISTS, "active with other data");
    assert_int_equal(uploads(attempts), 1);
}

static void an_image_deleted_meanwhile_is_gone(void **state)
{
    static const struct scripted_upload script[] = {
        {.action = SCRIPT_DELETED, .kind = ERROR_NOT_FOUND}};
    struct attempts *attempts = *state;

    prepare(attempts, script, 1);
    assert_refused(attempts, ERROR_NOT_FOUND, "as the script says");
    assert_refused(attempts, ERROR_NOT_FOUND, "does not exist");
}

static void other_states_take_no_data(void **state)
{
    static const char *const statuses[] = {"deactivated", "killed", "deleted", "pending_delete"};
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    for (size_t i = 0; i < ELEMENTS_OF(statuses); i++) {
        scripted_image_service_set_status(attempts->fixture->images, IMAGE_ID, statuses[i]);
        assert_refused(attempts, ERROR_DENIED, statuses[i]);
    }
    assert_int_equal(uploads(attempts), 0);
}

static void states_under_way_are_waited_for(void **state)
{
    static const char *const statuses[] = {"saving", "uploading", "importing"};
    struct attempts *attempts = *state;

    prepare(attempts, NULL, 0);
    for (size_t i = 0; i < ELEMENTS_OF(statuses); i++) {
        scripted_image_service_set_status(attempts->fixture->images, IMAGE_ID, statuses[i]);
        assert_later(attempts, ERROR_BUSY);
        assert_non_null(strstr(attempts->err.message, statuses[i]));
    }
    assert_int_equal(uploads(attempts), 0);
}

/* --- whose hands --- */

static void one_pair_of_hands_at_a_time(void **state)
{
    struct attempts *attempts = *state;
    struct upload_sender *second = NULL;
    struct error err = ERROR_INIT;

    prepare(attempts, NULL, 0);
    assert_fails(ERROR_BUSY, upload_sender_new(&attempts->owner, IMAGE_ID, NULL, &second, &err));
    upload_sender_free(steal(&attempts->sender));
    take_in_hand(attempts, NULL);
}

static void what_is_not_there_cannot_be_taken(void **state)
{
    struct attempts *attempts = *state;
    struct error err = ERROR_INIT;

    assert_fails(ERROR_NOT_FOUND,
                 upload_sender_new(&attempts->owner, IMAGE_ID, NULL, &attempts->sender, &err));
    temp_dir_write(attempts->fixture->dir, "cache/staging/" IMAGE_ID ".data", "x", 1);
    assert_fails(ERROR_NOT_FOUND,
                 upload_sender_new(&attempts->owner, IMAGE_ID, NULL, &attempts->sender, &err));
}

static void another_target_gets_the_same_bytes_and_properties(void **state)
{
    struct attempts *attempts = *state;

    scripted_image_service_add(attempts->fixture->images, OTHER_ID, NULL, 0);
    staging_fixture_seal(attempts->fixture, IMAGE_ID);
    take_in_hand(attempts, OTHER_ID);
    assert_int_equal(attempt(attempts), UPLOAD_OUTCOME_DONE);
    assert_true(scripted_image_service_holds(attempts->fixture->images, OTHER_ID,
                                             attempts->fixture->bytes, attempts->fixture->size));
    assert_int_equal(staging_fixture_files(attempts->fixture), 0);
}

static void another_target_leaves_no_trace_in_the_journal(void **state)
{
    struct attempts *attempts = *state;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;

    staging_fixture_seal(attempts->fixture, IMAGE_ID);
    take_in_hand(attempts, OTHER_ID);
    assert_int_equal(attempt(attempts), UPLOAD_OUTCOME_REFUSED);
    scripted_image_service_add(attempts->fixture->images, OTHER_ID, NULL, 0);
    scripted_image_service_set_status(attempts->fixture->images, OTHER_ID, "saving");
    assert_int_equal(attempt(attempts), UPLOAD_OUTCOME_LATER);
    journal = read_journal(attempts);
    assert_false(journal->failed);
    assert_int_equal(journal->last_error.kind, ERROR_NONE);
}

#define sender_test(name) cmocka_unit_test_setup_teardown(name, open_attempts, close_attempts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        sender_test(sets_the_properties_then_sends),
        sender_test(leaves_properties_alone_that_are_right),
        sender_test(a_lost_reply_does_not_send_twice),
        sender_test(a_lost_reply_in_an_outage_does_not_send_twice),
        sender_test(what_a_losing_writer_set_is_set_right),
        sender_test(an_image_still_being_saved_is_looked_at_later),
        sender_test(an_image_that_is_ours_already_is_not_sent),
        sender_test(a_cut_off_upload_is_sent_again_whole),
        sender_test(a_service_may_start_anew_within_a_call),
        sender_test(a_service_away_for_long_is_asked_again),
        sender_test(only_an_active_image_counts),
        sender_test(other_hash_algorithms_are_computed),
        sender_test(without_a_hash_the_checksum_judges),
        sender_test(without_a_comparable_hash_nothing_is_believed),
        sender_test(an_image_that_is_stuck_in_saving_is_called_so),
        sender_test(an_image_that_was_called_stuck_may_become_ours),
        sender_test(a_clock_set_back_makes_nothing_stuck),
        sender_test(another_target_is_not_stuck_at_first_sight),
        sender_test(an_image_that_others_save_for_long_is_waited_for),
        sender_test(an_image_still_saving_is_not_given_up),
        sender_test(a_busy_or_full_service_is_asked_later),
        sender_test(a_refused_login_refuses_no_upload),
        sender_test(an_answer_without_sense_is_no_answer),
        sender_test(a_source_read_at_random_fails_the_attempt_only),
        sender_test(cancelling_cuts_it_short),
        sender_test(final_refusals_are_recorded),
        sender_test(properties_that_are_refused_refuse_the_upload),
        sender_test(an_image_with_other_data_is_not_ours),
        sender_test(an_image_deleted_meanwhile_is_gone),
        sender_test(other_states_take_no_data),
        sender_test(states_under_way_are_waited_for),
        sender_test(one_pair_of_hands_at_a_time),
        sender_test(what_is_not_there_cannot_be_taken),
        sender_test(another_target_gets_the_same_bytes_and_properties),
        sender_test(another_target_leaves_no_trace_in_the_journal),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
