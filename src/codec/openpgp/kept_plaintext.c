/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/kept_plaintext.h"

#include <string.h>

void kept_plaintext_clear(struct kept_plaintext *kept)
{
    secure_buffer_free(steal(&kept->bytes));
    kept->begin = 0;
}

int kept_plaintext_check(const struct kept_plaintext *kept, struct error *err)
{
    return kept->is_lost ? error_set(err, ERROR_EXHAUSTED, "locked memory is used up (max_memory)")
                         : 0;
}

size_t kept_plaintext_copy(const struct kept_plaintext *kept, void *buffer, size_t size)
{
    size_t left;

    if (kept->bytes == NULL)
        return 0;
    left = secure_buffer_size(kept->bytes) - kept->begin;
    size = size < left ? size : left;
    memcpy(buffer, secure_buffer_bytes(kept->bytes) + kept->begin, size);
    return size;
}

void kept_plaintext_drop(struct kept_plaintext *kept, size_t size)
{
    kept->begin += size;
    if (kept->bytes != NULL && kept->begin == secure_buffer_size(kept->bytes))
        kept_plaintext_clear(kept);
}

void kept_plaintext_keep(struct kept_plaintext *kept, struct secure_arena *arena, const void *bytes,
                         size_t size)
{
    struct secure_buffer *copy = NULL;
    struct error ignored = ERROR_INIT;

    if (secure_buffer_copy_of(arena, bytes, size, &copy, &ignored) < 0) {
        kept->is_lost = true;
        return;
    }
    kept_plaintext_clear(kept);
    kept->bytes = copy;
}
