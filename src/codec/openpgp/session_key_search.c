/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/session_key_search.h"

#include "base/clock.h"
#include "codec/openpgp/message_damaged.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct session_key_search {
    struct esk_sequence *sequence;
    struct session_key_means means;
    struct encrypted_data data;
    uint8_t sample[SESSION_KEY_SAMPLE_BYTES];
    struct s2k_allowance allowance;
    size_t next;      /* of the SKESKs */
    size_t usable;    /* SKESKs tried */
    size_t given;     /* candidates */
    bool has_asked;   /* the resolver; or there is no need to */
    bool has_own_key; /* the resolver had one for the message, right or wrong */
    struct session_key *doubtful[LIMIT_SESSION_KEY_CANDIDATES]; /* kept for the end, in order */
    size_t doubtful_count;
    size_t doubtful_next;
};

int session_key_search_new(struct esk_sequence **sequence, const struct encrypted_data *data,
                           const struct session_key_means *means, struct session_key_search **ret,
                           struct error *err)
{
    struct session_key_search *search = calloc(1, sizeof *search);

    if (search == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    search->means = *means;
    search->data = *data;
    if (data->kind == ENCRYPTED_DATA_SEIPD_V1) {
        assert(data->sample_size <= sizeof search->sample);
        memcpy(search->sample, data->sample, data->sample_size);
        search->data.sample = search->sample;
    }
    search->allowance = (struct s2k_allowance){
        .cpu_ns = LIMIT_DERIVATION_SECONDS * NANOSECONDS_PER_SECOND, .gate = means->argon2_gate};
    search->sequence = steal(sequence);
    *ret = search;
    return 0;
}

void session_key_search_free(struct session_key_search *search)
{
    if (search == NULL)
        return;
    for (size_t i = search->doubtful_next; i < search->doubtful_count; i++)
        session_key_free(search->doubtful[i]);
    esk_sequence_free(search->sequence);
    free(search);
}

/* The data names the cipher; a key that names another one, or does not fit it, is none. */
static bool goes_with_cipher(struct session_key *key, bool names_cipher,
                             const struct encrypted_data *data)
{
    if (key->size != cipher_key_size(data->cipher) ||
        (names_cipher && key->algorithm != data->cipher))
        return false;
    key->algorithm = data->cipher;
    return true;
}

static int is_plausible(const struct session_key_search *search, struct session_key *key,
                        bool names_cipher, bool *ret, struct error *err)
{
    const struct encrypted_data *data = &search->data;

    if (data->kind == ENCRYPTED_DATA_SEIPD_V1 && key->size == cipher_key_size(key->algorithm))
        return session_key_fits(key, data->sample, data->sample_size, ret, err);
    *ret = data->kind != ENCRYPTED_DATA_SEIPD_V1 && goes_with_cipher(key, names_cipher, data);
    return 0;
}

/* A candidate for now, or for when there is no better one. */
static void hand_out(struct session_key_search *search, struct session_key **key,
                     struct session_key **ret)
{
    if (!(*key)->is_doubtful)
        *ret = steal(key);
    else if (search->doubtful_count < LIMIT_SESSION_KEY_CANDIDATES)
        search->doubtful[search->doubtful_count++] = steal(key);
}

/* *ret is NULL, with success, when this packet's key is not plausible, or doubtful. */
static int try_skesk(struct session_key_search *search, const struct skesk *skesk,
                     struct cancel *cancel, struct session_key **ret, struct error *err)
{
    const bool is_authentic = skesk->version != SKESK_VERSION;
    CLEANUP(session_key_free) struct session_key *key = NULL;
    bool plausible = false;

