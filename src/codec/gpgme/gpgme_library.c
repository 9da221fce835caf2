/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_library.h"

#include <gpgme.h>
#include <pthread.h>
#include <stddef.h>

#define GPGME_MINIMUM_VERSION "1.18.0"

static void initialise(void)
{
    (void)gpgme_check_version(NULL);
}

int gpgme_library_setup(struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    gpgme_error_t code;

    (void)pthread_once(&once, initialise);
    if (gpgme_check_version(GPGME_MINIMUM_VERSION) == NULL)
        return error_set(err, ERROR_UNSUPPORTED, "gpgme is older than " GPGME_MINIMUM_VERSION);
    code = gpgme_engine_check_version(GPGME_PROTOCOL_OPENPGP);
    if (code != 0)
        return error_set(err, ERROR_UNSUPPORTED, "GnuPG cannot be used: %s", gpgme_strerror(code));
    return 0;
}
