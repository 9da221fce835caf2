/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environments: GLANCEFS_* become options, OS_* credentials, and these the JSON that asks for a token.
 * Variables that name files are left out, since files are not the input's.
 */
#include "config_checks.h"
#include "fuzz_main.h"
#include "input_texts.h"
#include "planted_secret.h"
#include "services/openstack/credentials.h"
#include "services/openstack/token_request.h"
#include "strict_json.h"

#include <string.h>

static const char *const file_variables[] = {
    "OS_CLOUD=", "OS_CLIENT_CONFIG_FILE=", "OS_CLIENT_SECURE_FILE="};

static void leave_out_files(struct input_texts *environment)
{
    size_t kept = 0;

    for (size_t i = 0; i < environment->count; i++) {
        bool names_file = false;

        for (size_t j = 0; j < sizeof file_variables / sizeof file_variables[0]; j++)
            names_file = names_file || strncmp(environment->texts[i], file_variables[j],
                                               strlen(file_variables[j])) == 0;
        if (!names_file)
            environment->texts[kept++] = environment->texts[i];
    }
    environment->texts[kept] = NULL;
    environment->count = kept;
}

static void check_credentials(const struct credentials *credentials)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *request = NULL;
    struct error err = ERROR_INIT;

    FUZZ_ASSERT(credentials->auth_url != NULL && credentials->interface != NULL);
    FUZZ_ASSERT(credentials->password != NULL ||
                credentials->application_credential_secret != NULL);
    if (token_request_build(credentials, fuzz_arena(), &request, &err) < 0) {
        FUZZ_ASSERT(err.kind == ERROR_INVALID ||
                    (err.kind == ERROR_EXHAUSTED && fuzz_allocations_fail()));
        FUZZ_ASSERT(!planted_secret_is_told(&err));
        return;
    }
    FUZZ_ASSERT(strict_json_is_sound((const char *)secure_buffer_bytes(request),
                                     secure_buffer_size(request)));
}

static void find_credentials(struct input_texts *environment, const uint8_t *data, size_t size)
{
    const struct openstack_options options = {0};
    CLEANUP(credentials_free) struct credentials *credentials = NULL;
    struct error err = ERROR_INIT;

    leave_out_files(environment);
    if (credentials_find(&options, NULL, environment->texts, fuzz_arena(), &credentials, &err) == 0)
        check_credentials(credentials);
    else
        config_check_refusal(&err, data, size, "\n");
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(input_texts) struct input_texts environment = {0};
    struct error err = ERROR_INIT;

    if (config_new(&config, &err) < 0)
        return;
    input_texts_split(&environment, data, size);
    if (config_load_environment(config, environment.texts, &err) < 0)
        config_check_refusal(&err, data, size, "\n");
    config_check_valid(config);
    find_credentials(&environment, data, size);
}
