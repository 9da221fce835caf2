/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_source.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct upload_source {
    struct byte_source source;
    const struct upload_journal *journal;
    int fd;
    _Atomic uint64_t *sent;
    uint64_t position;
    struct hash *sha512; /* of the bytes before position */
};

static int changed(struct error *err)
{
    return error_set(err, ERROR_CORRUPT, "the staged data are not what was sealed");
}

static int read_fully(const struct upload_source *upload, char *buffer, size_t size,
                      struct cancel *cancel, struct error *err)
{
    size_t got = 0;

    while (got < size) {
        ssize_t result;

        if (cancel_check(cancel, err) < 0)
            return -1;
        result = pread(upload->fd, buffer + got, size - got, (off_t)(upload->position + got));
        if (result < 0 && errno != EINTR)
            return error_set_errno(err, errno, "staging: read");
        if (result == 0)
            return changed(err);
        got += result > 0 ? (size_t)result : 0;
    }
    return 0;
}

static int check_digest(struct upload_source *upload, struct error *err)
{
    uint8_t digest[HASH_MAXIMUM_BYTES];
    char text[SHA512_TEXT_BYTES] = "";

    hash_finish(upload->sha512, digest);
    encode_hex(digest, hash_size(HASH_SHA512), text);
    return strcmp(text, upload->journal->sha512) == 0 ? 0 : changed(err);
}

static void rewind_to_start(struct upload_source *upload)
{
    uint8_t ignored[HASH_MAXIMUM_BYTES];

    hash_finish(upload->sha512, ignored);
    upload->position = 0;
}

static int upload_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                        struct cancel *cancel, size_t *ret_size, struct error *err)
{
    struct upload_source *upload = (struct upload_source *)source;
    uint64_t left;

    if (offset == 0)
        rewind_to_start(upload);
    if (offset != upload->position)
        return error_set_errno(err, ESPIPE, "staging: read");
    left = upload->journal->stored_bytes - upload->position;
    size = size < left ? size : (size_t)left;
    if (read_fully(upload, buffer, size, cancel, err) < 0)
        return -1;
    hash_update(upload->sha512, buffer, size);
    if (size > 0 && size == left && check_digest(upload, err) < 0)
        return -1;
    upload->position += size;
    atomic_store(upload->sent, upload->position);
    *ret_size = size;
    return 0;
}

static uint64_t upload_size(struct byte_source *source)
{
    return ((struct upload_source *)source)->journal->stored_bytes;
}

static void upload_free(struct byte_source *source)
{
    struct upload_source *upload = (struct upload_source *)source;

    hash_free(upload->sha512);
    free(upload);
}

static const struct byte_source_ops upload_ops = {
    .pread = upload_pread, .size = upload_size, .free = upload_free, .is_forward_only = true};

int upload_source_new(const struct upload_journal *journal, int fd, _Atomic uint64_t *sent,
                      struct byte_source **ret, struct error *err)
{
    struct upload_source *upload;
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "staging: stat");
    if ((uint64_t)status.st_size != journal->stored_bytes)
        return changed(err);
    upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    if (hash_new_public(HASH_SHA512, &upload->sha512, err) < 0) {
        free(upload);
        return -1;
    }
    upload->source.ops = &upload_ops;
    upload->journal = journal;
    upload->fd = fd;
    upload->sent = sent;
    atomic_store(sent, 0);
    *ret = &upload->source;
    return 0;
}
