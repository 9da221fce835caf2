/* SPDX-License-Identifier: Apache-2.0 */
/* image_index_open: who may, who waits for whom, and what is left afterwards. */
#include "glancefs/image_view.h"

#include "glancefs/limits.h"
#include "support/crypto_arena.h"
#include "view_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- an open on a thread of its own --- */

struct opener {
    struct view_bed *bed;
    pthread_t thread;
    struct cancel *cancel;
    struct read_stream *stream;
    struct error error;
    int result;
};

static void *run_opener(void *argument)
{
    struct opener *opener = argument;

    opener->result = image_index_open(opener->bed->index, IMAGE_ID, opener->cancel, &opener->stream,
                                      &opener->error);
    return NULL;
}

static void start_opener(struct opener *opener, struct view_bed *bed)
{
    struct error err = ERROR_INIT;

    *opener = (struct opener){.bed = bed};
    assert_succeeds(cancel_new(&opener->cancel, &err));
    assert_int_equal(pthread_create(&opener->thread, NULL, run_opener, opener), 0);
}

/* Waits for its end and closes the stream, if it got one. */
static int finish_opener(struct opener *opener, struct error *err)
{
    (void)pthread_join(opener->thread, NULL);
    cancel_unref(opener->cancel);
    read_stream_close(opener->stream);
    *err = opener->error;
    return opener->result;
}

/* Until so many downloads run. */
static void wait_for_downloads(struct view_bed *bed, unsigned count)
{
    while (fake_cloud_calls(bed->cloud).running_downloads != count)
        (void)usleep(1000);
}

/* Until so many openers have their key and so wait for the verification, or will at once. */
static void wait_for_payloads(struct view_bed *bed, unsigned count)
{
    while (fake_cloud_calls(bed->cloud).payloads < count)
        (void)usleep(1000);
    (void)usleep(50000);
}

/*
 * Until all keys and plaintext are gone: the job of a stream's last read may outlive its close by a
 * moment. What stays is the cache's own key for the blocks of the object that it verified.
 */
static void wait_until_wiped(struct view_bed *bed)
{
    while (secure_arena_used(bed->arena) > bed->arena_used + (size_t)2 * 4096)
        (void)usleep(1000);
}

/* --- the key manager --- */

static void an_image_with_glances_older_names_opens_too(void **state)
{
    struct view_bed *bed = *state;

    view_bed_put(
        bed, OTHER_ID,
        "\"os_glance_encrypt_format\": \"gpg\", \"os_glance_encrypt_type\": \"symmetric\", "
        "\"os_glance_encrypt_cipher\": \"AES256\", \"os_glance_encrypt_key_id\": \"" KEY_ID
        "\", \"os_glance_decrypt_size\": \"1300007\"");
    assert_image_sound(bed, OTHER_ID);
}

static void asks_for_the_key_at_each_open(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);

    assert_image_sound(bed, IMAGE_ID);
    assert_image_sound(bed, IMAGE_ID);
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 3);
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 1);
    assert_non_null(held);
}

static void a_refusal_of_the_key_counts_at_once(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    struct error err = ERROR_INIT;

    fake_cloud_set_secret(bed->cloud, KEY_ID, NULL);
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    assert_int_equal(read_stream_size(held), PLAINTEXT_BYTES);
}

static void authorise_ttl_spares_the_key_manager_while_the_image_is_open(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "authorise_ttl", "60");
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    fake_cloud_set_secret(bed->cloud, KEY_ID, NULL);
    assert_image_sound(bed, IMAGE_ID);
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 1);
    read_stream_close(steal(&held));
    wait_until_wiped(bed);
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
}

/* However long it takes from the key to the end of the verification. */
static void authorise_ttl_begins_when_the_key_is_given(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "authorise_ttl", "1");
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 60});
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    fake_cloud_set_secret(bed->cloud, KEY_ID, NULL);
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    assert_non_null(held);
}

static void authorise_ttl_does_not_cover_another_key(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "authorise_ttl", "60");
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    fake_cloud_set_secret(bed->cloud, OTHER_KEY_ID, NULL);
    view_bed_put(bed, IMAGE_ID,
                 "\"os_encrypt_format\": \"GPG\", \"os_encrypt_key_id\": \"" OTHER_KEY_ID "\"");
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    assert_non_null(held);
}

