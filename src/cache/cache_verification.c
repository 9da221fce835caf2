/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that are proven once more, against what was written beside them. */
#include "base/file_source.h"
#include "cache/cache_pass.h"
#include "cache/object_directory.h"
#include "cache/object_store.h"
#include "cache/object_verifier.h"

#include <errno.h>
#include <sys/stat.h>

static int verify_data(const struct object_metadata *metadata, struct byte_source *file,
                       _Atomic uint64_t *progress, struct cancel *cancel,
                       enum object_verdict *ret_verdict, struct error *err)
{
    CLEANUP(object_verifier_free) struct object_verifier *verifier = NULL;
    const struct object_verifier_parts parts = {.expected = metadata, .progress = progress};
    int result;

    if (object_verifier_new(&parts, &verifier, err) < 0)
        return -1;
    if (!object_verifier_has_hash(verifier))
        return error_set(err, ERROR_UNSUPPORTED, "the object has no hash to compare it with");
    result = cache_pass_copy(file, object_verifier_sink(verifier), cancel, err);
    *ret_verdict = object_verifier_verdict(verifier);
    return result;
}

int ciphertext_cache_verify(struct ciphertext_cache *cache, const struct cached_object *object,
                            _Atomic uint64_t *progress, struct cancel *cancel, struct error *err)
{
    enum object_verdict verdict = OBJECT_NOT_JUDGED;
    struct object_metadata metadata;
    CLEANUP(byte_source_free) struct byte_source *file = NULL; /* open until it is set aside */
    CLEANUP(fd_close) int fd = -1;
    struct stat status;

    if (cache_context_may_change(cache, err) < 0)
        return -1;
    if (object_store_inspect(cache->layout, object->name, &fd, &metadata, err) < 0) {
        if (err->kind == ERROR_CORRUPT)
            cache_pass_quarantine_damaged(cache, object->name);
        return -1;
    }
    if (fstat(fd, &status) < 0)
        return error_set_errno(err, errno, "cache");
    if (file_source_from_fd(fd, &file, err) < 0)
        return -1;
    (void)steal_fd(&fd);
    if (verify_data(&metadata, file, progress, cancel, &verdict, err) == 0)
        return 0;
    if (verdict == OBJECT_MISMATCH || object_directory_is_unreadable(err))
        cache_pass_quarantine(cache, object->name, status.st_ino);
    return -1;
}
