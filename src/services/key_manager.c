/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/key_manager.h"

#include "base/uuid.h"
#include "glancefs/limits.h"

#include <string.h>

/* Barbican's types; "opaque" is its default. */
static const char *const secret_types[] = {
    "symmetric", "passphrase", "opaque", "private", "public", "certificate",
};

/* Nothing but a UUID ever becomes part of a path or an address. */
static int check_id(const char *secret_id, struct cancel *cancel, struct error *err)
{
    if (!uuid_is_valid(secret_id))
        return error_set(err, ERROR_NO_KEY, "no secret has an id that is no UUID");
    return cancel_check(cancel, err);
}

static int check_payload(const char *what, const struct secure_buffer *payload, struct error *err)
{
    if (secure_buffer_size(payload) == 0)
        return error_set(err, ERROR_KEY_REJECTED, "%s has an empty payload", what);
    if (secure_buffer_size(payload) > LIMIT_SECRET_BYTES)
        return error_set(err, ERROR_KEY_REJECTED,
                         "the payload of %s is over the limit of %zu bytes", what,
                         LIMIT_SECRET_BYTES);
    return 0;
}

static int check_type(const char *secret_type, struct error *err)
{
    for (size_t i = 0; i < sizeof secret_types / sizeof secret_types[0]; i++)
        if (strcmp(secret_type, secret_types[i]) == 0)
            return 0;
    return error_set(err, ERROR_INVALID, "unknown secret type '%s'", secret_type);
}

int key_manager_get_metadata(struct key_manager *manager, const char *secret_id,
                             struct cancel *cancel, struct secret_metadata *ret, struct error *err)
{
    if (check_id(secret_id, cancel, err) < 0)
        return -1;
    return manager->ops->get_metadata(manager, secret_id, cancel, ret, err);
}

int key_manager_get_payload(struct key_manager *manager, const char *secret_id,
                            struct cancel *cancel, struct secure_buffer **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;

    if (check_id(secret_id, cancel, err) < 0 ||
        manager->ops->get_payload(manager, secret_id, cancel, &payload, err) < 0)
        return -1;
    if (check_payload(secret_id, payload, err) < 0)
        return error_prefix(err, "secret");
    *ret = steal(&payload);
    return 0;
}

int key_manager_store(struct key_manager *manager, const struct secret_metadata *metadata,
                      const struct secure_buffer *payload, struct cancel *cancel, char ret_id[37],
                      struct error *err)
{
    if (check_type(metadata->secret_type, err) < 0 ||
        check_payload("the new secret", payload, err) < 0 || cancel_check(cancel, err) < 0)
        return -1;
    return manager->ops->store(manager, metadata, payload, cancel, ret_id, err);
}

static int check_text(const char *name, const char *text, size_t limit, struct error *err)
{
    const size_t length = strlen(text);

    if (length == 0 || length > limit)
        return error_set(err, ERROR_INVALID, "%s of a consumer must be 1 to %zu bytes", name,
                         limit);
    return 0;
}

static int check_consumer(const struct secret_consumer *consumer, struct error *err)
{
    if (check_text("service", consumer->service, SECRET_CONSUMER_TEXT_BYTES, err) < 0 ||
        check_text("resource_type", consumer->resource_type, SECRET_CONSUMER_TEXT_BYTES, err) < 0)
        return -1;
    return check_text("resource_id", consumer->resource_id, SECRET_CONSUMER_ID_BYTES, err);
}

int key_manager_add_consumer(struct key_manager *manager, const char *secret_id,
                             const struct secret_consumer *consumer, struct cancel *cancel,
                             struct error *err)
{
    if (check_consumer(consumer, err) < 0 || check_id(secret_id, cancel, err) < 0)
        return -1;
    return manager->ops->add_consumer(manager, secret_id, consumer, cancel, err);
}

int key_manager_remove_consumer(struct key_manager *manager, const char *secret_id,
                                const struct secret_consumer *consumer, struct cancel *cancel,
                                struct error *err)
{
    if (check_consumer(consumer, err) < 0 || check_id(secret_id, cancel, err) < 0)
        return -1;
    if (manager->ops->remove_consumer(manager, secret_id, consumer, cancel, err) == 0)
        return 0;
    return err->kind == ERROR_NO_KEY ? 0 : -1;
}

void key_manager_free(struct key_manager *manager)
{
    if (manager != NULL)
        manager->ops->free(manager);
}
