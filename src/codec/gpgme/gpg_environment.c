/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_environment.h"

#include <stdio.h>
#include <string.h>

#define HOME_VARIABLE "GNUPGHOME="

struct gpg_environment {
    char *variables[4];
};

/* The language, and where gpg's own programs may look for others. */
static char locale_variable[] = "LC_ALL=C";
static char path_variable[] = "PATH=/usr/local/bin:/usr/bin:/bin";

static int set_home(struct gpg_environment *environment, const char *home, struct error *err)
{
    const size_t size = strlen(home) + sizeof HOME_VARIABLE;

    environment->variables[2] = malloc(size);
    if (environment->variables[2] == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    (void)snprintf(environment->variables[2], size, HOME_VARIABLE "%s", home);
    return 0;
}

int gpg_environment_new(const char *home, struct gpg_environment **ret, struct error *err)
{
    CLEANUP(gpg_environment_free)
    struct gpg_environment *environment = calloc(1, sizeof *environment);

    if (environment == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    environment->variables[0] = locale_variable;
    environment->variables[1] = path_variable;
    if (home != NULL && set_home(environment, home, err) < 0)
        return -1;
    *ret = steal(&environment);
    return 0;
}

void gpg_environment_free(struct gpg_environment *environment)
{
    if (environment == NULL)
        return;
    free(environment->variables[2]);
    free(environment);
}

char **gpg_environment_variables(struct gpg_environment *environment)
{
    return environment->variables;
}
