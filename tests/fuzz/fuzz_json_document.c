/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents: what is taken is JSON by a second reader, too, and printing it gives a document
 * that prints alike.
 */
#include "fuzz_main.h"
#include "glancefs/limits.h"
#include "services/json_document.h"
#include "strict_json.h"

#include <string.h>

static void assert_prints_alike(struct json_object *document)
{
    CLEANUP(json_object_put) struct json_object *again = NULL;
    size_t size, size_again;
    const char *text = json_document_print(document, &size);
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(text != NULL && strict_json_is_sound(text, size));
    if (json_document_parse_within(text, size, LIMIT_LIST_PAGE_BYTES, &again, &err) < 0) {
        FUZZ_ASSERT(fuzz_allocations_fail());
        return;
    }
    text = json_document_print(again, &size_again);
    FUZZ_ASSERT(size == size_again && memcmp(json_document_print(document, NULL), text, size) == 0);
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;
    struct error err = ERROR_INIT;

    if (json_document_parse((const char *)data, size, &document, &err) < 0) {
        FUZZ_ASSERT(error_is_set(&err) && document == NULL);
        return;
    }
    FUZZ_ASSERT(size <= LIMIT_RECORD_BYTES && memchr(data, '\0', size) == NULL);
    FUZZ_ASSERT(strict_json_is_sound((const char *)data, size));
    FUZZ_ASSERT(json_object_is_type(document, json_type_object));
    assert_prints_alike(document);
}
