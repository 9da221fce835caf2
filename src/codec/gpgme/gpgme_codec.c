/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_codec.h"

#include "codec/gpgme/gpgme_decrypt.h"
#include "codec/gpgme/gpgme_sink.h"

#include <stdlib.h>

static void free_codec(struct codec *codec)
{
    free(codec);
}

int gpgme_codec_new(const struct codecs_options *options, const struct gpg_helper *helper,
                    struct codec **ret, struct error *err)
{
    static const struct codec_ops ops = {
        .decrypt = gpgme_decrypt, .open_sink = gpgme_sink_new, .free = free_codec};
    struct gpgme_codec *gpgme;

    if (options->aead != AEAD_NONE)
        return error_set(err, ERROR_UNSUPPORTED, "the gpgme engine writes no AEAD");
    gpgme = calloc(1, sizeof *gpgme);
    if (gpgme == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    gpgme->codec = (struct codec){.ops = &ops, .format = "GPG"};
    gpgme->helper = helper;
    gpgme->has_keyring = options->keyring != NULL;
    *ret = &gpgme->codec;
    return 0;
}
