/* SPDX-License-Identifier: Apache-2.0 */
#include "services/local/local_identity.h"

#include "services/local/local_directory.h"

#include <stdio.h>
#include <string.h>

#define IDENTITY_NAME "identity.json"
#define DEFAULT_USER "local"

struct local_identity {
    struct identity_service service;
    struct local_directory *directory; /* for its root only */
};

static int read_member(struct json_object *document, const char *name, const char *initial,
                       char *out, size_t size, struct error *err)
{
    const char *text;

    if (json_document_text(document, name, &text, err) < 0)
        return -1;
    if (text == NULL)
        text = initial;
    if (strlen(text) >= size)
        return error_set(err, ERROR_INVALID, "%s is longer than %zu bytes", name, size - 1);
    (void)snprintf(out, size, "%s", text);
    return 0;
}

int local_identity_read(int root_fd, struct identity *ret, struct error *err)
{
    CLEANUP(json_object_put) struct json_object *document = NULL;

    if (local_document_read(root_fd, IDENTITY_NAME, &document, err) < 0) {
        if (err->kind != ERROR_NOT_FOUND)
            return error_prefix(err, IDENTITY_NAME);
        *err = (struct error)ERROR_INIT;
    }
    *ret = (struct identity){.user = DEFAULT_USER};
    if (document == NULL)
        return 0;
    if (read_member(document, "project_id", "", ret->project_id, sizeof ret->project_id, err) < 0 ||
        read_member(document, "user", DEFAULT_USER, ret->user, sizeof ret->user, err) < 0)
        return error_prefix(err, IDENTITY_NAME);
    return 0;
}

static int identify(struct identity_service *service, struct cancel *cancel, struct identity *ret,
                    struct error *err)
{
    struct local_identity *identity = (struct local_identity *)service;

    (void)cancel;
    return local_identity_read(local_directory_root(identity->directory), ret, err);
}

static void free_identity(struct identity_service *service)
{
    struct local_identity *identity = (struct local_identity *)service;

    local_directory_free(identity->directory);
    free(identity);
}

static const struct identity_service_ops ops = {.identify = identify, .free = free_identity};

int local_identity_new(const char *path, struct identity_service **ret, struct error *err)
{
    struct local_identity *identity = calloc(1, sizeof *identity);

    if (identity == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    identity->service.ops = &ops;
    if (local_directory_new(path, ".", &identity->directory, err) < 0) {
        free_identity(&identity->service);
        return -1;
    }
    *ret = &identity->service;
    return 0;
}
