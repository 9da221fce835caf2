/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/openpgp_codec.h"

#include "codec/openpgp/openpgp_decrypt.h"
#include "codec/openpgp/openpgp_sink.h"

const struct codec openpgp_codec = {
    .format = "GPG", .decrypt = openpgp_decrypt, .open_sink = openpgp_sink_new};