static void an_image_without_key_is_told_as_such(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_put(bed, IMAGE_ID, "\"os_encrypt_format\": \"GPG\"");
    assert_fails(ERROR_NO_KEY, view_bed_try(bed, IMAGE_ID, &err));
    view_bed_put(bed, IMAGE_ID,
                 "\"os_encrypt_format\": \"GPG\", \"os_encrypt_key_id\": \"" OTHER_KEY_ID "\"");
    assert_fails(ERROR_NO_KEY, view_bed_try(bed, IMAGE_ID, &err));
    fake_cloud_set_secret(bed->cloud, OTHER_KEY_ID, "");
    assert_fails(ERROR_KEY_REJECTED, view_bed_try(bed, IMAGE_ID, &err));
}

/* --- projects --- */

static void refuses_images_of_other_projects(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS ", \"owner\": \"" PROJECT "\"");
    assert_image_sound(bed, IMAGE_ID); /* a cloud without projects */
    memcpy(bed->identity.project_id, "another", sizeof "another");
    assert_fails(ERROR_DENIED, view_bed_try(bed, IMAGE_ID, &err));
    assert_message_has(PROJECT);
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 1);
    memcpy(bed->identity.project_id, PROJECT, sizeof PROJECT);
    assert_image_sound(bed, IMAGE_ID);
}

static void serves_projects_that_foreign_owners_names(void **state)
{
    struct view_bed *bed = *state;

    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS ", \"owner\": \"" PROJECT "\"");
    memcpy(bed->identity.project_id, "another", sizeof "another");
    view_bed_configure(bed, "foreign_owners", "somebody, " PROJECT);
    assert_image_sound(bed, IMAGE_ID);
}

/* --- soundness --- */

static void a_wrong_passphrase_is_refused_and_not_remembered(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    fake_cloud_set_secret(bed->cloud, KEY_ID, "wrong");
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    fake_cloud_set_secret(bed->cloud, KEY_ID, PASSPHRASE);
    /* Nothing that could not be decrypted was kept. */
    assert_image_sound(bed, IMAGE_ID);
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 2);
}

/* Changes the last byte of the one object in the cache. */
static void damage_cached_object(struct view_bed *bed)
{
    CLEANUP(memory_free)
    char *pattern = temp_dir_join(bed->dir, "cache/objects/" IMAGE_ID "*/data");
    CLEANUP(fd_close) int fd = -1;
    glob_t found;
    uint8_t byte;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    fd = open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
    globfree(&found);
    assert_int_equal(pread(fd, &byte, 1, (off_t)bed->message_size - 1), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)bed->message_size - 1), 1);
}

/* Makes of the one object in the cache the first half of a download, with a wrong byte in it. */
static void leave_spoilt_download(struct view_bed *bed)
{
    CLEANUP(memory_free) char *pattern = temp_dir_join(bed->dir, "cache/objects/" IMAGE_ID "*");
    CLEANUP(memory_free) char *partial = NULL;
    CLEANUP(memory_free) char *data = NULL;
    CLEANUP(fd_close) int fd = -1;
    glob_t found;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(asprintf(&partial, "%s/cache/partial/%s", temp_dir_path(bed->dir),
                         strrchr(found.gl_pathv[0], '/') + 1) > 0);
    assert_int_equal(rename(found.gl_pathv[0], partial), 0);
    globfree(&found);
    assert_true(asprintf(&data, "%s/data", partial) > 0);
    fd = open(data, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)bed->message_size / 2), 0);
    assert_int_equal(pwrite(fd, "?", 1, (off_t)bed->message_size / 4), 1);
}

/* Nobody is to blame for what an earlier daemon left. */
static void a_spoilt_download_is_begun_anew_in_the_same_open(void **state)
{
    struct view_bed *bed = *state;

    assert_image_sound(bed, IMAGE_ID);
    leave_spoilt_download(bed);
    view_bed_restart_cache(bed);
    assert_image_sound(bed, IMAGE_ID);
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 3);
}

/* A pass would find the damage and fetch the image again. */
static void to_refuse_a_wrong_passphrase_later_takes_no_pass(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *status = NULL;
    struct error err = ERROR_INIT;

    assert_image_sound(bed, IMAGE_ID);
    damage_cached_object(bed);
    fake_cloud_set_secret(bed->cloud, KEY_ID, "wrong");
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 1);
    status = view_bed_status(bed);
    assert_non_null(strstr(status, "\"failed_verifications\": 1"));
}

static void another_passphrase_is_verified_on_its_own(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    struct error err = ERROR_INIT;

    fake_cloud_set_secret(bed->cloud, KEY_ID, "wrong");
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    assert_int_equal(read_stream_size(held), PLAINTEXT_BYTES);
    fake_cloud_set_secret(bed->cloud, KEY_ID, PASSPHRASE);
    assert_image_sound(bed, IMAGE_ID);
}

