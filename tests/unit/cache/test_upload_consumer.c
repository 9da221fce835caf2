/* SPDX-License-Identifier: Apache-2.0 */
/* What an upload tells the key manager, and what it makes of the answer. */
#include "staging_fixture.h"
#include "support/crypto_arena.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>

#define SECRET_ID "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

/* Answers with `refuses` so many times, then as it should. */
struct fake_keys {
    struct key_manager manager;
    struct image_service *images;
    enum error_kind refuses;
    unsigned times;
    unsigned adds;
    unsigned uploads_before;
    char last[256];
};

struct bed {
    struct staging_fixture *fixture;
    struct fake_keys keys;
    struct consumer_registry *consumers;
};

static int fake_add(struct key_manager *manager, const char *secret_id,
                    const struct secret_consumer *consumer, struct cancel *cancel,
                    struct error *err)
{
    struct fake_keys *keys = (struct fake_keys *)manager;

    (void)cancel;
    keys->adds++;
    keys->uploads_before = scripted_image_service_uploads(keys->images);
    (void)snprintf(keys->last, sizeof keys->last, "%s %s %s %s", secret_id, consumer->service,
                   consumer->resource_type, consumer->resource_id);
    return keys->adds <= keys->times ? error_set(err, keys->refuses, "refused") : 0;
}

static const struct key_manager_ops fake_ops = {.add_consumer = fake_add};

static void open_staging(struct bed *bed)
{
    struct staging_fixture *fixture = bed->fixture;
    const struct consumer_registry_parts consumers = {.cache_path = fixture->path,
                                                      .cloud = CLOUD,
                                                      .project_id = PROJECT,
                                                      .images = fixture->images,
                                                      .keys = &bed->keys.manager};
    struct error err;

    assert_succeeds(consumer_registry_new(&consumers, &bed->consumers, &err));
    const struct upload_staging_parts parts = {.cache_path = fixture->path,
                                               .cloud = CLOUD,
                                               .project_id = PROJECT,
                                               .images = fixture->images,
                                               .consumers = bed->consumers,
                                               .first_retry_ms = 1,
                                               .last_retry_ms = 1,
                                               .max_uploads = 2};
    upload_staging_free(steal(&fixture->staging));
    assert_succeeds(upload_staging_new(&parts, &fixture->staging, &err));
}

static int bed_open(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    void *fixture = *state;

    if (bed == NULL || staging_fixture_open(&fixture) < 0)
        return -1;
    bed->fixture = fixture;
    bed->keys = (struct fake_keys){.manager.ops = &fake_ops, .images = bed->fixture->images};
    open_staging(bed);
    *state = bed;
    return 0;
}

static int bed_close(void **state)
{
    struct bed *bed = *state;
    void *fixture = bed->fixture;
    int result = staging_fixture_close(&fixture);

    consumer_registry_free(bed->consumers);
    free(bed);
    return result;
}

/* Seals the default bytes as encrypted with SECRET_ID for a new image, and sends them. */
static int send_to(struct bed *bed, const char *id, struct error *err)
{
    CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;

    scripted_image_service_add(bed->fixture->images, id, NULL, 0);
    upload = staging_fixture_begin(bed->fixture, id);
    assert_int_equal(staged_upload_set_property(upload, "os_encrypt_key_id", SECRET_ID, err), 0);
    assert_int_equal(byte_sink_commit(staged_upload_sink(upload), NULL, err), 0);
    return upload_staging_send(bed->fixture->staging, id, NULL, NULL, err);
}

static int send(struct bed *bed, struct error *err)
{
    return send_to(bed, IMAGE_ID, err);
}

static void the_secret_knows_the_image_before_the_data_go(void **state)
{
    struct bed *bed = *state;
    struct error err;

    assert_succeeds(send(bed, &err));
    assert_int_equal(bed->keys.adds, 1);
    assert_int_equal(bed->keys.uploads_before, 0);
    assert_string_equal(bed->keys.last, SECRET_ID " image image " IMAGE_ID);
}

static void a_key_manager_without_consumers_stops_nothing(void **state)
{
    struct bed *bed = *state;
    struct error err;

    bed->keys.times = UINT32_MAX;
    bed->keys.refuses = ERROR_DENIED;
    assert_succeeds(send_to(bed, IMAGE_ID, &err));
    bed->keys.refuses = ERROR_UNSUPPORTED;
    assert_succeeds(send_to(bed, OTHER_ID, &err));
    bed->keys.refuses = ERROR_INVALID; /* 405: something before it lets no POST through */
    assert_succeeds(send_to(bed, THIRD_ID, &err));
    assert_int_equal(scripted_image_service_uploads(bed->fixture->images), 3);
}

static void an_outage_is_waited_for(void **state)
{
    struct bed *bed = *state;
    struct error err;

    bed->keys.refuses = ERROR_UNAVAILABLE;
    bed->keys.times = 3;
    assert_succeeds(send(bed, &err));
    assert_int_equal(bed->keys.adds, 4);
    assert_int_equal(scripted_image_service_uploads(bed->fixture->images), 1);
}

static void an_image_nobody_could_read_is_not_made(void **state)
{
    struct bed *bed = *state;
    struct error err;

    bed->keys.refuses = ERROR_NO_KEY;
    bed->keys.times = UINT32_MAX;
    assert_fails(ERROR_NO_KEY, send(bed, &err));
    assert_int_equal(scripted_image_service_uploads(bed->fixture->images), 0);
    assert_int_equal(staging_fixture_state(bed->fixture->staging, IMAGE_ID), UPLOAD_FAILED);
}

#define consumer_test(name) cmocka_unit_test_setup_teardown(name, bed_open, bed_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        consumer_test(the_secret_knows_the_image_before_the_data_go),
        consumer_test(a_key_manager_without_consumers_stops_nothing),
        consumer_test(an_outage_is_waited_for),
        consumer_test(an_image_nobody_could_read_is_not_made),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
