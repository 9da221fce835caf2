/* SPDX-License-Identifier: Apache-2.0 */
#include "view/ownership.h"

#include <stdbool.h>
#include <string.h>

/* True when one of the words of `list` is `word`. Commas, blanks and colons divide them: in -o, a
 * comma would end the option. */
static bool list_names(const char *list, const char *word)
{
    const size_t length = strlen(word);

    while (list != NULL && *list != '\0') {
        size_t size;

        list += strspn(list, ", :\t");
        size = strcspn(list, ", :\t");
        if (size == length && strncmp(list, word, length) == 0)
            return true;
        list += size;
    }
    return false;
}

int ownership_check(const struct image_record *record, const struct identity *identity,
                    const char *foreign_owners, struct error *err)
{
    const char *owner = image_record_owner(record);

    if (identity->project_id[0] == '\0')
        return 0;
    if (owner == NULL || *owner == '\0')
        return error_set(err, ERROR_DENIED, "belongs to no project, so it is not ours");
    if (strcmp(owner, identity->project_id) == 0 || list_names(foreign_owners, owner))
        return 0;
    return error_set(err, ERROR_DENIED,
                     "belongs to project %.64s, which is not ours and not in foreign_owners",
                     owner);
}
