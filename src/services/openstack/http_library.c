/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's state is one per process, and so is the flag here that tells whether it is set up. */
#include "services/openstack/http_library.h"

#include <curl/curl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t set_up = PTHREAD_ONCE_INIT;
static CURLcode set_up_result = CURLE_FAILED_INIT;

static void release(void *memory)
{
    if (memory == NULL)
        return;
    explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

/* realloc(3) would leave the old bytes behind: copy and wipe. */
static void *reallocate(void *memory, size_t size)
{
    const size_t old_size = memory == NULL ? 0 : malloc_usable_size(memory);
    void *larger = malloc(size == 0 ? 1 : size);

    if (larger == NULL || memory == NULL)
        return larger;
    memcpy(larger, memory, old_size < size ? old_size : size);
    release(memory);
    return larger;
}

/* libcurl would write the keys of every TLS session to the file that SSLKEYLOGFILE names. */
static void set_up_once(void)
{
    (void)unsetenv("SSLKEYLOGFILE");
    set_up_result =
        curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, release, reallocate, strdup, calloc);
}

int http_library_setup(struct error *err)
{
    const int wanted = CURL_VERSION_SSL | CURL_VERSION_ASYNCHDNS | CURL_VERSION_THREADSAFE;

    (void)pthread_once(&set_up, set_up_once);
    if (set_up_result != CURLE_OK)
        return error_set(err, ERROR_SYSTEM, "libcurl cannot be initialised: %s",
                         curl_easy_strerror(set_up_result));
    if ((curl_version_info(CURLVERSION_NOW)->features & wanted) != wanted)
        return error_set(err, ERROR_UNSUPPORTED,
                         "libcurl lacks TLS, threads or an asynchronous resolver");
    return 0;
}
