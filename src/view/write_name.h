/* SPDX-License-Identifier: Apache-2.0 */
/* The names that files to write may have; see glancefs/write_index.h. */
#ifndef VIEW_WRITE_NAME_H
#define VIEW_WRITE_NAME_H

#include "base/uuid.h"

#include <stdbool.h>

enum write_name_kind {
    WRITE_NAME_IMAGE,     /* <id> */
    WRITE_NAME_PART,      /* <id>.part */
    WRITE_NAME_TEMPORARY, /* .<id>.XXXXXX, as rsync calls a file that it has not finished */
};

struct write_name {
    enum write_name_kind kind;
    char image_id[UUID_TEXT_BYTES];
};

/** Takes a name apart; false when it is none of ours. */
bool write_name_parse(const char *text, struct write_name *ret);

#endif
