/* SPDX-License-Identifier: Apache-2.0 */
#include "services/image_encryption.h"

#include "glancefs/limits.h"
#include "support/testing.h"

#include <inttypes.h>
#include <stdio.h>

#define KEY_ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"

static struct image_record *parse_members(const char *members)
{
    struct image_record *record = NULL;
    struct error err;
    char text[4096];
    int length = snprintf(text, sizeof text,
                          "{\"id\":\"7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10\",\"status\":\"active\"%s"
                          "%s}",
                          *members == '\0' ? "" : ",", members);

    assert_succeeds(image_record_parse(text, (size_t)length, &record, &err));
    return record;
}

static const struct judgement {
    const char *members;
    enum image_encryption encryption;
    const char *format;
} judgements[] = {
    {"", IMAGE_ENCRYPTION_NONE, "none"},
    {"\"container_format\":\"bare\",\"disk_format\":\"qcow2\"", IMAGE_ENCRYPTION_NONE, "none"},
    /* one spelling per generation, in any case */
    {"\"os_encrypt_format\":\"GPG\"", IMAGE_ENCRYPTION_GPG, "GPG"},
    {"\"os_encrypt_format\":\"gpg\"", IMAGE_ENCRYPTION_GPG, "GPG"},
    {"\"os_glance_encrypt_format\":\"Gpg\"", IMAGE_ENCRYPTION_GPG, "GPG"},
    {"\"os_encrypt_format\":\"GPG\",\"os_glance_encrypt_format\":\"LUKS\"", IMAGE_ENCRYPTION_GPG,
     "GPG"},
    {"\"os_encrypt_format\":\"LUKS\",\"os_glance_encrypt_format\":\"GPG\"",
     IMAGE_ENCRYPTION_UNSUPPORTED, "LUKS"},
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_type\":\"symmetric\",\"os_encrypt_cipher\":"
     "\"AES256\"",
     IMAGE_ENCRYPTION_GPG, "GPG"},
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_type\":\"SYMMETRIC\"", IMAGE_ENCRYPTION_GPG,
     "GPG"},
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_cipher\":\"aes-256\"", IMAGE_ENCRYPTION_GPG,
     "GPG"},
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_cipher\":\"AES_256_CFB\"", IMAGE_ENCRYPTION_GPG,
     "GPG"},
    /* GPG that we do not serve */
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_type\":\"asymmetric\"",
     IMAGE_ENCRYPTION_UNSUPPORTED, "GPG with os_encrypt_type asymmetric"},
    {"\"os_encrypt_format\":\"GPG\",\"os_glance_encrypt_type\":\"asymmetric\"",
     IMAGE_ENCRYPTION_UNSUPPORTED, "GPG with os_encrypt_type asymmetric"},
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_cipher\":\"AES128\"", IMAGE_ENCRYPTION_UNSUPPORTED,
     "GPG with os_encrypt_cipher AES128"},
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_cipher\":\"aes-256-xts-plain64\"",
     IMAGE_ENCRYPTION_UNSUPPORTED, "GPG with os_encrypt_cipher aes-256-xts-plain64"},
    {"\"os_encrypt_format\":\"GPG\",\"os_encrypt_cipher\":\"\"", IMAGE_ENCRYPTION_UNSUPPORTED,
     "GPG with os_encrypt_cipher "},
    /* other formats, as they are spelled */
    {"\"os_encrypt_format\":\"LUKSv1\"", IMAGE_ENCRYPTION_UNSUPPORTED, "LUKSv1"},
    {"\"os_encrypt_format\":\"PKCS7\"", IMAGE_ENCRYPTION_UNSUPPORTED, "PKCS7"},
    {"\"disk_format\":\"luks\"", IMAGE_ENCRYPTION_UNSUPPORTED, "LUKS"},
    {"\"container_format\":\"LUKS\"", IMAGE_ENCRYPTION_UNSUPPORTED, "LUKS"},
    {"\"cinder_encryption_key_id\":\"" KEY_ID "\"", IMAGE_ENCRYPTION_UNSUPPORTED,
     "LUKS of Cinder (cinder_encryption_key_id)"},
    {"\"os_encrypt_format\":\"GPG\",\"cinder_encryption_key_id\":\"" KEY_ID "\"",
     IMAGE_ENCRYPTION_UNSUPPORTED, "LUKS of Cinder (cinder_encryption_key_id)"},
    /* no format */
    {"\"container_format\":\"encrypted\"", IMAGE_ENCRYPTION_NONE, "none"},
    {"\"container_format\":\"encrypted\",\"os_encrypt_key_id\":\"" KEY_ID "\"",
     IMAGE_ENCRYPTION_UNSUPPORTED, "os_encrypt_key_id without os_encrypt_format"},
    {"\"os_glance_encrypt_key_id\":\"" KEY_ID "\"", IMAGE_ENCRYPTION_UNSUPPORTED,
     "os_encrypt_key_id without os_encrypt_format"},
};

