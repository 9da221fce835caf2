/* SPDX-License-Identifier: Apache-2.0 */
#include "view/write_name.h"

#include <ctype.h>
#include <string.h>

#define ID_LENGTH (UUID_TEXT_BYTES - 1)
#define TEMPORARY_SUFFIX_LENGTH 6

static bool is_temporary_suffix(const char *text)
{
    if (strlen(text) != 1 + TEMPORARY_SUFFIX_LENGTH || *text != '.')
        return false;
    while (*++text != '\0')
        if (!isalnum((unsigned char)*text) && *text != '_')
            return false;
    return true;
}

bool write_name_parse(const char *text, struct write_name *ret)
{
    const bool is_hidden = *text == '.';
    const char *suffix;

    text += is_hidden ? 1 : 0;
    if (strnlen(text, ID_LENGTH) < ID_LENGTH)
        return false;
    memcpy(ret->image_id, text, ID_LENGTH);
    ret->image_id[ID_LENGTH] = '\0';
    if (!uuid_is_valid(ret->image_id))
        return false;
    suffix = text + ID_LENGTH;
    if (is_hidden) {
        ret->kind = WRITE_NAME_TEMPORARY;
        return is_temporary_suffix(suffix);
    }
    ret->kind = *suffix == '\0' ? WRITE_NAME_IMAGE : WRITE_NAME_PART;
    return *suffix == '\0' || strcmp(suffix, ".part") == 0;
}
