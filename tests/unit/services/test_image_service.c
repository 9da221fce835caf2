/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/image_service.h"

#include "glancefs/limits.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/testing.h"

#include <stdlib.h>

#define ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"

/* Counts the calls that the checks let through. */
struct counting_service {
    struct image_service service;
    unsigned calls;
    unsigned frees;
};

static int count(struct image_service *service)
{
    ((struct counting_service *)service)->calls++;
    return 0;
}

static int count_list(struct image_service *service, struct cancel *cancel, struct image_list **ret,
                      struct error *err)
{
    (void)cancel, (void)ret, (void)err;
    return count(service);
}

static int count_get(struct image_service *service, const char *id, struct cancel *cancel,
                     struct image_record **ret, struct error *err)
{
    (void)id, (void)cancel, (void)ret, (void)err;
    return count(service);
}

static int count_create(struct image_service *service, const struct image_property *properties,
                        size_t number, struct cancel *cancel, struct image_record **ret,
                        struct error *err)
{
    (void)properties, (void)number, (void)cancel, (void)ret, (void)err;
    return count(service);
}

static int count_update(struct image_service *service, const char *id,
                        const struct image_property *properties, size_t number,
                        struct cancel *cancel, struct error *err)
{
    (void)id, (void)properties, (void)number, (void)cancel, (void)err;
    return count(service);
}

static int count_download(struct image_service *service, const struct image_record *record,
                          uint64_t offset, struct byte_sink *sink, struct cancel *cancel,
                          struct error *err)
{
    (void)record, (void)offset, (void)sink, (void)cancel, (void)err;
    return count(service);
}

static int count_upload(struct image_service *service, const char *id, struct byte_source *data,
                        struct cancel *cancel, struct error *err)
{
    (void)id, (void)data, (void)cancel, (void)err;
    return count(service);
}

static int count_remove(struct image_service *service, const char *id, struct cancel *cancel,
                        struct error *err)
{
    (void)id, (void)cancel, (void)err;
    return count(service);
}

static void count_free(struct image_service *service)
{
    ((struct counting_service *)service)->frees++;
}

static const struct image_service_ops counting_ops = {
    .list = count_list,
    .get = count_get,
    .create = count_create,
    .update = count_update,
    .download = count_download,
    .upload = count_upload,
    .remove = count_remove,
    .free = count_free,
};

static const char *const no_uuids[] = {
    "",
    ".",
    "..",
    "../secrets/x",
    "debian",
    "7B97A3A7-3D5C-4B6F-9F4E-2F1F3A5D9C10",
    ID "0",
    ID "/file",
    "7b97a3a7/3d5c-4b6f-9f4e-2f1f3a5d9c10",
};

static void an_id_that_is_no_uuid_reaches_no_service(void **state)
{
    struct counting_service counting = {.service.ops = &counting_ops};
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new("", 0, NULL);
    struct error err;

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(no_uuids); i++) {
        const struct image_property id = {"id", no_uuids[i]};

        assert_fails(ERROR_NOT_FOUND,
                     image_service_get(&counting.service, no_uuids[i], NULL, NULL, &err));
        assert_fails(ERROR_NOT_FOUND,
                     image_service_update(&counting.service, no_uuids[i], NULL, 0, NULL, &err));
        assert_fails(ERROR_NOT_FOUND,
                     image_service_upload(&counting.service, no_uuids[i], data, NULL, &err));
        assert_fails(ERROR_NOT_FOUND,
                     image_service_remove(&counting.service, no_uuids[i], NULL, &err));
        assert_fails(ERROR_INVALID,
                     image_service_create(&counting.service, &id, 1, NULL, NULL, &err));
    }
    assert_int_equal(counting.calls, 0);
}