    search->usable++;
    if (skesk_session_key(skesk, search->means.arena, search->means.passphrase, &search->allowance,
                          cancel, &key, err) < 0)
        return -1;
    if (key == NULL)
        return 0;
    if (is_plausible(search, key, !is_authentic, &plausible, err) < 0)
        return -1;
    if (!plausible)
        return 0;
    if (is_authentic) {
        search->next = search->sequence->count;
        search->has_asked = true;
    }
    hand_out(search, &key, ret);
    return 0;
}

static int try_skesks(struct session_key_search *search, struct cancel *cancel,
                      struct session_key **ret, struct error *err)
{
    *ret = NULL;
    while (search->next < search->sequence->count && *ret == NULL) {
        const struct skesk *skesk = &search->sequence->skesks[search->next];

        if (skesk_version_goes_with(skesk->version, search->data.kind) &&
            try_skesk(search, skesk, cancel, ret, err) < 0)
            return -1;
        if (search->next < search->sequence->count)
            search->next++;
    }
    return 0;
}

/* A packet that a key at hand does not open is a wrong candidate. After a passphrase that opens
 * nothing, what the keyring lacks must not tell that it was not that alone which failed. */
static int resolver_failed(struct session_key_search *search, const struct error *failure,
                           struct error *err)
{
    if (failure->kind == ERROR_CORRUPT) {
        search->has_asked = true;
        search->has_own_key = true;
        return 0;
    }
    if (search->usable > 0 && failure->kind != ERROR_CANCELLED && failure->kind != ERROR_EXHAUSTED)
        return message_damaged(err);
    *err = *failure;
    return -1;
}

static int ask_resolver(struct session_key_search *search, struct cancel *cancel,
                        struct session_key **ret, struct error *err)
{
    const struct pkesk_packets *pkesks = esk_sequence_pkesks(search->sequence, search->data.kind);
    const bool names_cipher = search->data.kind == ENCRYPTED_DATA_LIBREPGP_AEAD;
    CLEANUP(session_key_free) struct session_key *key = NULL;
    struct error failure = ERROR_INIT;
    bool plausible = false;

    *ret = NULL;
    if (search->has_asked || pkesks->size == 0 || search->means.resolver == NULL)
        return 0;
    if (session_key_resolver_resolve(search->means.resolver, search->data.kind, pkesks->bytes,
                                     pkesks->size, search->means.arena, cancel, &key, &failure) < 0)
        return resolver_failed(search, &failure, err);
    search->has_asked = true;
    search->has_own_key = key != NULL;
    if (key != NULL && is_plausible(search, key, names_cipher, &plausible, err) < 0)
        return -1;
    if (plausible)
        hand_out(search, &key, ret);
    return 0;
}

/* Nothing was found. Where there was a packet for passphrases or for a key at hand, it was the wrong
 * passphrase or damage; else it may be said what is lacking. */
static int explain(const struct session_key_search *search, struct error *err)
{
    const struct pkesk_packets *pkesks = esk_sequence_pkesks(search->sequence, search->data.kind);

    if (search->usable > 0 || search->given > 0 || search->has_own_key)
        return message_damaged(err);
    if (pkesks->is_cut)
        return error_set(err, ERROR_TOO_LARGE, "public-key session key packets of over %zu bytes",
                         LIMIT_PKESK_BYTES);
    if (pkesks->size > 0 && search->means.resolver != NULL)
        return error_set(
            err, ERROR_NO_KEY,
            "the message is encrypted to public keys, none of which is in the keyring");
    if (error_is_set(&search->sequence->unusable)) {
        *err = search->sequence->unusable;
        return -1;
    }
    if (pkesks->size > 0)
        return error_set(err, ERROR_UNSUPPORTED,
                         "the message is encrypted to a public key; set keyring");
    return error_set(err, ERROR_CORRUPT,
                     "the message has no session key packet for its encrypted data");
}

bool session_key_search_has_choice(const struct session_key_search *search)
{
    const struct esk_sequence *sequence = search->sequence;

    return sequence->count + (sequence->pkesk_v3.size > 0) + (sequence->pkesk_v6.size > 0) > 1;
}

int session_key_search_next(struct session_key_search *search, struct cancel *cancel,
                            struct session_key **ret, struct error *err)
{
    struct session_key *key = NULL;

    if (search->given == LIMIT_SESSION_KEY_CANDIDATES)
        return message_damaged(err);
    if (try_skesks(search, cancel, &key, err) < 0 ||
        (key == NULL && ask_resolver(search, cancel, &key, err) < 0))
        return -1;
    if (key == NULL && search->doubtful_next < search->doubtful_count) {
        key = search->doubtful[search->doubtful_next];
        search->doubtful_next++;
    }
    if (key == NULL)
        return explain(search, err);
    search->given++;
    *ret = key;
    return 0;
}
