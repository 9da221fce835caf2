/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/credentials.h"

#include "services/openstack/clouds_yaml.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_INTERFACE "public"
#define VARIABLE_BYTES 64

/* Where a setting called `key` in clouds.yaml stands. */
struct setting {
    const char *key;
    size_t offset; /* in struct credentials */
};

#define SETTING(key, field)                                                                        \
    {                                                                                              \
        key, offsetof(struct credentials, field)                                                   \
    }

static const struct setting settings[] = {
    SETTING("auth_type", auth_type),
    SETTING("auth_url", auth_url),
    SETTING("username", username),
    SETTING("user_id", user_id),
    SETTING("user_domain_name", user_domain_name),
    SETTING("user_domain_id", user_domain_id),
    SETTING("project_name", project_name),
    SETTING("project_id", project_id),
    SETTING("project_domain_name", project_domain_name),
    SETTING("project_domain_id", project_domain_id),
    SETTING("application_credential_id", application_credential_id),
    SETTING("application_credential_name", application_credential_name),
    SETTING("region_name", region_name),
    SETTING("interface", interface),
    SETTING("endpoint_type", interface),
    SETTING("image_endpoint_override", image_endpoint_override),
    SETTING("key_manager_endpoint_override", key_manager_endpoint_override),
    SETTING("cacert", cafile),
};

static const struct setting secrets[] = {
    SETTING("password", password),
    SETTING("application_credential_secret", application_credential_secret),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

int credentials_new(struct credentials **ret, struct error *err)
{
    *ret = calloc(1, sizeof **ret);
    return *ret == NULL ? error_set(err, ERROR_EXHAUSTED, "out of memory") : 0;
}

static void *field_of(struct credentials *credentials, const struct setting *setting)
{
    return (char *)credentials + setting->offset;
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL)
        return;
    for (size_t i = 0; i < COUNT_OF(settings); i++) {
        char **text = field_of(credentials, &settings[i]);

        free(steal(text));
    }
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        secure_buffer_free(*(struct secure_buffer **)field_of(credentials, &secrets[i]));
    free(credentials);
}

/* --- one setting --- */

static const struct setting *find(const struct setting *table, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].key, key) == 0)
            return &table[i];
    return NULL;
}

static int set_text(char **text, const char *value, struct error *err)
{
    char *copy = *value == '\0' ? NULL : strdup(value);

    if (copy == NULL && *value != '\0')
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    free(*text);
    *text = copy;
    return 0;
}

static int set_secret(struct secure_buffer **secret, const char *value, struct secure_arena *arena,
                      struct error *err)
{
    secure_buffer_free(steal(secret));
    if (*value == '\0')
        return 0;
    return secure_buffer_copy_of(arena, value, strlen(value), secret, err);
}

static bool is_yes(const char *value)
{
    return strcasecmp(value, "true") == 0 || strcasecmp(value, "yes") == 0 ||
           strcasecmp(value, "on") == 0 || strcmp(value, "1") == 0;
}

static int check_verification(const char *key, const char *value, struct error *err)
{
    const bool turns_off = strcmp(key, "verify") == 0     ? !is_yes(value)
                           : strcmp(key, "insecure") == 0 ? is_yes(value)
                                                          : false;

    if (!turns_off || *value == '\0')
        return 0;
    return error_set(err, ERROR_INVALID,
                     "%s: %s is refused: TLS is always verified; name the certificate with cacert",
                     key, value);
}

static int check_auth_type(const char *key, const char *value, struct error *err)
{
    if (strcmp(key, "auth_type") != 0 || *value == '\0' || strcmp(value, "password") == 0 ||
        strcmp(value, "v3password") == 0 || strcmp(value, "v3applicationcredential") == 0)
        return 0;
    return error_set(err, ERROR_UNSUPPORTED,
                     "auth_type %.40s is not supported: password and v3applicationcredential are",
                     value);
}

int credentials_set(struct credentials *credentials, const char *key, const char *value,
                    struct secure_arena *arena, struct error *err)
{
    const struct setting *text = find(settings, COUNT_OF(settings), key);
    const struct setting *secret = find(secrets, COUNT_OF(secrets), key);

