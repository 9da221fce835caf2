/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/service_catalog.h"

#include "services/json_document.h"
#include "support/testing.h"

static const char catalog_text[] =
    "{\"catalog\":[7,{},{\"type\":\"image\"},{\"type\":\"image\",\"endpoints\":{}},"
    "{\"type\":\"image\",\"endpoints\":[null,{\"interface\":\"public\",\"region_id\":\"One\"},"
    "{\"interface\":\"public\",\"region_id\":\"One\",\"url\":3},"
    "{\"interface\":\"public\",\"region_id\":\"One\",\"url\":\"https://one.example.org/v2/\"},"
    "{\"interface\":\"internal\",\"region_id\":\"One\",\"url\":\"https://inner.example.org\"},"
    "{\"interface\":\"public\",\"region\":\"Two\",\"url\":\"https://two.example.org/image/\"}]},"
    "{\"type\":\"key-manager\",\"endpoints\":[{\"interface\":\"public\",\"region_id\":\"One\","
    "\"url\":\"https://keys.example.org/key-manager/v1\"}]}]}";

static void an_endpoint_is_found_by_type_interface_and_region(void **state)
{
    static const struct {
        const char *type, *interface, *region, *url;
    } cases[] = {
        {"image", "public", NULL, "https://one.example.org"},
        {"image", "public", "One", "https://one.example.org"},
        {"image", "public", "Two", "https://two.example.org/image"},
        {"image", "internal", "One", "https://inner.example.org"},
        {"image", "internal", "Two", NULL},
        {"image", "admin", NULL, NULL},
        {"key-manager", "public", NULL, "https://keys.example.org/key-manager"},
        {"object-store", "public", NULL, NULL},
    };
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(json_document_parse(catalog_text, sizeof catalog_text - 1, &document, &err));
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        CLEANUP(memory_free) char *url = NULL;

        assert_succeeds(service_catalog_find(json_object_object_get(document, "catalog"),
                                             cases[i].type, cases[i].interface, cases[i].region,
                                             &url, &err));
        if (cases[i].url == NULL)
            assert_null(url);
        else
            assert_string_equal(url, cases[i].url);
    }
}

static void the_region_is_that_of_the_endpoint(void **state)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct json_object *catalog;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(json_document_parse(catalog_text, sizeof catalog_text - 1, &document, &err));
    catalog = json_object_object_get(document, "catalog");
    assert_string_equal(service_catalog_region(catalog, "image", "public", NULL), "One");
    assert_string_equal(service_catalog_region(catalog, "image", "public", "Two"), "Two");
    assert_null(service_catalog_region(catalog, "image", "internal", "Two"));
}

static void a_catalog_that_is_none_has_no_endpoint(void **state)
{
    CLEANUP(memory_free) char *url = NULL;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(service_catalog_find(NULL, "image", "public", NULL, &url, &err));
    assert_null(url);
}

static void only_a_version_at_the_end_is_cut(void **state)
{
    static const char *const cases[][2] = {
        {"https://a", "https://a"},
        {"https://a///", "https://a"},
        {"https://a/v2", "https://a"},
        {"https://a/v2.0/", "https://a"},
        {"https://a/identity/v3", "https://a/identity"},
        {"https://a/v2/image", "https://a/v2/image"},
        {"https://a/2", "https://a/2"},
        {"https://a/v", "https://a/v"},
        {"https://a/vv2", "https://a/vv2"},
        {"https://v2", "https://v2"},
        {"https://127.0.0.1:80", "https://127.0.0.1:80"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        CLEANUP(memory_free) char *base = service_catalog_base_url(cases[i][0]);

        assert_string_equal(base, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_endpoint_is_found_by_type_interface_and_region),
        cmocka_unit_test(the_region_is_that_of_the_endpoint),
        cmocka_unit_test(a_catalog_that_is_none_has_no_endpoint),
        cmocka_unit_test(only_a_version_at_the_end_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
