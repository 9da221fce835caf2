/* SPDX-License-Identifier: Apache-2.0 */
#include "services/image_encryption.h"

#include "base/uuid.h"
#include "glancefs/limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define LUKS_PREFIX "luks"

static const char *first_property(const struct image_record *record, const char *name,
                                  const char *older_name)
{
    const char *value = image_record_property(record, name);

    return value != NULL ? value : image_record_property(record, older_name);
}

static const char *encrypt_key_id(const struct image_record *record)
{
    return first_property(record, "os_encrypt_key_id", "os_glance_encrypt_key_id");
}

/* "AES256", "AES-256", "aes_256", and with the mode of OpenPGP behind it. */
static bool is_aes256(const char *cipher)
{
    char folded[sizeof "aes256cfb"];
    size_t length = 0;

    for (; *cipher != '\0'; cipher++) {
        if (strchr("-_ ", *cipher) != NULL)
            continue;
        if (length == sizeof folded - 1)
            return false;
        folded[length++] = *cipher;
    }
    folded[length] = '\0';
    return strcasecmp(folded, "aes256") == 0 || strcasecmp(folded, "aes256cfb") == 0;
}

static bool is_luks(const struct image_record *record)
{
    const char *disk_format = image_record_property(record, "disk_format");
    const char *container_format = image_record_property(record, "container_format");

    return (disk_format != NULL && strcasecmp(disk_format, LUKS_PREFIX) == 0) ||
           (container_format != NULL && strcasecmp(container_format, LUKS_PREFIX) == 0);
}

__attribute__((format(printf, 2, 3))) static enum image_encryption
unsupported(char ret_format[IMAGE_FORMAT_NAME_BYTES], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(ret_format, IMAGE_FORMAT_NAME_BYTES, format, arguments);
    va_end(arguments);
    return IMAGE_ENCRYPTION_UNSUPPORTED;
}

static enum image_encryption judge_unnamed(const struct image_record *record,
                                           char ret_format[IMAGE_FORMAT_NAME_BYTES])
{
    if (is_luks(record))
        return unsupported(ret_format, "LUKS");
    if (encrypt_key_id(record) != NULL)
        return unsupported(ret_format, "os_encrypt_key_id without os_encrypt_format");
    (void)snprintf(ret_format, IMAGE_FORMAT_NAME_BYTES, "none");
    return IMAGE_ENCRYPTION_NONE;
}

static enum image_encryption judge_gpg(const struct image_record *record,
                                       char ret_format[IMAGE_FORMAT_NAME_BYTES])
{
    const char *type = first_property(record, "os_encrypt_type", "os_glance_encrypt_type");
    const char *cipher = first_property(record, "os_encrypt_cipher", "os_glance_encrypt_cipher");

    if (type != NULL && strcasecmp(type, "symmetric") != 0)
        return unsupported(ret_format, "GPG with os_encrypt_type %s", type);
    if (cipher != NULL && !is_aes256(cipher))
        return unsupported(ret_format, "GPG with os_encrypt_cipher %s", cipher);
    (void)snprintf(ret_format, IMAGE_FORMAT_NAME_BYTES, "GPG");
    return IMAGE_ENCRYPTION_GPG;
}

enum image_encryption image_encryption_judge(const struct image_record *record,
                                             char ret_format[IMAGE_FORMAT_NAME_BYTES])
{
    const char *format = first_property(record, "os_encrypt_format", "os_glance_encrypt_format");

    if (image_record_property(record, "cinder_encryption_key_id") != NULL)
        return unsupported(ret_format, "LUKS of Cinder (cinder_encryption_key_id)");
    if (format == NULL)
        return judge_unnamed(record, ret_format);
    if (strcasecmp(format, "GPG") == 0)
        return judge_gpg(record, ret_format);
    return unsupported(ret_format, "%s", format);
}

int image_record_encrypt_key_id(const struct image_record *record, char ret[37], struct error *err)
{
    const char *reference = encrypt_key_id(record);

    if (reference == NULL)
        return error_set(err, ERROR_NO_KEY, "image %s has no os_encrypt_key_id",
                         image_record_id(record));
    if (!uuid_from_reference(reference, ret))
        return error_set(err, ERROR_NO_KEY, "os_encrypt_key_id of image %s is no UUID",
                         image_record_id(record));
    return 0;
}

/* Decimal digits only, no sign, no space; false at the first that would pass `limit`. */
static bool parse_decimal(const char *text, uint64_t limit, uint64_t *ret)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value) || value > limit)
            return false;
    }
    *ret = value;
    return true;
}

int image_record_decrypt_size(const struct image_record *record, bool *ret_present, uint64_t *ret,
                              struct error *err)
{
    const char *text = first_property(record, "os_decrypt_size", "os_glance_decrypt_size");

    *ret_present = text != NULL;
    if (text != NULL && !parse_decimal(text, LIMIT_PLAINTEXT_BYTES, ret))
        return error_set(err, ERROR_INVALID,
                         "os_decrypt_size of image %s is no decimal number up to %" PRIu64,
                         image_record_id(record), LIMIT_PLAINTEXT_BYTES);
    return 0;
}