    if (check_verification(key, value, err) < 0 || check_auth_type(key, value, err) < 0)
        return -1;
    if (text != NULL)
        return set_text(field_of(credentials, text), value, err);
    if (secret != NULL)
        return set_secret(field_of(credentials, secret), value, arena, err);
    return 0;
}

bool credentials_are_application_credential(const struct credentials *credentials)
{
    if (credentials->auth_type != NULL)
        return strcmp(credentials->auth_type, "v3applicationcredential") == 0;
    return credentials->application_credential_secret != NULL;
}

/* --- sources --- */

/* The value of variable `name`, or NULL when it is unset or empty. */
static const char *variable(char *const *environment, const char *name)
{
    const size_t length = strlen(name);

    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=' &&
            (*environment)[length + 1] != '\0')
            return *environment + length + 1;
    return NULL;
}

/* Sets `key` from OS_<KEY>. */
static int take_variable(struct credentials *credentials, const char *key, char *const *environment,
                         struct secure_arena *arena, struct error *err)
{
    char name[VARIABLE_BYTES] = "OS_";
    const char *value;

    for (size_t i = 0; key[i] != '\0' && i + 4 < sizeof name; i++)
        name[i + 3] = (char)toupper((unsigned char)key[i]);
    value = variable(environment, name);
    return value == NULL ? 0 : credentials_set(credentials, key, value, arena, err);
}

static int take_environment(struct credentials *credentials, char *const *environment,
                            struct secure_arena *arena, struct error *err)
{
    for (size_t i = 0; i < COUNT_OF(settings); i++)
        if (take_variable(credentials, settings[i].key, environment, arena, err) < 0)
            return -1;
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        if (take_variable(credentials, secrets[i].key, environment, arena, err) < 0)
            return -1;
    return take_variable(credentials, "insecure", environment, arena, err);
}

struct pair {
    const char *key;
    const char *value;
};

static int take_pairs(struct credentials *credentials, const struct pair *pairs, size_t count,
                      struct secure_arena *arena, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (pairs[i].value != NULL &&
            credentials_set(credentials, pairs[i].key, pairs[i].value, arena, err) < 0)
            return -1;
    return 0;
}

static int take_options(struct credentials *credentials, const struct openstack_options *options,
                        struct secure_arena *arena, struct error *err)
{
    const struct pair pairs[] = {
        {"auth_url", options->auth_url},
        {"username", options->username},
        {"user_id", options->user_id},
        {"password", options->password},
        {"user_domain_name", options->user_domain_name},
        {"user_domain_id", options->user_domain_id},
        {"project_name", options->project_name},
        {"project_id", options->project_id},
        {"project_domain_name", options->project_domain_name},
        {"project_domain_id", options->project_domain_id},
        {"application_credential_id", options->application_credential_id},
        {"application_credential_name", options->application_credential_name},
        {"application_credential_secret", options->application_credential_secret},
    };

    return take_pairs(credentials, pairs, COUNT_OF(pairs), arena, err);
}

/* Options about where things are win over every source. */
static int take_places(struct credentials *credentials, const struct openstack_options *options,
                       struct secure_arena *arena, struct error *err)
{
    const struct pair pairs[] = {
        {"region_name", options->region_name},
        {"interface", options->interface},
        {"image_endpoint_override", options->image_endpoint_override},
        {"key_manager_endpoint_override", options->key_manager_endpoint_override},
        {"cacert", options->cafile},
    };

    return take_pairs(credentials, pairs, COUNT_OF(pairs), arena, err);
}

struct yaml_target {
    struct credentials *credentials;
    struct secure_arena *arena;
};

static int take_yaml(void *context, const char *key, const char *value, struct error *err)
{
    const struct yaml_target *target = context;

    return credentials_set(target->credentials, key, value, target->arena, err);
}

static int take_entry(struct credentials *credentials, const char *cloud,
                      const struct openstack_options *options, char *const *environment,
                      struct secure_arena *arena, struct error *err)
{
    struct yaml_target target = {.credentials = credentials, .arena = arena};
    const struct clouds_yaml_places places = {
        .config_file = variable(environment, "OS_CLIENT_CONFIG_FILE"),
        .secure_file = variable(environment, "OS_CLIENT_SECURE_FILE"),
        .working_directory = options->working_directory,
        .home = variable(environment, "HOME"),
        .config_home = variable(environment, "XDG_CONFIG_HOME"),
        .site = "/etc/openstack"};

