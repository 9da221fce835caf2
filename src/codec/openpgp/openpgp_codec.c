/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_codec.h"

#include "codec/openpgp/openpgp_decrypt.h"
#include "codec/openpgp/openpgp_sink.h"

#include <stdlib.h>

static void free_codec(struct codec *codec)
{
    free(codec);
}

int openpgp_codec_new(const struct codecs_options *options, struct codec **ret, struct error *err)
{
    static const struct codec_ops ops = {
        .decrypt = openpgp_decrypt, .open_sink = openpgp_sink_new, .free = free_codec};
    struct openpgp_codec *openpgp = calloc(1, sizeof *openpgp);

    if (openpgp == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    openpgp->codec = (struct codec){.ops = &ops, .format = "GPG"};
    openpgp->aead = options->aead;
    *ret = &openpgp->codec;
    return 0;
}