static void judges_every_generation(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(judgements); i++) {
        struct image_record *record = parse_members(judgements[i].members);
        const char *format = NULL;
        enum image_encryption encryption = image_record_encryption(record, &format);

        if (encryption != judgements[i].encryption || strcmp(format, judgements[i].format) != 0)
            fail_msg("{%s} was judged %d, \"%s\"", judgements[i].members, (int)encryption, format);
        image_record_unref(record);
    }
}

static void cuts_a_long_format_name(void **state)
{
    char members[1024];
    const char *format;
    struct image_record *record;

    (void)state;
    (void)snprintf(members, sizeof members, "\"os_encrypt_format\":\"%0500d\"", 0);
    record = parse_members(members);
    assert_int_equal(image_record_encryption(record, &format), IMAGE_ENCRYPTION_UNSUPPORTED);
    assert_int_equal(strlen(format), IMAGE_FORMAT_NAME_BYTES - 1);
    image_record_unref(record);
}

static void takes_the_uuid_of_a_key_reference(void **state)
{
    static const char *const members[] = {
        "\"os_encrypt_key_id\":\"" KEY_ID "\"",
        "\"os_encrypt_key_id\":\"C2FB7546-E548-4E8B-9A3B-78EE2A3DD3D1\"",
        "\"os_encrypt_key_id\":\"https://barbican.example:9311/v1/secrets/" KEY_ID "\"",
        "\"os_glance_encrypt_key_id\":\"" KEY_ID "\"",
        "\"os_encrypt_key_id\":\"" KEY_ID
        "\",\"os_glance_encrypt_key_id\":\"00000000-0000-4000-8000-000000000000\"",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(members); i++) {
        struct image_record *record = parse_members(members[i]);
        struct error err;
        char key_id[37];

        assert_succeeds(image_record_encrypt_key_id(record, key_id, &err));
        assert_string_equal(key_id, KEY_ID);
        image_record_unref(record);
    }
}

static void refuses_a_key_that_is_no_uuid(void **state)
{
    static const char *const members[] = {
        "",
        "\"os_encrypt_key_id\":null",
        "\"os_encrypt_key_id\":\"\"",
        "\"os_encrypt_key_id\":\"../secrets\"",
        "\"os_encrypt_key_id\":\"" KEY_ID "/payload\"",
        "\"os_encrypt_key_id\":\"" KEY_ID "?x=1\"",
        "\"os_encrypt_key_id\":\"" KEY_ID "0\"",
        "\"os_encrypt_key_id\":12345",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(members); i++) {
        struct image_record *record = parse_members(members[i]);
        struct error err;
        char key_id[37];

        assert_fails(ERROR_NO_KEY, image_record_encrypt_key_id(record, key_id, &err));
        assert_message_has("os_encrypt_key_id");
        image_record_unref(record);
    }
}

static void assert_decrypt_size(const char *members, uint64_t expected)
{
    struct image_record *record = parse_members(members);
    struct error err;
    uint64_t size;
    bool present;

    assert_succeeds(image_record_decrypt_size(record, &present, &size, &err));
    assert_true(present);
    assert_int_equal(size, expected);
    image_record_unref(record);
}

static void reads_the_plaintext_size(void **state)
{
    (void)state;
    assert_decrypt_size("\"os_decrypt_size\":\"0\"", 0);
    assert_decrypt_size("\"os_decrypt_size\":\"0012\"", 12);
    assert_decrypt_size("\"os_decrypt_size\":4096", 4096);
    assert_decrypt_size("\"os_glance_decrypt_size\":\"7\"", 7);
    assert_decrypt_size("\"os_decrypt_size\":\"8\",\"os_glance_decrypt_size\":\"7\"", 8);
    assert_decrypt_size("\"os_decrypt_size\":\"17592186044416\"", LIMIT_PLAINTEXT_BYTES);
}

static void refuses_a_plaintext_size_that_is_none(void **state)
{
    static const char *const values[] = {
        "\"\"",
        "\" 1\"",
        "\"1 \"",
        "\"-1\"",
        "\"+1\"",
        "\"1.5\"",
        "\"0x10\"",
        "\"1e3\"",
        "\"17592186044417\"",
        "\"18446744073709551616\"",
        "\"99999999999999999999999999\"",
        "99999999999999999999999999",
        "true",
        "1.5",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS_OF(values); i++) {
        struct image_record *record;
        struct error err;
        char members[128];
        uint64_t size;
        bool present;

        (void)snprintf(members, sizeof members, "\"os_decrypt_size\":%s", values[i]);
        record = parse_members(members);
        assert_fails(ERROR_INVALID, image_record_decrypt_size(record, &present, &size, &err));
        assert_message_has("os_decrypt_size");
        image_record_unref(record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_every_generation),
        cmocka_unit_test(cuts_a_long_format_name),
        cmocka_unit_test(takes_the_uuid_of_a_key_reference),
        cmocka_unit_test(refuses_a_key_that_is_no_uuid),
        cmocka_unit_test(reads_the_plaintext_size),
        cmocka_unit_test(refuses_a_plaintext_size_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
