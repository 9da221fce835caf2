/* SPDX-License-Identifier: Apache-2.0 */
/* Journals of uploads: one of this version prints as it was read, an older one as this version. */
#include "base/uuid.h"
#include "cache/upload_journal.h"
#include "fuzz_main.h"
#include "glancefs/limits.h"

#include <stdlib.h>
#include <string.h>

#define IMAGE_ID "11111111-2222-4333-8444-555555555555"
#define VERSION_1 "{\"version\":1,"

static void assert_journal(const struct upload_journal *journal)
{
    FUZZ_ASSERT(strcmp(journal->image_id, IMAGE_ID) == 0);
    FUZZ_ASSERT(journal->stored_bytes <= INT64_MAX && journal->plaintext_bytes <= INT64_MAX);
    FUZZ_ASSERT(journal->sealed_at >= 0 && journal->saving_since >= 0);
    FUZZ_ASSERT(strlen(journal->sha512) == SHA512_TEXT_BYTES - 1);
    FUZZ_ASSERT(strlen(journal->md5) == MD5_TEXT_BYTES - 1);
    FUZZ_ASSERT(journal->property_count <= LIMIT_IMAGE_PROPERTIES);
    FUZZ_ASSERT(!journal->failed || error_is_set(&journal->last_error));
}

static void assert_prints_as(const struct upload_journal *journal, const char *expected,
                             size_t size)
{
    CLEANUP(memory_free) char *text = NULL;
    size_t printed;
    struct error err = ERROR_INIT;

    if (upload_journal_print(journal, &text, &printed, &err) < 0) {
        FUZZ_ASSERT(fuzz_allocations_fail() && err.kind == ERROR_EXHAUSTED);
        return;
    }
    FUZZ_ASSERT(expected == NULL || (printed == size && memcmp(text, expected, size) == 0));
}

void fuzz_one(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const bool is_old =
        size > sizeof VERSION_1 && memcmp(data, VERSION_1, sizeof VERSION_1 - 1) == 0;
    CLEANUP(upload_journal_free) struct upload_journal *journal = NULL;
    struct error err = ERROR_INIT;

    if (upload_journal_parse(IMAGE_ID, text, size, &journal, &err) < 0) {
        FUZZ_ASSERT(err.kind == ERROR_CORRUPT || err.kind == ERROR_UNSUPPORTED ||
                    (err.kind == ERROR_EXHAUSTED && fuzz_allocations_fail()));
        fuzz_assert_plain(&err);
        return;
    }
    assert_journal(journal);
    assert_prints_as(journal, is_old ? NULL : text, size);
}
