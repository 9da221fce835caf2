/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/argon2.h"

#include "glancefs/cleanup.h"

#include <gcrypt.h>
#include <string.h>

struct derivation {
    argon2_check *check;
    void *context;
    struct error *err;
};

static void close_kdf(gcry_kdf_hd_t *handle)
{
    if (*handle != NULL)
        gcry_kdf_close(*handle);
}

/* libgcrypt hands out the lanes of each quarter of a pass as jobs. They are done at once, here. */
static int run_job(void *context, gcry_kdf_job_fn_t run, void *job)
{
    struct derivation *derivation = context;

    if (derivation->check != NULL && derivation->check(derivation->context, derivation->err) < 0)
        return -1;
    run(job);
    return 0;
}

static int wait_for_jobs(void *context)
{
    (void)context;
    return 0;
}

static int fail(gcry_error_t result, const struct error *err_of_check, struct error *err)
{
    if (error_is_set(err_of_check)) {
        *err = *err_of_check;
        return -1;
    }
    return error_set(err, ERROR_EXHAUSTED, "Argon2: %s", gcry_strerror(result));
}

int argon2id_derive(const struct argon2_cost *cost, const void *passphrase, size_t passphrase_size,
                    const void *salt, size_t salt_size, argon2_check *check, void *context,
                    uint8_t *ret, size_t size, struct error *err)
{
    const unsigned long parameters[] = {size, cost->passes, cost->memory_kib, cost->lanes};
    __attribute__((cleanup(close_kdf))) gcry_kdf_hd_t handle = NULL;
    struct error check_err = ERROR_INIT;
    struct derivation derivation = {check, context, &check_err};
    const gcry_kdf_thread_ops_t threads = {&derivation, run_job, wait_for_jobs};
    gcry_error_t result;

    result = gcry_kdf_open(&handle, GCRY_KDF_ARGON2, GCRY_KDF_ARGON2ID, parameters,
                           sizeof parameters / sizeof parameters[0], passphrase, passphrase_size,
                           salt, salt_size, NULL, 0, NULL, 0);
    if (result == 0)
        result = gcry_kdf_compute(handle, &threads);
    if (result == 0)
        result = gcry_kdf_final(handle, size, ret);
    return result == 0 ? 0 : fail(result, &check_err, err);
}
