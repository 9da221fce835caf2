/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_options.h"

#include "base/log.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static bool parse_string(const char *value, void *setting)
{
    char **text = setting;
    char *copy = strdup(value);

    if (copy == NULL || *value == '\0') {
        free(copy);
        return false;
    }
    free(*text);
    *text = copy;
    return true;
}

/* The value that is replaced is wiped: it may be a password. */
static bool parse_secret(const char *value, void *setting)
{
    char **secret = setting;

    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    return parse_string(value, setting);
}

static bool parse_boolean(const char *value, void *setting)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    bool *flag = setting;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(value, words[i]) == 0) {
            *flag = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* A plain decimal number: no sign, no space; *rest is what follows it. */
static bool parse_decimal(const char *value, uint64_t *ret, const char **rest)
{
    char *end;

    if (*value < '0' || *value > '9')
        return false;
    errno = 0;
    *ret = strtoull(value, &end, 10);
    *rest = end;
    return errno == 0;
}

static bool parse_number(const char *value, void *setting)
{
    unsigned *number = setting;
    const char *rest;
    uint64_t wide;

    if (!parse_decimal(value, &wide, &rest) || *rest != '\0' || wide > UINT32_MAX)
        return false;
    *number = (unsigned)wide;
    return true;
}

/* "65536", "64K", "4M", "1G": powers of 1024. */
static bool parse_bytes(const char *value, void *setting)
{
    static const char units[] = "KMGT";
    uint64_t *bytes = setting;
    const char *rest, *unit;
    unsigned shift = 0;
    uint64_t number;

    if (!parse_decimal(value, &number, &rest))
        return false;
    if (*rest != '\0') {
        unit = strchr(units, *rest);
        if (unit == NULL || rest[1] != '\0')
            return false;
        shift = 10 * ((unsigned)(unit - units) + 1);
    }
    if (number > UINT64_MAX >> shift)
        return false;
    *bytes = number << shift;
    return true;
}

/* Bytes as above, or "5%" of the filesystem. 0 and "0%" are no limit. */
static bool parse_limit(const char *value, void *setting)
{
    struct cache_limit *limit = setting;
    const char *rest;
    uint64_t number;

    if (!parse_decimal(value, &number, &rest))
        return false;
    if (strcmp(rest, "%") != 0) {
        if (!parse_bytes(value, &number))
            return false;
        *limit = (struct cache_limit){.bytes = number};
        return true;
    }
    if (number > 100)
        return false;
    *limit = (struct cache_limit){.percent = (unsigned)number};
    return true;
}

static bool parse_mode(const char *value, void *setting)
{
    mode_t *mode = setting;

    if (strcmp(value, "0400") == 0 || strcmp(value, "400") == 0)
        *mode = 0400;
    else if (strcmp(value, "0440") == 0 || strcmp(value, "440") == 0)
        *mode = 0440;
    else
        return false;
    return true;
}

/* An id as a number; (uid_t)-1 means "none" to the kernel and is no id. */
static bool parse_id(const char *value, uint32_t *ret)
{
    unsigned number;

    if (!parse_number(value, &number) || number == UINT32_MAX)
        return false;
    *ret = number;
    return true;
}

static bool parse_uid(const char *value, void *setting)
{
    const struct passwd *user;
    uid_t *uid = setting;

    if (parse_id(value, uid))
        return true;
    user = getpwnam(value);
    if (user == NULL)
        return false;
    *uid = user->pw_uid;
    return true;
}

static bool parse_gid(const char *value, void *setting)
{
    const struct group *group;
    gid_t *gid = setting;

    if (parse_id(value, gid))
        return true;
    group = getgrnam(value);
    if (group == NULL)
        return false;
    *gid = group->gr_gid;
    return true;
}

/* The position of `value` in the |-separated `words`, or -1. */
static int word_index(const char *words, const char *value)
{
    const size_t length = strlen(value);
    int index = 0;

    while (words != NULL) {
        const char *bar = strchr(words, '|');
        const size_t word_length = bar == NULL ? strlen(words) : (size_t)(bar - words);

        if (word_length == length && strncmp(words, value, length) == 0)
            return index;
        words = bar == NULL ? NULL : bar + 1;
        index++;
    }
    return -1;
}

/* Enumerations: the order of the words is the order of the enumerators. */
#define DEFINE_WORD_PARSER(name, type, words)                                                      \
    static bool parse_##name(const char *value, void *setting)                                     \
    {                                                                                              \
        const int index = word_index(words, value);                                                \
                                                                                                   \
        if (index >= 0)                                                                            \
            *(enum type *)setting = (enum type)index;                                              \
        return index >= 0;                                                                         \
    }

#define VERIFY_WORDS "first|stream"
#define KEY_ENCODING_WORDS "auto|raw|hex|base64"
#define COMMIT_WORDS "seal|close"
#define SIGNATURE_WORDS "off|if-present|required"
#define CONSUMERS_WORDS "off|on"
#define AEAD_WORDS "none|ocb|gcm|librepgp-ocb"
#define ENGINE_WORDS "native|gpgme"
#define INTERFACE_WORDS "public|internal|admin"
#define STALE_WORDS "refuse|serve"
#define LOG_WORDS "stderr|journal"
#define LOG_LEVEL_WORDS "error|warning|info|debug"

/* One of the words, kept as text: whether it was set at all matters. */
static bool parse_interface(const char *value, void *setting)
{
    return word_index(INTERFACE_WORDS, value) >= 0 && parse_string(value, setting);
}

DEFINE_WORD_PARSER(verify, verify_mode, VERIFY_WORDS)
DEFINE_WORD_PARSER(key_encoding, key_encoding, KEY_ENCODING_WORDS)
DEFINE_WORD_PARSER(commit, commit_mode, COMMIT_WORDS)
DEFINE_WORD_PARSER(signature, signature_mode, SIGNATURE_WORDS)
DEFINE_WORD_PARSER(consumers, consumers_mode, CONSUMERS_WORDS)
DEFINE_WORD_PARSER(aead, aead_mode, AEAD_WORDS)
DEFINE_WORD_PARSER(engine, codec_engine, ENGINE_WORDS)
DEFINE_WORD_PARSER(stale, stale_mode, STALE_WORDS)
DEFINE_WORD_PARSER(log, log_target, LOG_WORDS)

static bool parse_log_level(const char *value, void *setting)
{
    enum log_level level;

    if (!log_level_from_name(value, &level))
        return false;
    *(int *)setting = (int)level;
    return true;
}

#define ROW(field, parser, words, initial, help)                                                   \
    {                                                                                              \
        {#field, words, initial, help}, parser, offsetof(struct config, field)                     \
    }
#define ROW_NAMED(name, field, parser, words, initial, help)                                       \
    {                                                                                              \
        {name, words, initial, help}, parser, offsetof(struct config, field)                       \
    }

static const struct option_row rows[] = {
    ROW(cloud, parse_string, "local:DIR|openstack[:NAME]", "", "the services behind the mount"),
    ROW(cache, parse_string, "DIR", "",
        "directory for ciphertext, made with mode 0700 when absent"),
    ROW_NAMED("max_size", cache_limits.max_size, parse_limit, "BYTES|PERCENT%", "0",
              "most that the cache may hold, or its share of the filesystem; 0: no limit"),
    ROW_NAMED("min_free", cache_limits.min_free, parse_limit, "BYTES|PERCENT%", "5%",
              "what the cache leaves free of its filesystem; 0: nothing"),
    ROW_NAMED("max_age", cache_limits.max_age_seconds, parse_number, "SECONDS", "0",
              "how long an image stays in the cache without being opened; 0: as long as it fits"),
    ROW(verify, parse_verify, VERIFY_WORDS, "first",
        "when plaintext may be read: after the whole image was verified, or while it arrives"),
    ROW(key_encoding, parse_key_encoding, KEY_ENCODING_WORDS, "auto",
        "how a secret's payload becomes a passphrase; auto: raw for type passphrase, else hex"),
    ROW(uid, parse_uid, "USER", "", "owner of the files shown; default: who mounts"),
    ROW(gid, parse_gid, "GROUP", "", "group of the files shown; default: the group of who mounts"),
    ROW(mode, parse_mode, "0400|0440", "0400", "permissions of the files shown"),
    ROW(allow_other, parse_boolean, "yes|no", "no",
        "let users other than the mounting one in; needs uid or gid"),
    ROW_NAMED("ro", read_only, parse_boolean, "yes|no", "no",
              "mount read-only: nothing can be written to encrypt"),
    ROW(commit, parse_commit, COMMIT_WORDS, "seal",
        "what ends a write: an explicit seal, or close"),
    ROW_NAMED("write_window", write_window_bytes, parse_bytes, "BYTES", "4M",
              "how far writes may come out of order, 1M to 64M"),
    ROW_NAMED("staging_ttl", staging_ttl_seconds, parse_number, "SECONDS", "3600",
              "how long an unsealed write may lie idle before it is dropped"),
    ROW_NAMED("max_memory", max_memory_bytes, parse_bytes, "BYTES", "256M",
              "most locked memory for keys and plaintext"),
    ROW(max_streams, parse_number, "NUMBER", "64", "most files open at a time"),
    ROW(max_downloads, parse_number, "NUMBER", "8",
        "most images downloaded at a time, 1 to 1024; one more waits for request_timeout"),
    ROW(max_uploads, parse_number, "NUMBER", "2", "most images uploaded at a time, 1 to 64"),
    ROW_NAMED("authorise_ttl", authorise_ttl_seconds, parse_number, "SECONDS", "0",
              "how long a key manager's consent is remembered; 0: each open asks"),
    ROW_NAMED("record_ttl", record_ttl_seconds, parse_number, "SECONDS", "60",
              "how long an image record is shown before it is asked for again"),
    ROW(stale, parse_stale, STALE_WORDS, "refuse",
        "opens while the image service is out, with a record older than record_ttl"),
    ROW(foreign_owners, parse_string, "PROJECT:...", "",
        "projects other than our own whose images may be read"),
    ROW(require_hash, parse_boolean, "yes|no", "yes",
        "refuse images without os_hash_value of sha256, sha384 or sha512"),
    ROW(signature, parse_signature, SIGNATURE_WORDS, "off",
        "whether image signatures are verified"),
    ROW(trusted_certificates, parse_string, "FILE-OR-IDS", "",
        "who may issue certificates that sign images: a PEM file, or ids in the key manager"),
    ROW(signing_key, parse_string, "FILE", "", "PEM private key that signs the images we upload"),
    ROW(signing_certificate, parse_string, "ID", "", "its certificate's id in the key manager"),
    ROW(container_format, parse_string, "FORMAT", "",
        "of images that upload makes where the image service refuses encrypted, say bare"),
    ROW(consumers, parse_consumers, CONSUMERS_WORDS, "off",
        "register as a consumer of the secrets that are used"),
    ROW_NAMED("allow_http", openstack.allow_http, parse_boolean, "yes|no", "no",
              "talk to services without TLS on other machines, too"),
    ROW_NAMED("cafile", openstack.cafile, parse_string, "FILE", "",
              "certificates to trust instead of the system's, PEM"),
    ROW_NAMED("proxy", openstack.proxy, parse_string, "URL", "",
              "proxy for https to other machines; those of the environment are not used"),
    ROW_NAMED("connect_timeout", openstack.connect_timeout_seconds, parse_number, "SECONDS", "10",
              "how long a connection to a service may take"),
    ROW_NAMED("stall_timeout", openstack.stall_timeout_seconds, parse_number, "SECONDS", "60",
              "how long a service may send and take nothing"),
    ROW_NAMED("request_timeout", openstack.request_timeout_seconds, parse_number, "SECONDS", "30",
              "how long a request without image data may take, retries included"),
    ROW_NAMED("retries", openstack.retries, parse_number, "NUMBER", "3",
              "how often a failed request is tried again where that does no harm, up to 10"),
    ROW_NAMED("os_cloud", openstack.cloud, parse_string, "NAME", "",
              "an entry of clouds.yaml; the same as cloud=openstack:NAME"),
    ROW_NAMED("os_auth_url", openstack.auth_url, parse_string, "URL", "",
              "the identity service (Keystone v3)"),
    ROW_NAMED("os_username", openstack.username, parse_string, "NAME", "", "our user"),
    ROW_NAMED("os_user_id", openstack.user_id, parse_string, "ID", "",
              "our user by id, without a domain"),
    ROW_NAMED("os_password", openstack.password, parse_secret, "PASSWORD", "",
              "our password; better in a file that only we may read"),
    ROW_NAMED("os_user_domain_name", openstack.user_domain_name, parse_string, "NAME", "",
              "domain of our user; default: the domain with the id default"),
    ROW_NAMED("os_user_domain_id", openstack.user_domain_id, parse_string, "ID", "",
              "domain of our user, by id"),
    ROW_NAMED("os_project_name", openstack.project_name, parse_string, "NAME", "",
              "project to work in"),
    ROW_NAMED("os_project_id", openstack.project_id, parse_string, "ID", "",
              "project to work in, by id, without a domain"),
    ROW_NAMED("os_project_domain_name", openstack.project_domain_name, parse_string, "NAME", "",
              "domain of the project; default: the domain with the id default"),
    ROW_NAMED("os_project_domain_id", openstack.project_domain_id, parse_string, "ID", "",
              "domain of the project, by id"),
    ROW_NAMED("os_application_credential_id", openstack.application_credential_id, parse_string,
              "ID", "", "an application credential instead of a user and a project"),
    ROW_NAMED("os_application_credential_name", openstack.application_credential_name, parse_string,
              "NAME", "", "an application credential by name; needs the user, too"),
    ROW_NAMED("os_application_credential_secret", openstack.application_credential_secret,
              parse_secret, "SECRET", "", "its secret"),
    ROW_NAMED("os_region_name", openstack.region_name, parse_string, "REGION", "",
              "region of the services; default: the first in the catalog"),
    ROW_NAMED("os_interface", openstack.interface, parse_interface, INTERFACE_WORDS, "",
              "which endpoints of the catalog are used; default: public"),
    ROW_NAMED("os_image_endpoint_override", openstack.image_endpoint_override, parse_string, "URL",
              "", "the image service (Glance), whatever the catalog says"),
    ROW_NAMED("os_key_manager_endpoint_override", openstack.key_manager_endpoint_override,
              parse_string, "URL", "", "the key manager (Barbican), whatever the catalog says"),
    ROW(aead, parse_aead, AEAD_WORDS, "none", "authenticated encryption of written images"),
    ROW(engine, parse_engine, ENGINE_WORDS, "native",
        "who decrypts and encrypts: our own code, or GnuPG through gpgme"),
    ROW(keyring, parse_string, "DIR", "",
        "GnuPG home whose secret keys open images encrypted to a public key"),
    ROW(runtime, parse_string, "DIR", "",
        "directory for GnuPG's private state; default: in $XDG_RUNTIME_DIR, else /run or /tmp"),
    ROW(threads, parse_number, "NUMBER", "2", "threads that receive requests, 1 to 4"),
    ROW(setuid, parse_string, "USER", "", "root only: who the daemon becomes once it can mount"),
    ROW_NAMED("drop_privileges", drops_privileges, parse_boolean, "yes|no", "no",
              "root only: do not stay root; without setuid the daemon becomes the user glancefs"),
    ROW_NAMED("sandbox", has_sandbox, parse_boolean, "yes|no", "yes",
              "give up capabilities, system calls and files that the daemon does not need"),
    ROW(log, parse_log, LOG_WORDS, "stderr", "where log lines go"),
    ROW(log_level, parse_log_level, LOG_LEVEL_WORDS, "info", "how much is logged"),
    ROW(audit, parse_boolean, "on|off", "on",
        "log a line for each open and each seal: who, which image, which key, what came of it"),
};

const struct option_row *option_row_at(size_t index)
{
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}

const struct option_row *option_row_find(const char *name)
{
    const struct option_row *row;

    for (size_t i = 0; (row = option_row_at(i)) != NULL; i++)
        if (strcmp(row->option.name, name) == 0)
            return row;
    return NULL;
}
