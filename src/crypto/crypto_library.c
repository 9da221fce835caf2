/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both libraries take allocators without a context argument, so the arena stands in one variable
 * of this file; it is set once, before threads.
 */
#include "crypto/crypto_library.h"

#include <errno.h>
#include <gcrypt.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct secure_arena *library_arena;

static void *allocate(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

/* libgcrypt takes the reason of a NULL from errno. */
static void *allocate_secure(size_t size)
{
    void *memory = secure_arena_allocate(library_arena, size == 0 ? 1 : size);

    if (memory == NULL)
        errno = ENOMEM;
    return memory;
}

static int is_secure(const void *memory)
{
    return library_arena != NULL && secure_arena_contains(library_arena, memory);
}

static void release(void *memory)
{
    if (memory == NULL)
        return;
    if (is_secure(memory)) {
        secure_arena_release(library_arena, memory);
        return;
    }
    explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

/* realloc(3) would leave the old bytes behind: copy and wipe. */
static void *reallocate(void *memory, size_t size)
{
    const bool secure = memory != NULL && is_secure(memory);
    void *larger = secure ? allocate_secure(size) : allocate(size);
    size_t old_size;

    if (larger == NULL || memory == NULL)
        return larger;
    old_size =
        secure ? secure_arena_allocation_size(library_arena, memory) : malloc_usable_size(memory);
    memcpy(larger, memory, old_size < size ? old_size : size);
    release(memory);
    return larger;
}

static void *openssl_allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size == 0 ? NULL : allocate(size);
}

static void *openssl_reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size != 0)
        return reallocate(memory, size);
    release(memory);
    return NULL;
}

static void openssl_release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    release(memory);
}

static int setup_openssl(struct error *err)
{
    /* Refused when the library has allocated already, say by a constructor of another library. */
    if (CRYPTO_set_mem_functions(openssl_allocate, openssl_reallocate, openssl_release) != 1)
        return error_set(err, ERROR_SYSTEM, "OpenSSL was used before it was set up");
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
        return error_set(err, ERROR_SYSTEM, "OpenSSL cannot be initialised");
    return 0;
}

static int setup_libgcrypt(struct error *err)
{
    gcry_set_allocation_handler(allocate, allocate_secure, is_secure, reallocate, release);
    if (gcry_check_version("1.10.0") == NULL)
        return error_set(err, ERROR_SYSTEM, "libgcrypt is older than 1.10");
    (void)gcry_control(GCRYCTL_DISABLE_SECMEM_WARN, 0);
    (void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return 0;
}

int crypto_library_setup(struct secure_arena *arena, struct error *err)
{
    if (library_arena == arena)
        return 0;
    if (library_arena != NULL)
        return error_set(err, ERROR_INVALID, "the crypto libraries are set up with another arena");
    library_arena = arena;
    if (setup_openssl(err) == 0 && setup_libgcrypt(err) == 0)
        return 0;
    library_arena = NULL;
    return -1;
}

void *crypto_library_allocate(size_t size)
{
    return library_arena != NULL ? allocate_secure(size) : allocate(size);
}

void crypto_library_release(void *memory)
{
    release(memory);
}

int crypto_library_setup_hashing(struct error *err)
{
    return setup_openssl(err);
}