static void an_image_of_another_size_than_declared_is_refused(void **state)
{
    static const char *const sizes[] = {"0", "1300006", "1300008"};
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;
    char members[256];

    for (size_t i = 0; i < ELEMENTS_OF(sizes); i++) {
        (void)snprintf(members, sizeof members, "%s, \"os_decrypt_size\": \"%s\"", GPG_MEMBERS,
                       sizes[i]);
        view_bed_put(bed, IMAGE_ID, members);
        assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
        assert_message_has("declared size");
    }
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS ", \"os_decrypt_size\": \"many\"");
    assert_fails(ERROR_INVALID, view_bed_try(bed, IMAGE_ID, &err));
}

static void damage_is_refused_and_a_mended_image_served(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    bed->message[bed->message_size / 2] ^= 1;
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS);
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    bed->message[bed->message_size / 2] ^= 1;
    view_bed_put(bed, IMAGE_ID, GPG_MEMBERS);
    assert_image_sound(bed, IMAGE_ID);
}

static void a_wrong_hash_is_told_before_what_the_codec_saw(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    fake_cloud_put(bed->cloud,
                   &(struct fake_cloud_image){
                       .id = IMAGE_ID,
                       .bytes = bed->message,
                       .size = bed->message_size - 1, /* so the codec sees it end early, too */
                       .lacks_hash = true,
                       .more = GPG_MEMBERS ", \"os_hash_algo\": \"sha256\", \"os_hash_value\": "
                                           "\"00000000000000000000000000000000000000000000000000"
                                           "00000000000000\""});
    assert_fails(ERROR_CORRUPT, view_bed_try(bed, IMAGE_ID, &err));
    assert_message_has("os_hash_value");
}

static void an_image_without_hash_is_verified_at_each_open(void **state)
{
    struct view_bed *bed = *state;
    CLEANUP(memory_free) char *path = temp_dir_join(bed->dir, "lenient");
    const struct ciphertext_cache_parts parts = {
        .path = path, .images = fake_cloud_services(bed->cloud)->images, .arena = bed->arena};
    struct ciphertext_cache *strict = bed->cache;
    struct error err = ERROR_INIT;

    fake_cloud_put(bed->cloud, &(struct fake_cloud_image){.id = IMAGE_ID,
                                                          .bytes = bed->message,
                                                          .size = bed->message_size,
                                                          .lacks_hash = true,
                                                          .more = GPG_MEMBERS});
    assert_fails(ERROR_UNSUPPORTED, view_bed_try(bed, IMAGE_ID, &err));
    assert_succeeds(ciphertext_cache_new(&parts, &bed->cache, &err));
    view_bed_configure(bed, "require_hash", "no");
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    assert_image_sound(bed, IMAGE_ID);
    CLEANUP(memory_free) char *status = view_bed_status(bed);
    assert_non_null(strstr(status, "\"verifications\": 2"));
    assert_non_null(held);
    ciphertext_cache_free(strict);
}

/* --- waiting together --- */

static void many_openers_share_one_verification(void **state)
{
    struct view_bed *bed = *state;
    struct opener openers[3];
    struct error err = ERROR_INIT;

    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 20});
    for (size_t i = 0; i < ELEMENTS_OF(openers); i++)
        start_opener(&openers[i], bed);
    for (size_t i = 0; i < ELEMENTS_OF(openers); i++)
        assert_succeeds(finish_opener(&openers[i], &err));
    CLEANUP(memory_free) char *status = view_bed_status(bed);
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 1);
    assert_int_equal(fake_cloud_calls(bed->cloud).payloads, 3);
    assert_non_null(strstr(status, "\"opens\": 3"));
}

static void a_verification_goes_on_when_one_of_two_waiters_leaves(void **state)
{
    struct view_bed *bed = *state;
    struct opener first, second;
    struct error err = ERROR_INIT;

    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 20});
    start_opener(&first, bed);
    wait_for_downloads(bed, 1);
    start_opener(&second, bed);
    wait_for_payloads(bed, 2);
    cancel_request(first.cancel);
    assert_fails(ERROR_CANCELLED, finish_opener(&first, &err));
    assert_int_equal(fake_cloud_calls(bed->cloud).running_downloads, 1);
    assert_succeeds(finish_opener(&second, &err));
    assert_int_equal(fake_cloud_calls(bed->cloud).downloads, 1);
}

