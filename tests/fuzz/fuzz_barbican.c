/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of Barbican, and of what stands before it: metadata, payloads, stored secrets, consumers.
 * The first octet picks the call; the answers follow, Keystone's first.
 */
#include "base/uuid.h"
#include "fuzz_main.h"
#include "glancefs/key_manager.h"
#include "glancefs/limits.h"
#include "http_answers.h"
#include "planted_secret.h"
#include "services/openstack/barbican.h"

#include <string.h>

#define SECRET_ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"

static const struct secret_consumer consumer = {"image", "image",
                                                "11111111-2222-4333-8444-555555555555"};

/* Letters, so that seeds can be read. */
enum call {
    CALL_METADATA = 'm',
    CALL_PAYLOAD = 'p',
    CALL_PASSPHRASE = 'k',
    CALL_STORE = 's',
    CALL_ADD_CONSUMER = 'a',
    CALL_REMOVE_CONSUMER = 'r'
};

static int get_metadata(struct key_manager *keys, struct error *err)
{
    struct secret_metadata metadata;

    if (key_manager_get_metadata(keys, SECRET_ID, NULL, &metadata, err) < 0)
        return -1;
    FUZZ_ASSERT(memchr(metadata.name, '\0', sizeof metadata.name) != NULL);
    FUZZ_ASSERT(strlen(metadata.secret_type) < sizeof metadata.secret_type);
    return 0;
}

static int get_payload(struct key_manager *keys, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;

    if (key_manager_get_payload(keys, SECRET_ID, NULL, &payload, err) < 0)
        return -1;
    FUZZ_ASSERT(secure_buffer_size(payload) <= LIMIT_SECRET_BYTES);
    return 0;
}

static int get_passphrase(struct key_manager *keys, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;

    if (key_manager_get_passphrase(keys, fuzz_arena(), SECRET_ID, KEY_ENCODING_AUTO, NULL,
                                   &passphrase, err) < 0)
        return -1;
    FUZZ_ASSERT(secure_buffer_size(passphrase) > 0);
    return 0;
}

static int store(struct key_manager *keys, struct error *err)
{
    const struct secret_metadata metadata = {.secret_type = "symmetric", .name = "disk"};
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = fuzz_passphrase(PLANTED_SECRET);
    char id[UUID_TEXT_BYTES];

    if (key_manager_store(keys, &metadata, payload, NULL, id, err) < 0)
        return -1;
    FUZZ_ASSERT(uuid_is_valid(id));
    return 0;
}

static int make_call(struct key_manager *keys, uint8_t call, struct error *err)
{
    switch ((enum call)call) {
    case CALL_PAYLOAD:
        return get_payload(keys, err);
    case CALL_PASSPHRASE:
        return get_passphrase(keys, err);
    case CALL_STORE:
        return store(keys, err);
    case CALL_ADD_CONSUMER:
        return key_manager_add_consumer(keys, SECRET_ID, &consumer, NULL, err);
    case CALL_REMOVE_CONSUMER:
        return key_manager_remove_consumer(keys, SECRET_ID, &consumer, NULL, err);
    case CALL_METADATA:
    default:
        return get_metadata(keys, err);
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(openstack_session_free) struct openstack_session *session = NULL;
    CLEANUP(key_manager_free) struct key_manager *keys = NULL;
    struct error err = ERROR_INIT;

    if (size == 0)
        return;
    http_answers_begin(data + 1, size - 1, NULL);
    session = http_answers_session();
    if (session == NULL || barbican_new(session, fuzz_arena(), &keys, &err) < 0)
        return;
    if (make_call(keys, data[0], &err) == 0)
        return;
    FUZZ_ASSERT(error_is_set(&err));
    FUZZ_ASSERT(!http_answers_are_discreet() || !planted_secret_is_told(&err));
    fuzz_assert_plain(&err);
}
