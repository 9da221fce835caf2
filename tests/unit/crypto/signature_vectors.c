/* SPDX-License-Identifier: Apache-2.0 */
#include "signature_vectors.h"

#include "base/file_source.h"
#include "crypto/encoding.h"
#include "support/testing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

char *signature_vector_read(const char *file, size_t *ret_size)
{
    struct error err;
    char path[4096];
    char *text;

    (void)snprintf(path, sizeof path, "%s/signatures/%s", TEST_VECTORS, file);
    assert_succeeds(file_read_all(AT_FDCWD, path, 65536, &text, ret_size, &err));
    return text;
}

struct certificate *signature_vector_certificate(const char *file)
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read(file, &size);
    struct certificate *certificate;
    struct error err;

    assert_succeeds(certificate_parse(text, size, &certificate, &err));
    return certificate;
}

size_t signature_vector_signature(const char *file, uint8_t ret[SIGNATURE_MAXIMUM_BYTES])
{
    size_t size;
    CLEANUP(memory_free) char *text = signature_vector_read(file, &size);

    assert_true(decode_base64(text, ret, SIGNATURE_MAXIMUM_BYTES, &size));
    return size;
}

void signature_vector_digest(enum hash_algorithm algorithm, uint8_t ret[HASH_MAXIMUM_BYTES])
{
    size_t size;
    CLEANUP(memory_free) char *message = signature_vector_read("message.bin", &size);
    CLEANUP(hash_free) struct hash *hash = NULL;
    struct error err;

    assert_succeeds(hash_new(algorithm, &hash, &err));
    hash_update(hash, message, size);
    hash_finish(hash, ret);
}
