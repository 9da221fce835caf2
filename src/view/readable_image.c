/* SPDX-License-Identifier: Apache-2.0 */
#include "view/readable_image.h"

int readable_image_check(const struct image_record *record, struct error *err)
{
    const enum image_status status = image_record_status(record);
    const char *format = NULL;

    if (status == IMAGE_STATUS_DEACTIVATED)
        return error_set(err, ERROR_DENIED, "is deactivated");
    if (status != IMAGE_STATUS_ACTIVE)
        return error_set(err, ERROR_NOT_FOUND, "is %s, not active", image_status_name(status));
    switch (image_record_encryption(record, &format)) {
    case IMAGE_ENCRYPTION_GPG:
        return 0;
    case IMAGE_ENCRYPTION_NONE:
        return error_set(err, ERROR_NOT_FOUND, "is not encrypted");
    case IMAGE_ENCRYPTION_UNSUPPORTED:
        break;
    }
    return error_set(err, ERROR_UNSUPPORTED, "is encrypted as %.64s, which is not supported",
                     format != NULL ? format : "something unknown");
}
