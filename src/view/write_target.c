/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_target.h"

#include "glancefs/byte_source.h"
#include "view/ownership.h"

static int check_status(const struct image_record *record, struct error *err)
{
    const enum image_status status = image_record_status(record);

    switch (status) {
    case IMAGE_STATUS_QUEUED:
        return 0;
    case IMAGE_STATUS_SAVING:
    case IMAGE_STATUS_UPLOADING:
    case IMAGE_STATUS_IMPORTING:
        return error_set(err, ERROR_BUSY, "is %s: somebody is sending its data",
                         image_status_name(status));
    case IMAGE_STATUS_ACTIVE:
    case IMAGE_STATUS_DEACTIVATED:
        return error_set(err, ERROR_EXISTS, "is already %s: an image is written once",
                         image_status_name(status));
    case IMAGE_STATUS_KILLED:
    case IMAGE_STATUS_DELETED:
    case IMAGE_STATUS_PENDING_DELETE:
        break;
    }
    return error_set(err, ERROR_NOT_FOUND, "is %s, not queued", image_status_name(status));
}

static int check_format(const struct image_record *record, struct error *err)
{
    const char *format = NULL;

    if (image_record_encryption(record, &format) == IMAGE_ENCRYPTION_GPG)
        return 0;
    return error_set(err, ERROR_UNSUPPORTED, "is to be stored as %.64s, not os_encrypt_format GPG",
                     format != NULL ? format : "something unknown");
}

int write_target_judge(const struct image_record *record, const struct identity *identity,
                       const char *foreign_owners, struct codecs *codecs, struct write_target *ret,
                       struct error *err)
{
    bool is_declared;
    uint64_t declared_size = 0;

    if (check_status(record, err) < 0 ||
        ownership_check(record, identity, foreign_owners, err) < 0 ||
        image_record_encrypt_key_id(record, ret->key_id, err) < 0 ||
        check_format(record, err) < 0 || codecs_find(codecs, "GPG", &ret->codec, err) < 0 ||
        image_record_decrypt_size(record, &is_declared, &declared_size, err) < 0)
        return -1;
    ret->declared_size = is_declared ? declared_size : BYTE_SOURCE_SIZE_UNKNOWN;
    ret->names_container_format =
        image_record_property(record, "os_decrypt_container_format") != NULL;
    return 0;
}
