/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_codec.h"

#include "codec/gpgme/gpgme_keys.h"
#include "codec/openpgp/openpgp_decrypt.h"
#include "codec/openpgp/openpgp_sink.h"

#include <stdlib.h>

static void free_codec(struct codec *codec)
{
    struct openpgp_codec *openpgp = (struct openpgp_codec *)codec;

    argon2_gate_free(openpgp->argon2_gate);
    session_key_resolver_free(openpgp->resolver);
    free(openpgp);
}

int openpgp_codec_new(const struct codecs_options *options, const struct gpg_helper *helper,
                      struct codec **ret, struct error *err)
{
    static const struct codec_ops ops = {.decrypt = openpgp_decrypt,
                                         .open_stream = openpgp_open_stream,
                                         .open_sink = openpgp_sink_new,
                                         .reopen = openpgp_reopen,
                                         .free = free_codec};
    struct openpgp_codec *openpgp = calloc(1, sizeof *openpgp);

    if (openpgp == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    openpgp->codec = (struct codec){.ops = &ops, .format = "GPG"};
    openpgp->aead = options->aead;
    if (argon2_gate_new(&openpgp->argon2_gate, err) < 0 ||
        (options->keyring != NULL && gpgme_keys_new(helper, &openpgp->resolver, err) < 0)) {
        free_codec(&openpgp->codec);
        return -1;
    }
    *ret = &openpgp->codec;
    return 0;
}
