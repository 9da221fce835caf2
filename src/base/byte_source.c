/* SPDX-License-Identifier: Apache-2.0 */
#include "glancefs/byte_source.h"

int byte_source_pread(struct byte_source *source, void *buffer, size_t size, uint64_t offset,
                      struct cancel *cancel, size_t *ret_size, struct error *err)
{
    return source->ops->pread(source, buffer, size, offset, cancel, ret_size, err);
}

bool byte_source_can_be_visited(const struct byte_source *source)
{
    return source->ops->visit != NULL;
}

int byte_source_visit(struct byte_source *source, size_t size, uint64_t offset,
                      const struct byte_visitor *visitor, struct cancel *cancel, size_t *ret_size,
                      struct error *err)
{
    return source->ops->visit(source, size, offset, visitor, cancel, ret_size, err);
}

uint64_t byte_source_size(struct byte_source *source)
{
    return source->ops->size(source);
}

bool byte_source_is_forward_only(const struct byte_source *source)
{
    return source->ops->is_forward_only;
}

void byte_source_free(struct byte_source *source)
{
    if (source != NULL)
        source->ops->free(source);
}
