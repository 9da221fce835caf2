/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: one table of options, set from four places, later ones winning: built-in default,
 * configuration file (INI), environment (GLANCEFS_<OPTION>), command line (`-o option=value` and
 * `--option value` alike). An unknown option and a bad value are ERROR_INVALID and say where they
 * stand ("glancefs.conf:12: ...").
 */
#ifndef GLANCEFS_CONFIG_H
#define GLANCEFS_CONFIG_H

#include "glancefs/cache_limits.h"
#include "glancefs/cleanup.h"
#include "glancefs/codec.h"
#include "glancefs/error.h"
#include "glancefs/key_manager.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONFIG_DEFAULT_PATH "/etc/glancefs/glancefs.conf"

enum verify_mode { VERIFY_FIRST, VERIFY_STREAM };
enum commit_mode { COMMIT_SEAL, COMMIT_CLOSE };
enum signature_mode { SIGNATURE_OFF, SIGNATURE_IF_PRESENT, SIGNATURE_REQUIRED };
enum consumers_mode { CONSUMERS_OFF, CONSUMERS_ON };
/* Whether an image that was opened is served on while the image service does not answer. */
enum stale_mode { STALE_REFUSE, STALE_SERVE };
enum log_target { LOG_STDERR, LOG_JOURNAL };

/**
 * How OpenStack's services are reached and who we are there. Names are those of the OS_* variables
 * and of clouds.yaml; NULL when not set. Which source of credentials counts is decided in
 * services/openstack/credentials.h.
 */
struct openstack_options {
    char *cloud; /* an entry of clouds.yaml */
    char *auth_url;
    char *username;
    char *user_id;
    char *password; /* secret: see config_wipe_secrets */
    char *user_domain_name;
    char *user_domain_id;
    char *project_name;
    char *project_id;
    char *project_domain_name;
    char *project_domain_id;
    char *application_credential_id;
    char *application_credential_name;
    char *application_credential_secret; /* secret */
    char *region_name;
    char *interface; /* public, internal or admin; NULL: public */
    char *image_endpoint_override;
    char *key_manager_endpoint_override;
    char *cafile; /* certificates trusted instead of the system's */
    char *proxy;
    char *working_directory; /* no option: what relative paths are relative to, see session.h */
    bool allow_http;
    unsigned connect_timeout_seconds;
    unsigned stall_timeout_seconds;
    unsigned request_timeout_seconds;
    unsigned retries;
};

/** All settings, typed. Read-only for everybody but config.c; strings are owned by it. */
struct config {
    char *cloud; /* "local:DIR" or "openstack[:NAME]"; NULL when not set */
    char *cache; /* cache directory; NULL when not set */
    struct cache_limits cache_limits;
    enum stale_mode stale;
    enum verify_mode verify; /* default VERIFY_FIRST */
    enum key_encoding key_encoding;
    uid_t uid; /* owner of the files shown; default: our own */
    gid_t gid;
    bool uid_set, gid_set; /* allow_other wants one of them explicit */
    mode_t mode;           /* 0400 or 0440 */
    bool allow_other;
    bool read_only; /* nothing can be written, encrypt/ included */
    enum commit_mode commit;
    uint64_t write_window_bytes;
    unsigned staging_ttl_seconds; /* how long an unsealed staging may lie idle */
    uint64_t max_memory_bytes;    /* the arena */
    unsigned max_streams;         /* open files at a time */
    unsigned max_downloads;       /* images at a time, 1 to 1024 */
    unsigned max_uploads;         /* the same, 1 to 64 */
    unsigned authorise_ttl_seconds;
    unsigned record_ttl_seconds;
    char *foreign_owners; /* comma-separated project ids; NULL for none */
    bool require_hash;
    bool drops_privileges;
    bool has_sandbox;
    enum signature_mode signature;
    char *
        trusted_certificates; /* a PEM file, or ids of certificates in the key manager; NULL: none */
    char *signing_key;        /* PEM file of the private key that signs uploads; NULL: none */
    char *signing_certificate; /* id of its certificate in the key manager; NULL without a key */
    enum consumers_mode consumers;
    char *
        container_format; /* of images that `upload` makes where `encrypted` is refused; NULL: none */
    struct openstack_options openstack;
    enum aead_mode aead;
    enum codec_engine engine;
    char *setuid;     /* whom root becomes; NULL: nobody, or with drops_privileges "glancefs" */
    char *keyring;    /* GNUPGHOME for messages to public keys; NULL: none */
    char *runtime;    /* directory for GnuPG's private state; NULL: the default one */
    unsigned threads; /* FUSE receive threads, 1 to 4 */
    enum log_target log;
    int log_level; /* enum log_level of base/log.h */
    bool audit;    /* a line for each open and seal, whatever log_level says */
};

/** One row of the option table: documentation, completion and --help come from it. */
struct config_option {
    const char *name;    /* as in the file and after -o */
    const char *values;  /* "first|stream", "BYTES", "DIR", ... */
    const char *initial; /* default, as text; "" when there is none */
    const char *help;    /* one line */
};

/** Defaults only. */
int config_new(struct config **ret, struct error *err);

/** NULL is allowed. */
void config_free(struct config *config);
DEFINE_CLEANUP(struct config, config_free)

/** Reads an INI file, options before any section or in [glancefs], in lines of at most 198 bytes
 *  (libinih's own limit). ERROR_NOT_FOUND when absent. */
int config_load_file(struct config *config, const char *path, struct error *err);

/** Takes each GLANCEFS_<OPTION> of `environment` (as environ(7)); other names are left alone. */
int config_load_environment(struct config *config, char *const *environment, struct error *err);

/** Sets one option; `origin` ("-o", "--cache", "file:12") starts the error message. */
int config_set(struct config *config, const char *name, const char *value, const char *origin,
               struct error *err);

/** Takes a mount option string: "mode=0440,allow_other". A bare flag means "true", "rw" the contrary
 *  of "ro". "config=FILE" is let be: that file had to be loaded before. */
int config_set_mount_options(struct config *config, const char *options, struct error *err);

/** Completes and checks what only all options together can tell; call it last. A cloud of clouds.yaml
 *  or an os_auth_url without `cloud` makes it "openstack". */
int config_validate(struct config *config, struct error *err);

/** Wipes and forgets passwords and secrets, once whoever uses them has them in locked memory. */
void config_wipe_secrets(struct config *config);

/** The i-th row of the option table, NULL past the last. Static storage. */
const struct config_option *config_option_at(size_t index);

#endif
