/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/config.h"

#include "base/config_options.h"
#include "base/file_source.h"
#include "base/log.h"
#include "glancefs/limits.h"
#include "glancefs/secure_arena.h"

#include <ctype.h>
#include <fcntl.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SECTION "glancefs"
#define ENVIRONMENT_PREFIX "GLANCEFS_"
#define OPTION_NAME_BYTES 64
#define OPENSTACK_NAME "openstack"
#define MAXIMUM_TIMEOUT_SECONDS 86400U
#define MAXIMUM_RETRIES 10U
#define MAXIMUM_DOWNLOADS 1024U
#define MAXIMUM_UPLOADS 64U

/* Options that mount(8), mount.fuse3 and fstab add for themselves, and those that always hold
 * anyway. */
static const char *const ignored_mount_options[] = {
    "nosuid", "nodev",    "noexec", "default_permissions",
    "suid",   "dev",      "exec",   "auto",
    "noauto", "relatime", "nofail", "user",
    "users",  "noatime",  "_netdev"};

/* The text of option `name`'s default is the one source of defaults. */
static int set_defaults(struct config *config, struct error *err)
{
    const struct option_row *row;

    config->uid = getuid();
    config->gid = getgid();
    for (size_t i = 0; (row = option_row_at(i)) != NULL; i++)
        if (*row->option.initial != '\0' &&
            config_set(config, row->option.name, row->option.initial, "default", err) < 0)
            return -1;
    return 0;
}

