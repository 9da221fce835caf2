/* SPDX-License-Identifier: Apache-2.0 */
/* Symmetric-key encrypted session key packets, with the key derivation they ask for. */
#include "codec/openpgp/skesk.h"
#include "fuzz_codec.h"
#include "fuzz_main.h"

/* Enough for a derivation, short enough that costly ones do not slow the run. */
#define DERIVATION_NS UINT64_C(5000000)

void fuzz_one(const uint8_t *data, size_t size)
{
    struct byte_cursor cursor = byte_cursor_over(data, size);
    CLEANUP(session_key_free) struct session_key *key = NULL;
    CLEANUP(secure_buffer_free) struct secure_buffer *passphrase = NULL;
    struct s2k_allowance allowance = {.cpu_ns = DERIVATION_NS};
    struct skesk skesk;
    struct error err = ERROR_INIT;

    if (skesk_parse(&cursor, &skesk, &err) < 0)
        return;
    passphrase = fuzz_passphrase(FUZZ_PASSPHRASE);
    (void)skesk_session_key(&skesk, fuzz_arena(), passphrase, &allowance, NULL, &key, &err);
}
