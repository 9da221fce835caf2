/* SPDX-License-Identifier: Apache-2.0 */
#include "view/image_signature.h"

#include "base/file_source.h"
#include "base/uuid.h"
#include "crypto/certificate.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/signature.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What divides ids in a list. In -o, a comma would end the option. */
#define DIVIDERS ", :\t"

struct signature_policy {
    enum signature_mode mode;
    struct key_manager *keys;
    struct trust_store *trusted; /* NULL: any certificate of the key manager will do */
};

/* The four properties; without one of them an image counts as unsigned. */
enum claim_property { CLAIM_SIGNATURE, CLAIM_HASH, CLAIM_KEY_TYPE, CLAIM_CERTIFICATE, CLAIM_COUNT };

static const char *const claim_names[CLAIM_COUNT] = {
    [CLAIM_SIGNATURE] = "img_signature",
    [CLAIM_HASH] = "img_signature_hash_method",
    [CLAIM_KEY_TYPE] = "img_signature_key_type",
    [CLAIM_CERTIFICATE] = "img_signature_certificate_uuid",
};

struct signature_sink {
    struct byte_sink sink;
    struct byte_sink *next; /* borrowed; may be NULL */
    struct hash *hash;      /* NULL: nothing is to be proven */
    enum hash_algorithm algorithm;
    enum signature_key_type key_type;
    struct certificate *certificate;
    uint8_t signature[SIGNATURE_MAXIMUM_BYTES];
    size_t signature_size;
};

/* --- the policy --- */

static int trust_file(struct trust_store *store, const char *path, struct error *err)
{
    CLEANUP(memory_free) char *resolved = realpath(path, NULL);
    CLEANUP(memory_free) char *text = NULL;
    size_t size;

    if (resolved == NULL)
        return error_set_errno(err, errno, "trusted_certificates: %s", path);
    if (file_read_all(AT_FDCWD, resolved, LIMIT_CONFIG_BYTES, &text, &size, err) < 0)
        return error_prefix(err, "trusted_certificates");
    if (trust_store_add(store, text, size, err) < 0)
        return error_prefix(err, "trusted_certificates: %s", path);
    return 0;
}

static int trust_secret(struct trust_store *store, struct key_manager *keys, const char *id,
                        struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;

    if (key_manager_get_payload(keys, id, NULL, &payload, err) < 0 ||
        trust_store_add(store, secure_buffer_bytes(payload), secure_buffer_size(payload), err) < 0)
        return error_prefix(err, "trusted_certificates: %s", id);
    return 0;
}

/* The next id of the list, or false at its end; what is no id is cut to fit and then refused. */
static bool next_id(const char **list, char ret[UUID_TEXT_BYTES + 1])
{
    size_t size;

    *list += strspn(*list, DIVIDERS);
    size = strcspn(*list, DIVIDERS);
    (void)snprintf(ret, UUID_TEXT_BYTES + 1, "%.*s",
                   (int)(size < UUID_TEXT_BYTES ? size : UUID_TEXT_BYTES), *list);
    *list += size;
    return size > 0;
}

static int trust_listed(struct trust_store *store, struct key_manager *keys, const char *list,
                        struct error *err)
{
    char id[UUID_TEXT_BYTES + 1];

    while (next_id(&list, id))
        if (trust_secret(store, keys, id, err) < 0)
            return -1;
    return 0;
}

/* A list starts with an id; anything else is a file. */
static int fill_store(struct trust_store *store, struct key_manager *keys, const char *trusted,
                      struct error *err)
{
    const char *list = trusted;
    char id[UUID_TEXT_BYTES + 1];

    if (next_id(&list, id) && uuid_is_valid(id))
        return trust_listed(store, keys, trusted, err);
    return trust_file(store, trusted, err);
}

int signature_policy_new(const struct config *config, struct key_manager *keys,
                         struct signature_policy **ret, struct error *err)
{
    CLEANUP(signature_policy_free) struct signature_policy *policy = calloc(1, sizeof *policy);
    const char *trusted = config->trusted_certificates;

