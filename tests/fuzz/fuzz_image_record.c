/* SPDX-License-Identifier: Apache-2.0 */
/* Image records: whatever is taken keeps the promises of image_record.h. */
#include "base/uuid.h"
#include "fuzz_main.h"
#include "glancefs/image_record.h"
#include "glancefs/limits.h"
#include "services/image_encryption.h"

#include <string.h>

static void assert_properties(const struct image_record *record)
{
    const size_t count = image_record_property_count(record);

    FUZZ_ASSERT(count <= LIMIT_IMAGE_PROPERTIES);
    for (size_t i = 0; i < count; i++) {
        const struct image_property property = image_record_property_at(record, i);

        FUZZ_ASSERT(strlen(property.name) <= LIMIT_PROPERTY_NAME_BYTES);
        FUZZ_ASSERT(strlen(property.value) <= LIMIT_RECORD_BYTES);
        FUZZ_ASSERT(image_record_property(record, property.name) == property.value);
    }
}

static void assert_base(const struct image_record *record)
{
    uint64_t size = 0;

    FUZZ_ASSERT(uuid_is_valid(image_record_id(record)));
    FUZZ_ASSERT(strcmp(image_status_name(image_record_status(record)),
                       image_record_property(record, "status")) == 0);
    FUZZ_ASSERT(image_record_size(record, &size) ==
                (image_record_property(record, "size") != NULL));
    FUZZ_ASSERT(size < INT64_MAX);
}

static void assert_encryption(const struct image_record *record)
{
    const char *format = NULL;
    const enum image_encryption encryption = image_record_encryption(record, &format);
    char id[UUID_TEXT_BYTES];
    bool is_present = false;
    uint64_t plaintext = 0;
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(strlen(format) < IMAGE_FORMAT_NAME_BYTES);
    if (encryption == IMAGE_ENCRYPTION_GPG)
        FUZZ_ASSERT(image_record_property(record, "cinder_encryption_key_id") == NULL);
    if (image_record_encrypt_key_id(record, id, &err) == 0)
        FUZZ_ASSERT(uuid_is_valid(id) && encryption != IMAGE_ENCRYPTION_NONE);
    else
        FUZZ_ASSERT(err.kind == ERROR_NO_KEY);
    if (image_record_decrypt_size(record, &is_present, &plaintext, &err) == 0)
        FUZZ_ASSERT(plaintext <= LIMIT_PLAINTEXT_BYTES);
    else
        FUZZ_ASSERT(err.kind == ERROR_INVALID && is_present);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    struct error err = ERROR_INIT;

    if (image_record_parse((const char *)data, size, &record, &err) < 0) {
        FUZZ_ASSERT(err.kind == ERROR_INVALID || err.kind == ERROR_TOO_LARGE ||
                    (err.kind == ERROR_EXHAUSTED && fuzz_allocations_fail()));
        fuzz_assert_plain(&err);
        return;
    }
    assert_properties(record);
    assert_base(record);
    assert_encryption(record);
}