int config_new(struct config **ret, struct error *err)
{
    CLEANUP(config_free) struct config *config = calloc(1, sizeof *config);

    if (config == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (set_defaults(config, err) < 0)
        return -1;
    *ret = steal(&config);
    return 0;
}

static void wipe_secret(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

void config_wipe_secrets(struct config *config)
{
    wipe_secret(&config->openstack.password);
    wipe_secret(&config->openstack.application_credential_secret);
}

static void clear_openstack(struct openstack_options *openstack)
{
    free(openstack->cloud);
    free(openstack->auth_url);
    free(openstack->username);
    free(openstack->user_id);
    free(openstack->user_domain_name);
    free(openstack->user_domain_id);
    free(openstack->project_name);
    free(openstack->project_id);
    free(openstack->project_domain_name);
    free(openstack->project_domain_id);
    free(openstack->application_credential_id);
    free(openstack->application_credential_name);
    free(openstack->region_name);
    free(openstack->interface);
    free(openstack->image_endpoint_override);
    free(openstack->key_manager_endpoint_override);
    free(openstack->cafile);
    free(openstack->proxy);
    free(openstack->working_directory);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    config_wipe_secrets(config);
    clear_openstack(&config->openstack);
    free(config->cloud);
    free(config->cache);
    free(config->foreign_owners);
    free(config->trusted_certificates);
    free(config->signing_key);
    free(config->signing_certificate);
    free(config->container_format);
    free(config->keyring);
    free(config->runtime);
    free(config->setuid);
    free(config);
}

/* A password may fail to be taken, too: for want of memory. */
static bool is_secret(const struct option_row *row)
{
    return row->offset == offsetof(struct config, openstack.password) ||
           row->offset == offsetof(struct config, openstack.application_credential_secret);
}

int config_set(struct config *config, const char *name, const char *value, const char *origin,
               struct error *err)
{
    const struct option_row *row = option_row_find(name);

    if (row == NULL)
        return error_set(err, ERROR_INVALID, "%s: unknown option '%s'", origin, name);
    if (strlen(value) > LIMIT_OPTION_BYTES)
        return error_set(err, ERROR_INVALID, "%s: the value of %s is too long", origin, name);
    if (!row->parse(value, (char *)config + row->offset))
        return error_set(err, ERROR_INVALID, "%s: bad value '%s' for %s, which takes %s", origin,
                         is_secret(row) ? "" : value, name, row->option.values);
    config->uid_set = config->uid_set || strcmp(name, "uid") == 0;
    config->gid_set = config->gid_set || strcmp(name, "gid") == 0;
    return 0;
}

/* --- configuration file --- */

struct file_reading {
    struct config *config;
    const char *path;
    const char *next; /* text not read yet */
    unsigned line;
    struct error *err;
    bool failed; /* the first error is in *err */
};

/*
 * Gives libinih one line, as fgets would. Indentation is cut: libinih would take an indented
 * option for the continuation of the line before.
 */
static char *read_line(char *line, int size, void *context)
{
    struct file_reading *reading = context;
    size_t length;

    if (*reading->next == '\0' || reading->failed)
        return NULL;
    reading->line++;
    while (*reading->next == ' ' || *reading->next == '\t')
        reading->next++;
    length = strcspn(reading->next, "\n");
    if (length + 2 > (size_t)size) {
        reading->failed = true;
        (void)error_set(reading->err, ERROR_INVALID, "%s:%u: line is over %d bytes", reading->path,
                        reading->line, size - 2);
        return NULL;
    }
    memcpy(line, reading->next, length);
    line[length] = '\n';
    line[length + 1] = '\0';
    reading->next += length;
    if (*reading->next == '\n')
        reading->next++;
    return line;
}

static int take_option(void *context, const char *section, const char *name, const char *value)
{
    struct file_reading *reading = context;
    char origin[ERROR_MESSAGE_BYTES];
    int result = -1;

    if (reading->failed)
        return 0;
    (void)snprintf(origin, sizeof origin, "%s:%u", reading->path, reading->line);
    if (*section != '\0' && strcmp(section, SECTION) != 0)
        (void)error_set(reading->err, ERROR_INVALID, "%s: unknown section [%s]", origin, section);
    else
        result = config_set(reading->config, name, value, origin, reading->err);
    reading->failed = result < 0;
    return result == 0;
}

int config_load_file(struct config *config, const char *path, struct error *err)
{
    CLEANUP(memory_free) char *text = NULL;
    struct file_reading reading = {.config = config, .path = path, .err = err};
    size_t size;
    int bad_line;

    if (file_read_all(AT_FDCWD, path, LIMIT_CONFIG_BYTES, &text, &size, err) < 0)
        return -1;
    if (strlen(text) != size)
        return error_set(err, ERROR_INVALID, "%s: holds a NUL byte", path);
    reading.next = text;
    bad_line = ini_parse_stream(read_line, &reading, take_option, &reading);
    explicit_bzero(text, size); /* os_password may have been in it */
    if (reading.failed)
        return -1;
    if (bad_line != 0)
        return error_set(err, ERROR_INVALID, "%s:%d: neither 'option = value' nor '[section]'",
                         path, bad_line);
    return 0;
}

/* --- environment and command line --- */

/* "GLANCEFS_MAX_MEMORY=1G": sets max_memory. */
static int take_variable(struct config *config, const char *variable, struct error *err)
{
    const char *equals = strchr(variable, '=');
    const size_t prefix = sizeof ENVIRONMENT_PREFIX - 1;
    char origin[OPTION_NAME_BYTES] = "";
    char name[OPTION_NAME_BYTES] = "";
    size_t length;

    if (equals == NULL || strncmp(variable, ENVIRONMENT_PREFIX, prefix) != 0)
        return 0;
    length = (size_t)(equals - variable);
    if (length >= sizeof origin)
        return error_set(err, ERROR_INVALID, "environment: unknown option '%.*s'", (int)length,
                         variable);
    memcpy(origin, variable, length);
    for (size_t i = prefix; i < length; i++)
        name[i - prefix] = (char)tolower((unsigned char)variable[i]);
    return config_set(config, name, equals + 1, origin, err);
}

int config_load_environment(struct config *config, char *const *environment, struct error *err)
{
    for (; *environment != NULL; environment++)
        if (take_variable(config, *environment, err) < 0)
            return -1;
    return 0;
}

/* `config` names the file to load before these options: whoever parses the command line does. */
static bool is_ignored_mount_option(const char *name)
{
    if (strcmp(name, "config") == 0)
        return true;
    for (size_t i = 0; i < sizeof ignored_mount_options / sizeof ignored_mount_options[0]; i++)
        if (strcmp(name, ignored_mount_options[i]) == 0)
            return true;
    return strncmp(name, "x-", 2) == 0;
}

int config_set_mount_options(struct config *config, const char *options, struct error *err)
{
    CLEANUP(memory_free) char *copy = strdup(options);
    char *rest = copy;
    char *option;

    if (copy == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    while ((option = strsep(&rest, ",")) != NULL) {
        char *value = strchr(option, '=');

        if (value != NULL)
            *value++ = '\0';
        if ((*option == '\0' && value == NULL) || is_ignored_mount_option(option))
            continue;
        if (strcmp(option, "rw") == 0 && value == NULL)
            config->read_only = false;
        else if (config_set(config, option, value == NULL ? "true" : value, "-o", err) < 0)
            return -1;
    }
    return 0;
}

/* --- what only all options together can tell --- */

static bool is_cloud_name(const char *cloud)
{
    return (strncmp(cloud, "local:", 6) == 0 && cloud[6] != '\0') ||
           strcmp(cloud, "openstack") == 0 ||
           (strncmp(cloud, "openstack:", 10) == 0 && cloud[10] != '\0');
}

/* `cloud` by what os_cloud says, when they do not contradict each other. */
static int complete_cloud(struct config *config, struct error *err)
{
    const struct openstack_options *openstack = &config->openstack;

    if (config->cloud == NULL && (openstack->cloud != NULL || openstack->auth_url != NULL)) {
        config->cloud = strdup(OPENSTACK_NAME);
        if (config->cloud == NULL)
            return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    if (openstack->cloud == NULL || strcmp(config->cloud, OPENSTACK_NAME) == 0)
        return 0;
    if (strncmp(config->cloud, OPENSTACK_NAME ":", sizeof OPENSTACK_NAME) == 0 &&
        strcmp(config->cloud + sizeof OPENSTACK_NAME, openstack->cloud) == 0)
        return 0;
    return error_set(err, ERROR_INVALID, "os_cloud %s contradicts cloud %s", openstack->cloud,
                     config->cloud);
}

static int check_network(const struct openstack_options *openstack, struct error *err)
{
    if (openstack->connect_timeout_seconds < 1 || openstack->stall_timeout_seconds < 1 ||
        openstack->request_timeout_seconds < 1)
        return error_set(err, ERROR_INVALID,
                         "connect_timeout, stall_timeout and request_timeout must be at least 1");
    if (openstack->connect_timeout_seconds > MAXIMUM_TIMEOUT_SECONDS ||
        openstack->stall_timeout_seconds > MAXIMUM_TIMEOUT_SECONDS ||
        openstack->request_timeout_seconds > MAXIMUM_TIMEOUT_SECONDS)
        return error_set(err, ERROR_INVALID, "a timeout is over %u seconds",
                         MAXIMUM_TIMEOUT_SECONDS);
    if (openstack->retries > MAXIMUM_RETRIES)
        return error_set(err, ERROR_INVALID, "retries must be 0 to %u", MAXIMUM_RETRIES);
    if (openstack->allow_http && openstack->proxy != NULL)
        return error_set(err, ERROR_INVALID,
                         "allow_http and proxy exclude each other: a proxy would read the tokens");
    return 0;
}

static int check_signatures(const struct config *config, struct error *err)
{
    if (config->signature == SIGNATURE_REQUIRED && config->trusted_certificates == NULL)
        return error_set(
            err, ERROR_INVALID,
            "signature=required needs trusted_certificates: say who may vouch for images");
    if ((config->signing_key == NULL) != (config->signing_certificate == NULL))
        return error_set(err, ERROR_INVALID,
                         "signing_key and signing_certificate go together: set both or neither");
    return 0;
}

static int check_numbers(const struct config *config, struct error *err)
{
    if (config->threads < 1 || config->threads > 4)
        return error_set(err, ERROR_INVALID, "threads must be 1 to 4, not %u", config->threads);
    if (config->max_streams < 1)
        return error_set(err, ERROR_INVALID, "max_streams must be at least 1");
    if (config->max_downloads < 1 || config->max_downloads > MAXIMUM_DOWNLOADS)
        return error_set(err, ERROR_INVALID, "max_downloads must be 1 to %u", MAXIMUM_DOWNLOADS);
    if (config->max_uploads < 1 || config->max_uploads > MAXIMUM_UPLOADS)
        return error_set(err, ERROR_INVALID, "max_uploads must be 1 to %u", MAXIMUM_UPLOADS);
    return 0;
}

int config_validate(struct config *config, struct error *err)
{
    if (complete_cloud(config, err) < 0 || check_network(&config->openstack, err) < 0 ||
        check_signatures(config, err) < 0 || check_numbers(config, err) < 0)
        return -1;
    if (config->cloud != NULL && !is_cloud_name(config->cloud))
        return error_set(err, ERROR_INVALID,
                         "bad value '%s' for cloud, which takes local:DIR|openstack[:NAME]",
                         config->cloud);
    if (config->cache_limits.min_free.percent == 100)
        return error_set(err, ERROR_INVALID, "min_free=100%% leaves the cache no room at all");
    if (config->allow_other && !config->uid_set && !config->gid_set)
        return error_set(err, ERROR_INVALID,
                         "allow_other needs uid or gid: say whom the files belong to");
    if (config->write_window_bytes < 1 * MIB || config->write_window_bytes > 64 * MIB)
        return error_set(err, ERROR_INVALID, "write_window must be 1M to 64M");
    if (config->max_memory_bytes < SECURE_ARENA_MINIMUM_BYTES)
        return error_set(err, ERROR_INVALID, "max_memory must be at least 2M");
    return 0;
}

const struct config_option *config_option_at(size_t index)
{
    const struct option_row *row = option_row_at(index);

    return row == NULL ? NULL : &row->option;
}
