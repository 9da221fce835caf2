/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_message.h"

#include "codec/openpgp/armor.h"
#include "codec/openpgp/openpgp_source.h"

#include <stdlib.h>

static const struct openpgp_layout *layout_of(const struct codec_message *message)
{
    return ((const struct openpgp_message *)message)->layout;
}

static uint64_t plaintext_size(const struct codec_message *message)
{
    return layout_of(message)->plaintext_size;
}

static bool is_compressed(const struct codec_message *message)
{
    return layout_of(message)->is_compressed;
}

static int open_source(struct codec_message *message, struct byte_source *ciphertext,
                       struct cancel *cancel, struct byte_source **ret, struct error *err)
{
    struct openpgp_message *openpgp = (struct openpgp_message *)message;
    struct byte_source *binary = ciphertext;
    bool is_armored;

    if (openpgp->layout->is_armored &&
        armor_open(ciphertext, cancel, &binary, &is_armored, err) < 0)
        return -1;
    if (openpgp_source_new(openpgp, binary, ret, err) < 0) {
        armor_close(binary, ciphertext);
        return -1;
    }
    armor_own(binary, ciphertext);
    return 0;
}

static struct codec_layout *share_layout(const struct codec_message *message)
{
    return codec_layout_ref(&((const struct openpgp_message *)message)->layout->layout);
}

static void free_message(struct codec_message *message)
{
    struct openpgp_message *openpgp = (struct openpgp_message *)message;

    session_key_free(openpgp->key);
    codec_layout_unref(&openpgp->layout->layout);
    free(openpgp);
}

int openpgp_message_new(struct session_key **key, struct openpgp_layout *layout,
                        struct codec_message **ret, struct error *err)
{
    static const struct codec_message_ops ops = {.plaintext_size = plaintext_size,
                                                 .is_compressed = is_compressed,
                                                 .open = open_source,
                                                 .layout = share_layout,
                                                 .free = free_message};
    struct openpgp_message *openpgp = calloc(1, sizeof *openpgp);

    if (openpgp == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    codec_message_init(&openpgp->message, &ops);
    openpgp->key = steal(key);
    openpgp->layout = (struct openpgp_layout *)codec_layout_ref(&layout->layout);
    *ret = &openpgp->message;
    return 0;
}
