/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key manager of a local cloud: in the directory `secrets`, `<secret-id>.json` is Barbican's
 * metadata and `<secret-id>.payload` the payload's exact bytes. A payload alone is a secret of type
 * "opaque", Barbican's default. Metadata alone is a secret whose payload was never stored. A past
 * `expiration` makes a secret absent. Consumers stand in the metadata, as Barbican 1.1 shows them.
 * The metadata may ask for faults (local_fault.h).
 */
#ifndef SERVICES_LOCAL_LOCAL_KEYS_H
#define SERVICES_LOCAL_LOCAL_KEYS_H

#include "glancefs/key_manager.h"

/** The key manager of the local cloud at `path`, which must exist; `secrets` is made when the
 *  first secret is stored. Payloads live in `arena`, borrowed. */
int local_keys_new(const char *path, struct secure_arena *arena, struct key_manager **ret,
                   struct error *err);

#endif
