/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/upload_match.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PIECE_BYTES (256 * KIB)
#define SHA512_NAME "sha512"

static bool has_size(const struct upload_journal *journal, const struct image_record *record)
{
    uint64_t size;

    return image_record_status(record) == IMAGE_STATUS_ACTIVE && image_record_size(record, &size) &&
           size == journal->stored_bytes;
}

bool upload_journal_describes(const struct upload_journal *journal,
                              const struct image_record *record)
{
    const char *algorithm = image_record_hash_algo(record);
    const char *value = image_record_hash_value(record);
    const char *checksum = image_record_checksum(record);

    if (!has_size(journal, record))
        return false;
    if (algorithm != NULL && value != NULL && strcasecmp(algorithm, SHA512_NAME) == 0)
        return strcasecmp(value, journal->sha512) == 0;
    return checksum != NULL && strcasecmp(checksum, journal->md5) == 0;
}

/* True when the record names a hash that the journal does not have but the data can give. */
static bool names_other_hash(const struct image_record *record, enum hash_algorithm *ret)
{
    const char *algorithm = image_record_hash_algo(record);

    return algorithm != NULL && image_record_hash_value(record) != NULL &&
           strcasecmp(algorithm, SHA512_NAME) != 0 && hash_algorithm_from_name(algorithm, ret);
}

static int hash_data(struct hash *hash, int fd, struct cancel *cancel, struct error *err)
{
    CLEANUP(memory_free) char *piece = malloc(PIECE_BYTES);
    uint64_t position = 0;
    ssize_t size;

    if (piece == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    do {
        if (cancel_check(cancel, err) < 0)
            return -1;
        size = pread(fd, piece, PIECE_BYTES, (off_t)position);
        if (size < 0 && errno != EINTR)
            return error_set_errno(err, errno, "staging: read");
        if (size > 0) {
            hash_update(hash, piece, (size_t)size);
            position += (uint64_t)size;
        }
    } while (size != 0);
    return 0;
}

static int match_by(enum hash_algorithm algorithm, int fd, const char *value, struct cancel *cancel,
                    bool *ret, struct error *err)
{
    CLEANUP(hash_free) struct hash *hash = NULL;
    uint8_t digest[HASH_MAXIMUM_BYTES];
    char text[2 * HASH_MAXIMUM_BYTES + 1] = "";

    if (hash_new_public(algorithm, &hash, err) < 0 || hash_data(hash, fd, cancel, err) < 0)
        return -1;
    hash_finish(hash, digest);
    encode_hex(digest, hash_size(algorithm), text);
    *ret = strcasecmp(value, text) == 0;
    return 0;
}

int upload_match(const struct upload_journal *journal, int fd, const struct image_record *record,
                 struct cancel *cancel, bool *ret, struct error *err)
{
    enum hash_algorithm algorithm;

    if (has_size(journal, record) && names_other_hash(record, &algorithm))
        return match_by(algorithm, fd, image_record_hash_value(record), cancel, ret, err);
    *ret = upload_journal_describes(journal, record);
    return 0;
}