    if (policy == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    policy->mode = config->signature;
    policy->keys = keys;
    if (policy->mode != SIGNATURE_OFF && trusted != NULL &&
        (trust_store_new(&policy->trusted, err) < 0 ||
         fill_store(policy->trusted, keys, trusted, err) < 0))
        return -1;
    if (policy->mode == SIGNATURE_REQUIRED && policy->trusted == NULL)
        return error_set(err, ERROR_INVALID, "signature=required needs trusted_certificates");
    *ret = steal(&policy);
    return 0;
}

void signature_policy_free(struct signature_policy *policy)
{
    if (policy == NULL)
        return;
    trust_store_free(policy->trusted);
    free(policy);
}

bool signature_policy_asks(const struct signature_policy *policy)
{
    return policy->mode != SIGNATURE_OFF;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* With its NUL, and a byte that tells whether there is one: texts cannot run into each other. */
static void hash_text(struct hash *hash, const char *text)
{
    const uint8_t is_there = text != NULL;

    hash_update(hash, &is_there, sizeof is_there);
    if (text != NULL)
        hash_update(hash, text, strlen(text) + 1);
}

bool signature_policy_same_claim(const struct signature_policy *policy,
                                 const struct image_record *a, const struct image_record *b)
{
    if (policy->mode == SIGNATURE_OFF)
        return true;
    for (size_t i = 0; i < CLAIM_COUNT; i++)
        if (!same_text(image_record_property(a, claim_names[i]),
                       image_record_property(b, claim_names[i])))
            return false;
    return true;
}

void signature_policy_hash_claim(const struct signature_policy *policy,
                                 const struct image_record *record, struct hash *hash)
{
    if (policy->mode == SIGNATURE_OFF)
        return;
    for (size_t i = 0; i < CLAIM_COUNT; i++)
        hash_text(hash, image_record_property(record, claim_names[i]));
}

/* --- what a record claims --- */

/* The name of the first property that is missing, or NULL. */
static const char *collect_claim(const struct image_record *record,
                                 const char *ret_values[CLAIM_COUNT])
{
    const char *missing = NULL;

    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        ret_values[i] = image_record_property(record, claim_names[i]);
        if (ret_values[i] == NULL && missing == NULL)
            missing = claim_names[i];
    }
    return missing;
}

static int fetch_certificate(const struct signature_policy *policy, const char *reference,
                             struct cancel *cancel, struct certificate **ret, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *payload = NULL;
    CLEANUP(certificate_free) struct certificate *certificate = NULL;
    char id[UUID_TEXT_BYTES];

    if (!uuid_from_reference(reference, id))
        return error_set(err, ERROR_NO_KEY, "img_signature_certificate_uuid is no UUID");
    if (key_manager_get_payload(policy->keys, id, cancel, &payload, err) < 0)
        return error_prefix(err, "certificate of the image's signature");
    if (certificate_parse(secure_buffer_bytes(payload), secure_buffer_size(payload), &certificate,
                          err) < 0)
        return error_set(err, ERROR_KEY_REJECTED,
                         "secret %s, certificate of the image's signature, "
                         "is no X.509 certificate in PEM",
                         id);
    if (policy->trusted != NULL && trust_store_check(policy->trusted, certificate, err) < 0)
        return error_prefix(err, "image signature");
    *ret = steal(&certificate);
    return 0;
}

static int take_claim(struct signature_sink *sink, const char *const values[CLAIM_COUNT],
                      struct error *err)
{
    if (!signature_hash_from_name(values[CLAIM_HASH], &sink->algorithm))
        return error_set(err, ERROR_UNSUPPORTED, "img_signature_hash_method %.32s",
                         values[CLAIM_HASH]);
    if (!signature_key_type_from_name(values[CLAIM_KEY_TYPE], &sink->key_type))
        return error_set(err, ERROR_UNSUPPORTED, "img_signature_key_type %.32s",
                         values[CLAIM_KEY_TYPE]);
    if (!decode_base64(values[CLAIM_SIGNATURE], sink->signature, sizeof sink->signature,
                       &sink->signature_size))
        return error_set(err, ERROR_CORRUPT, "img_signature is no signature in base64");
    return hash_new_public(sink->algorithm, &sink->hash, err);
}

/* Leaves sink->hash NULL when there is nothing to prove. */
static int prepare(struct signature_sink *sink, const struct signature_policy *policy,
                   const struct image_record *record, struct cancel *cancel, struct error *err)
{
    const char *values[CLAIM_COUNT];
    const char *missing = collect_claim(record, values);

    if (policy->mode == SIGNATURE_OFF || (missing != NULL && policy->mode != SIGNATURE_REQUIRED))
        return 0;
    if (missing != NULL)
        return error_set(err, ERROR_DENIED, "has no %s, and signature=required", missing);
    if (take_claim(sink, values, err) < 0)
        return -1;
    return fetch_certificate(policy, values[CLAIM_CERTIFICATE], cancel, &sink->certificate, err);
}

/* --- the sink --- */

static int sink_write(struct byte_sink *sink, const void *bytes, size_t size, struct cancel *cancel,
                      struct error *err)
{
    struct signature_sink *self = (struct signature_sink *)sink;

    if (self->hash != NULL)
        hash_update(self->hash, bytes, size);
    return self->next == NULL ? 0 : byte_sink_write(self->next, bytes, size, cancel, err);
}

static int check_signature(struct signature_sink *self, struct error *err)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];

    if (self->hash == NULL)
        return 0;
    hash_finish(self->hash, digest);
    if (signature_verify(self->certificate, self->key_type, self->algorithm, digest,
                         self->signature, self->signature_size, err) < 0)
        return error_prefix(err, "image signature");
    return 0;
}

static int sink_commit(struct byte_sink *sink, struct cancel *cancel, struct error *err)
{
    struct signature_sink *self = (struct signature_sink *)sink;

    if (check_signature(self, err) < 0)
        return -1;
    return self->next == NULL ? 0 : byte_sink_commit(self->next, cancel, err);
}

static void sink_abort(struct byte_sink *sink)
{
    struct signature_sink *self = (struct signature_sink *)sink;

    if (self->next != NULL)
        byte_sink_abort(self->next);
}

static void sink_free(struct byte_sink *sink)
{
    struct signature_sink *self = (struct signature_sink *)sink;

    hash_free(self->hash);
    certificate_free(self->certificate);
    free(self);
}

static const struct byte_sink_ops sink_ops = {
    .write = sink_write, .commit = sink_commit, .abort = sink_abort, .free = sink_free};

int signature_sink_new(const struct signature_policy *policy, const struct image_record *record,
                       struct byte_sink *next, struct cancel *cancel, struct byte_sink **ret,
                       struct error *err)
{
    struct signature_sink *self = calloc(1, sizeof *self);

    if (self == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    self->sink.ops = &sink_ops;
    self->next = next;
    if (prepare(self, policy, record, cancel, err) < 0) {
        sink_free(&self->sink);
        return -1;
    }
    *ret = &self->sink;
    return 0;
}