static void a_verification_ends_when_the_last_waiter_leaves(void **state)
{
    struct view_bed *bed = *state;
    struct opener first, second;
    struct error err = ERROR_INIT;

    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 100000});
    start_opener(&first, bed);
    start_opener(&second, bed);
    wait_for_downloads(bed, 1);
    wait_for_payloads(bed, 2);
    cancel_request(first.cancel);
    cancel_request(second.cancel);
    assert_fails(ERROR_CANCELLED, finish_opener(&first, &err));
    assert_fails(ERROR_CANCELLED, finish_opener(&second, &err));
    wait_for_downloads(bed, 0);
    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 0});
    assert_image_sound(bed, IMAGE_ID);
}

static void an_opener_that_waits_for_its_key_can_leave(void **state)
{
    struct view_bed *bed = *state;
    struct opener opener;
    struct error err = ERROR_INIT;

    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.payload_ms = 100000});
    start_opener(&opener, bed);
    while (fake_cloud_calls(bed->cloud).payloads == 0)
        (void)usleep(1000);
    cancel_request(opener.cancel);
    assert_fails(ERROR_CANCELLED, finish_opener(&opener, &err));
}

static void status_shows_a_verification_under_way(void **state)
{
    struct view_bed *bed = *state;
    struct opener opener;
    struct error err = ERROR_INIT;

    fake_cloud_set_delays(bed->cloud, (struct fake_cloud_delays){.download_ms = 100000});
    start_opener(&opener, bed);
    wait_for_downloads(bed, 1);
    CLEANUP(memory_free) char *status = view_bed_status(bed);
    cancel_request(opener.cancel);
    assert_fails(ERROR_CANCELLED, finish_opener(&opener, &err));
    assert_non_null(strstr(status, "\"done_bytes\": 0"));
    assert_non_null(strstr(status, IMAGE_ID));
}

/* --- limits, and what is left --- */

static void opens_are_limited_by_max_streams(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "max_streams", "1");
    CLEANUP(read_stream_close) struct read_stream *held = view_bed_stream(bed, IMAGE_ID);
    assert_fails(ERROR_EXHAUSTED, view_bed_try(bed, IMAGE_ID, &err));
    assert_int_equal(err.errnum, EMFILE);
    read_stream_close(steal(&held));
    assert_image_sound(bed, IMAGE_ID);
}

static void failed_opens_take_no_place(void **state)
{
    struct view_bed *bed = *state;
    struct error err = ERROR_INIT;

    view_bed_configure(bed, "max_streams", "1");
    for (unsigned i = 0; i < 3; i++)
        assert_fails(ERROR_NOT_FOUND, view_bed_try(bed, OTHER_ID, &err));
    assert_image_sound(bed, IMAGE_ID);
}

static void the_last_close_wipes_the_key(void **state)
{
    struct view_bed *bed = *state;
    const size_t before = secure_arena_used(bed->arena);
    struct read_stream *first = view_bed_stream(bed, IMAGE_ID);
    struct read_stream *second = view_bed_stream(bed, IMAGE_ID);

    read_stream_close(first);
    assert_true(secure_arena_used(bed->arena) > before);
    read_stream_close(second);
    wait_until_wiped(bed);
}

#define test(name) cmocka_unit_test_setup_teardown(name, view_bed_open, view_bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(an_image_with_glances_older_names_opens_too),
        test(asks_for_the_key_at_each_open),
        test(a_refusal_of_the_key_counts_at_once),
        test(authorise_ttl_spares_the_key_manager_while_the_image_is_open),
        test(authorise_ttl_begins_when_the_key_is_given),
        test(authorise_ttl_does_not_cover_another_key),
        test(an_image_without_key_is_told_as_such),
        test(refuses_images_of_other_projects),
        test(serves_projects_that_foreign_owners_names),
        test(a_wrong_passphrase_is_refused_and_not_remembered),
        test(a_spoilt_download_is_begun_anew_in_the_same_open),
        test(to_refuse_a_wrong_passphrase_later_takes_no_pass),
        test(another_passphrase_is_verified_on_its_own),
        test(an_image_of_another_size_than_declared_is_refused),
        test(damage_is_refused_and_a_mended_image_served),
        test(a_wrong_hash_is_told_before_what_the_codec_saw),
        test(an_image_without_hash_is_verified_at_each_open),
        test(many_openers_share_one_verification),
        test(a_verification_goes_on_when_one_of_two_waiters_leaves),
        test(a_verification_ends_when_the_last_waiter_leaves),
        test(an_opener_that_waits_for_its_key_can_leave),
        test(status_shows_a_verification_under_way),
        test(opens_are_limited_by_max_streams),
        test(failed_opens_take_no_place),
        test(the_last_close_wipes_the_key),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
