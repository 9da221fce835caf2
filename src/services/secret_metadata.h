/* SPDX-License-Identifier: Apache-2.0 */
/* What the JSON of a secret's metadata (Barbican v1, "secret" entity) says about its use. */
#ifndef SERVICES_SECRET_METADATA_H
#define SERVICES_SECRET_METADATA_H

#include "glancefs/key_manager.h"
#include "services/json_document.h"

/** Barbican's default for `secret_type`. */
#define SECRET_TYPE_DEFAULT "opaque"

/**
 * Reads secret `id` from its metadata. A name that does not fit is cut between two characters.
 * ERROR_NO_KEY when it has expired; ERROR_KEY_REJECTED, saying why, when its status is not ACTIVE or
 * a member makes no sense.
 */
int secret_metadata_from_json(struct json_object *document, const char *id,
                              struct secret_metadata *ret, struct error *err);

#endif
