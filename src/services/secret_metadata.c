/* SPDX-License-Identifier: Apache-2.0 */
#include "services/secret_metadata.h"

#include "services/iso_date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int rejected(const char *id, const struct error *reason, struct error *err)
{
    return error_set(err, ERROR_KEY_REJECTED, "metadata of secret %s: %s", id, reason->message);
}

static int check_expiration(struct json_object *document, const char *id, struct error *err)
{
    struct error reason = ERROR_INIT;
    const char *text;
    int64_t expiration;

    if (json_document_text(document, "expiration", &text, &reason) < 0)
        return rejected(id, &reason, err);
    if (text != NULL && !iso_date_parse(text, &expiration))
        return error_set(err, ERROR_KEY_REJECTED, "expiration of secret %s is no date", id);
    if (text != NULL && expiration <= time(NULL))
        return error_set(err, ERROR_NO_KEY, "secret %s has expired", id);
    return 0;
}

/* PENDING and ERROR are Barbican's other states; records written by hand have none. */
static int check_status(struct json_object *document, const char *id, struct error *err)
{
    struct error reason = ERROR_INIT;
    const char *status;

    if (json_document_text(document, "status", &status, &reason) < 0)
        return rejected(id, &reason, err);
    if (status != NULL && strcmp(status, "ACTIVE") != 0)
        return error_set(err, ERROR_KEY_REJECTED, "secret %s is %.16s, not ACTIVE", id, status);
    return 0;
}

static int take_type(struct json_object *document, struct secret_metadata *metadata,
                     struct error *err)
{
    const char *type;

    if (json_document_text(document, "secret_type", &type, err) < 0)
        return -1;
    if (type == NULL)
        type = SECRET_TYPE_DEFAULT;
    if (strlen(type) >= sizeof metadata->secret_type)
        return error_set(err, ERROR_INVALID, "secret_type is longer than %zu bytes",
                         sizeof metadata->secret_type - 1);
    (void)snprintf(metadata->secret_type, sizeof metadata->secret_type, "%s", type);
    return 0;
}

/* Barbican counts characters, we count bytes: a long name is no reason to refuse a key. */
static int take_name(struct json_object *document, struct secret_metadata *metadata,
                     struct error *err)
{
    const char *name;
    size_t size;

    if (json_document_text(document, "name", &name, err) < 0)
        return -1;
    if (name == NULL)
        name = "";
    size = strlen(name);
    if (size >= sizeof metadata->name)
        size = sizeof metadata->name - 1;
    while (size > 0 && ((unsigned char)name[size] & 0xc0) == 0x80)
        size--;
    memcpy(metadata->name, name, size);
    metadata->name[size] = '\0';
    return 0;
}

int secret_metadata_from_json(struct json_object *document, const char *id,
                              struct secret_metadata *ret, struct error *err)
{
    struct error reason = ERROR_INIT;

    if (check_expiration(document, id, err) < 0 || check_status(document, id, err) < 0)
        return -1;
    if (take_type(document, ret, &reason) < 0 || take_name(document, ret, &reason) < 0)
        return rejected(id, &reason, err);
    return 0;
}