static void sound_calls_reach_the_service(void **state)
{
    struct counting_service counting = {.service.ops = &counting_ops};
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new("", 0, NULL);
    const struct image_property properties[] = {{"id", ID}, {"name", ""}};
    struct error err;

    (void)state;
    assert_succeeds(image_service_list(&counting.service, NULL, NULL, &err));
    assert_succeeds(image_service_get(&counting.service, ID, NULL, NULL, &err));
    assert_succeeds(image_service_create(&counting.service, properties, 2, NULL, NULL, &err));
    assert_succeeds(image_service_update(&counting.service, ID, properties + 1, 1, NULL, &err));
    assert_succeeds(image_service_download(&counting.service, NULL, 0, NULL, NULL, &err));
    assert_succeeds(image_service_upload(&counting.service, ID, data, NULL, &err));
    assert_succeeds(image_service_remove(&counting.service, ID, NULL, &err));
    assert_int_equal(counting.calls, 7);
    image_service_free(&counting.service);
    image_service_free(NULL);
    assert_int_equal(counting.frees, 1);
}

static void a_cancelled_caller_reaches_no_service(void **state)
{
    struct counting_service counting = {.service.ops = &counting_ops};
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new("", 0, NULL);
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct error err;

    (void)state;
    assert_succeeds(cancel_new(&cancel, &err));
    cancel_request(cancel);
    assert_fails(ERROR_CANCELLED, image_service_list(&counting.service, cancel, NULL, &err));
    assert_fails(ERROR_CANCELLED, image_service_get(&counting.service, ID, cancel, NULL, &err));
    assert_fails(ERROR_CANCELLED,
                 image_service_create(&counting.service, NULL, 0, cancel, NULL, &err));
    assert_fails(ERROR_CANCELLED,
                 image_service_update(&counting.service, ID, NULL, 0, cancel, &err));
    assert_fails(ERROR_CANCELLED,
                 image_service_download(&counting.service, NULL, 0, NULL, cancel, &err));
    assert_fails(ERROR_CANCELLED, image_service_upload(&counting.service, ID, data, cancel, &err));
    assert_fails(ERROR_CANCELLED, image_service_remove(&counting.service, ID, cancel, &err));
    assert_int_equal(counting.calls, 0);
}

static void properties_without_name_or_value_are_refused(void **state)
{
    struct counting_service counting = {.service.ops = &counting_ops};
    const struct image_property nameless = {"", "x"};
    const struct image_property valueless = {"name", NULL};
    struct error err;

    (void)state;
    assert_fails(ERROR_INVALID,
                 image_service_create(&counting.service, &nameless, 1, NULL, NULL, &err));
    assert_fails(ERROR_INVALID,
                 image_service_update(&counting.service, ID, &valueless, 1, NULL, &err));
    assert_int_equal(counting.calls, 0);
}

static void properties_over_the_caps_are_refused(void **state)
{
    struct counting_service counting = {.service.ops = &counting_ops};
    struct image_property *many = calloc(LIMIT_IMAGE_PROPERTIES + 1, sizeof *many);
    char name[LIMIT_PROPERTY_NAME_BYTES + 2];
    const struct image_property long_name = {name, "x"};
    struct error err;

    (void)state;
    assert_non_null(many);
    memset(name, 'p', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_fails(ERROR_TOO_LARGE,
                 image_service_update(&counting.service, ID, &long_name, 1, NULL, &err));
    assert_fails(ERROR_TOO_LARGE, image_service_update(&counting.service, ID, many,
                                                       LIMIT_IMAGE_PROPERTIES + 1, NULL, &err));
    assert_int_equal(counting.calls, 0);
    free(many);
}

static void an_upload_needs_a_known_size(void **state)
{
    const struct memory_source_options hidden = {.hides_size = true};
    struct counting_service counting = {.service.ops = &counting_ops};
    CLEANUP(byte_source_free) struct byte_source *data = memory_source_new("abc", 3, &hidden);
    struct error err;

    (void)state;
    assert_fails(ERROR_INVALID, image_service_upload(&counting.service, ID, data, NULL, &err));
    assert_message_has("size");
    assert_int_equal(counting.calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_that_is_no_uuid_reaches_no_service),
        cmocka_unit_test(sound_calls_reach_the_service),
        cmocka_unit_test(a_cancelled_caller_reaches_no_service),
        cmocka_unit_test(properties_without_name_or_value_are_refused),
        cmocka_unit_test(properties_over_the_caps_are_refused),
        cmocka_unit_test(an_upload_needs_a_known_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
