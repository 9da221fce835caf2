/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image signatures on the reading side: img_signature and its companions, verified over the stored
 * bytes as they pass (crypto/signature.h has the rules that OpenStack's services share).
 */
#ifndef VIEW_IMAGE_SIGNATURE_H
#define VIEW_IMAGE_SIGNATURE_H

#include "crypto/hash.h"
#include "glancefs/byte_sink.h"
#include "glancefs/cancel.h"
#include "glancefs/cleanup.h"
#include "glancefs/config.h"
#include "glancefs/error.h"
#include "glancefs/image_record.h"
#include "glancefs/key_manager.h"

#include <stdbool.h>

/** Which signatures are asked for and whom we trust. Immutable; any thread. */
struct signature_policy;

/**
 * The policy of `config`: `signature` and `trusted_certificates`, which are read now, be it from a
 * file or from `keys` (borrowed, must outlive the policy). May wait. Fails when one of them cannot be
 * had or may not issue certificates.
 */
int signature_policy_new(const struct config *config, struct key_manager *keys,
                         struct signature_policy **ret, struct error *err);

/** Releases; NULL is allowed. */
void signature_policy_free(struct signature_policy *policy);
DEFINE_CLEANUP(struct signature_policy, signature_policy_free)

/** True when the policy asks for signatures at all. */
bool signature_policy_asks(const struct signature_policy *policy);

/**
 * True when both records make the same claim as far as the policy cares: what was verified for one
 * holds for the other. The properties of an active image can change.
 */
bool signature_policy_same_claim(const struct signature_policy *policy,
                                 const struct image_record *a, const struct image_record *b);

/** Adds to `hash` what signature_policy_same_claim compares: equal claims add the same, others do
 *  not. */
void signature_policy_hash_claim(const struct signature_policy *policy,
                                 const struct image_record *record, struct hash *hash);

/**
 * A sink that passes everything on to `next` (borrowed; may be NULL) and commits it only when the
 * signature of `record` proves what went by, or nothing asks for one. Fetches the certificate now;
 * may wait.
 *
 * This call: ERROR_DENIED when a signature is required and a property is missing, or the certificate
 * is not trusted; ERROR_UNSUPPORTED for a hash method or key type that is not known; ERROR_CORRUPT
 * for an img_signature that is none; ERROR_KEY_REJECTED when the secret is no certificate; else as
 * the key manager. The commit: ERROR_CORRUPT when the signature does not match.
 */
int signature_sink_new(const struct signature_policy *policy, const struct image_record *record,
                       struct byte_sink *next, struct cancel *cancel, struct byte_sink **ret,
                       struct error *err);

#endif
