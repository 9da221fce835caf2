/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpgme_codec.h"

#include "codec/gpgme/gpgme_decrypt.h"
#include "codec/gpgme/gpgme_library.h"
#include "codec/gpgme/gpgme_sink.h"

#include <stdlib.h>

static void free_codec(struct codec *codec)
{
    struct gpgme_codec *gpgme = (struct gpgme_codec *)codec;

    gpg_keyring_free(gpgme->keyring);
    gnupg_home_free(gpgme->home);
    free(gpgme);
}

int gpgme_codec_new(const struct codecs_options *options, struct codec **ret, struct error *err)
{
    static const struct codec_ops ops = {
        .decrypt = gpgme_decrypt, .open_sink = gpgme_sink_new, .free = free_codec};
    CLEANUP(gnupg_home_free) struct gnupg_home *home = NULL;
    CLEANUP(gpg_keyring_free) struct gpg_keyring *keyring = NULL;
    struct gpgme_codec *gpgme;

    if (options->aead != AEAD_NONE)
        return error_set(err, ERROR_UNSUPPORTED, "the gpgme engine writes no AEAD");
    if (gpgme_library_setup(err) < 0 ||
        (options->keyring != NULL && gpg_keyring_new(options->keyring, &keyring, err) < 0) ||
        gnupg_home_new(options->runtime, &home, err) < 0)
        return -1;
    gpgme = calloc(1, sizeof *gpgme);
    if (gpgme == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    gpgme->codec = (struct codec){.ops = &ops, .format = "GPG"};
    gpgme->home = steal(&home);
    gpgme->keyring = steal(&keyring);
    *ret = &gpgme->codec;
    return 0;
}