    return clouds_yaml_read_entry(&places, cloud, arena, take_yaml, &target, err);
}

static int take_source(struct credentials *credentials, const char *cloud,
                       const struct openstack_options *options, char *const *environment,
                       struct secure_arena *arena, struct error *err)
{
    if (cloud == NULL)
        cloud = options->cloud;
    if (cloud == NULL && options->auth_url != NULL)
        return take_options(credentials, options, arena, err);
    if (cloud == NULL)
        cloud = variable(environment, "OS_CLOUD");
    if (cloud != NULL)
        return take_entry(credentials, cloud, options, environment, arena, err);
    if (variable(environment, "OS_AUTH_URL") != NULL)
        return take_environment(credentials, environment, arena, err);
    return error_set(err, ERROR_INVALID,
                     "there are none: give cloud=openstack:NAME (an entry of "
                     "clouds.yaml), os_auth_url and its like, or OS_CLOUD or OS_AUTH_URL in the "
                     "environment");
}

/* --- completion --- */

/* "~/ca.pem" and relative paths, since a daemon's working directory is another one. */
static int complete_cafile(struct credentials *credentials, const struct openstack_options *options,
                           const char *home, struct error *err)
{
    const char *path = credentials->cafile;
    char *absolute = NULL;
    int length;

    if (path == NULL || *path == '/')
        return 0;
    if (strncmp(path, "~/", 2) == 0 && home != NULL)
        length = asprintf(&absolute, "%s/%s", home, path + 2);
    else if (options->working_directory != NULL)
        length = asprintf(&absolute, "%s/%s", options->working_directory, path);
    else
        return 0;
    if (length < 0)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    free(credentials->cafile);
    credentials->cafile = absolute;
    return 0;
}

/* "publicURL" is how the second version of the identity API said "public". */
static int complete_interface(struct credentials *credentials, struct error *err)
{
    static const char *const words[] = {"public", "internal", "admin"};
    const char *given = credentials->interface == NULL ? DEFAULT_INTERFACE : credentials->interface;

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        const size_t length = strlen(words[i]);

        if (strncmp(given, words[i], length) == 0 &&
            (given[length] == '\0' || strcmp(given + length, "URL") == 0))
            return set_text(&credentials->interface, words[i], err);
    }
    return error_set(err, ERROR_INVALID, "interface %.40s is none of public, internal, admin",
                     given);
}

static int check_complete(const struct credentials *credentials, struct error *err)
{
    const bool has_user = credentials->username != NULL || credentials->user_id != NULL;

    if (credentials->auth_url == NULL)
        return error_set(err, ERROR_INVALID, "auth_url is missing");
    if (credentials_are_application_credential(credentials)) {
        if (credentials->application_credential_secret == NULL)
            return error_set(err, ERROR_INVALID, "application_credential_secret is missing");
        if (credentials->application_credential_id == NULL &&
            (credentials->application_credential_name == NULL || !has_user))
            return error_set(err, ERROR_INVALID,
                             "application_credential_id is missing (or its name and user)");
        return 0;
    }
    if (!has_user)
        return error_set(err, ERROR_INVALID, "username is missing (or user_id)");
    if (credentials->password == NULL)
        return error_set(err, ERROR_INVALID, "password is missing");
    if (credentials->project_name == NULL && credentials->project_id == NULL)
        return error_set(err, ERROR_INVALID,
                         "project_name is missing (or project_id): images and keys belong to "
                         "projects");
    return 0;
}

int credentials_find(const struct openstack_options *options, const char *cloud,
                     char *const *environment, struct secure_arena *arena, struct credentials **ret,
                     struct error *err)
{
    CLEANUP(credentials_free) struct credentials *credentials = NULL;

    if (credentials_new(&credentials, err) < 0)
        return -1;
    if (take_source(credentials, cloud, options, environment, arena, err) < 0 ||
        take_places(credentials, options, arena, err) < 0 ||
        complete_cafile(credentials, options, variable(environment, "HOME"), err) < 0 ||
        complete_interface(credentials, err) < 0 || check_complete(credentials, err) < 0)
        return error_prefix(err, "OpenStack credentials");
    *ret = steal(&credentials);
    return 0;
}
