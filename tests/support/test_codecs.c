/* SPDX-License-Identifier: Apache-2.0 */
#include "test_codecs.h"

#include <stdlib.h>

struct codecs *test_codecs(void)
{
    static struct codecs *codecs;
    struct error err = ERROR_INIT;

    if (codecs == NULL && codecs_new(NULL, &codecs, &err) < 0)
        abort();
    return codecs;
}

const struct codec *test_gpg_codec(void)
{
    const struct codec *codec;
    struct error err = ERROR_INIT;

    if (codecs_find(test_codecs(), "GPG", &codec, &err) < 0)
        abort();
    return codec;
}
