/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key manager (Barbican v1): secrets by id. Payloads go straight into locked memory. All
 * calls are thread-safe, may wait and end early when cancelled.
 *
 * Errors: ERROR_NO_KEY (no such secret, deleted, expired), ERROR_DENIED (403: not ours),
 * ERROR_KEY_REJECTED (no payload, empty, over LIMIT_SECRET_BYTES), ERROR_UNAVAILABLE,
 * ERROR_TIMEOUT. No message ever holds a payload byte.
 */
#ifndef GLANCEFS_KEY_MANAGER_H
#define GLANCEFS_KEY_MANAGER_H

#include "glancefs/cancel.h"
#include "glancefs/error.h"
#include "glancefs/secure_arena.h"
#include "glancefs/secure_buffer.h"

/** What a secret says of itself; no key material. */
struct secret_metadata {
    char secret_type[32]; /* Barbican's: "passphrase", "symmetric", "opaque", ... */
    char name[256];       /* empty when unnamed */
};

/**
 * Who uses a secret, as Barbican keeps it beside the secret so that people see what would break
 * without it. Consumers only inform: nothing refuses to delete a secret that has some.
 */
struct secret_consumer {
    const char *service;       /* OpenStack's service type: "image", "compute" */
    const char *resource_type; /* "image", ... */
    const char *resource_id;   /* at most SECRET_CONSUMER_ID_BYTES: more does not fit its column */
};

/** Bytes of the longest resource_id, without a NUL, and of the other two. */
#define SECRET_CONSUMER_ID_BYTES 36
#define SECRET_CONSUMER_TEXT_BYTES 255

/** How a payload becomes a passphrase. */
enum key_encoding {
    KEY_ENCODING_AUTO,   /* type `passphrase`: raw; any other type: hex (os-brick's rule) */
    KEY_ENCODING_RAW,    /* the payload's bytes as they are */
    KEY_ENCODING_HEX,    /* lower-case hexadecimal digits of the payload */
    KEY_ENCODING_BASE64, /* base64 (RFC 4648 section 4, padded) of the payload */
};

struct key_manager;

struct key_manager_ops {
    int (*get_metadata)(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                        struct secret_metadata *ret, struct error *err);
    int (*get_payload)(struct key_manager *manager, const char *secret_id, struct cancel *cancel,
                       struct secure_buffer **ret, struct error *err);
    int (*store)(struct key_manager *manager, const struct secret_metadata *metadata,
                 const struct secure_buffer *payload, struct cancel *cancel, char ret_id[37],
                 struct error *err);
    int (*add_consumer)(struct key_manager *manager, const char *secret_id,
                        const struct secret_consumer *consumer, struct cancel *cancel,
                        struct error *err);
    int (*remove_consumer)(struct key_manager *manager, const char *secret_id,
                           const struct secret_consumer *consumer, struct cancel *cancel,
                           struct error *err);
    void (*free)(struct key_manager *manager);
};

struct key_manager {
    const struct key_manager_ops *ops;
};

/** Metadata of the secret with this bare UUID. */
int key_manager_get_metadata(struct key_manager *manager, const char *secret_id,
                             struct cancel *cancel, struct secret_metadata *ret, struct error *err);

/** The payload, asked for anew each time: a refusal counts at once. Caller owns *ret. */
int key_manager_get_payload(struct key_manager *manager, const char *secret_id,
                            struct cancel *cancel, struct secure_buffer **ret, struct error *err);

/** Stores a new secret and gives its id. ERROR_INVALID for a type that Barbican does not know. */
int key_manager_store(struct key_manager *manager, const struct secret_metadata *metadata,
                      const struct secure_buffer *payload, struct cancel *cancel, char ret_id[37],
                      struct error *err);

/**
 * Registers `consumer` with the secret; one that is registered already stays so.
 * ERROR_INVALID when a text is empty or too long.
 */
int key_manager_add_consumer(struct key_manager *manager, const char *secret_id,
                             const struct secret_consumer *consumer, struct cancel *cancel,
                             struct error *err);

/** Withdraws `consumer`; one that is not registered, or whose secret is gone, is no error. */
int key_manager_remove_consumer(struct key_manager *manager, const char *secret_id,
                                const struct secret_consumer *consumer, struct cancel *cancel,
                                struct error *err);

/**
 * The passphrase that secret `secret_id` stands for, by `encoding`: metadata (which only
 * KEY_ENCODING_AUTO asks for), then payload, then the rule above. The result lives in `arena`.
 * ERROR_KEY_REJECTED for an empty payload.
 */
int key_manager_get_passphrase(struct key_manager *manager, struct secure_arena *arena,
                               const char *secret_id, enum key_encoding encoding,
                               struct cancel *cancel, struct secure_buffer **ret,
                               struct error *err);

/** Releases; NULL is allowed. */
void key_manager_free(struct key_manager *manager);
DEFINE_CLEANUP(struct key_manager, key_manager_free)

#endif
