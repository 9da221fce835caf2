/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a key manager says of the keys of many images, in a time that people wait for: each key is
 * asked for once, and nothing more once the key manager did not answer.
 */
#ifndef CLI_KEY_STATES_H
#define CLI_KEY_STATES_H

#include "glancefs/cleanup.h"
#include "glancefs/error.h"
#include "glancefs/key_manager.h"

struct key_states;

/** Keys of `keys`, borrowed. One thread uses it. */
int key_states_new(struct key_manager *keys, struct key_states **ret, struct error *err);

/** Frees; NULL is allowed. */
void key_states_free(struct key_states *states);
DEFINE_CLEANUP(struct key_states, key_states_free)

/**
 * "ok", "gone", "denied", "unusable", or "unknown" when there was no answer, now or before. By the
 * secret's metadata: no payload is fetched. Static storage. May wait.
 */
const char *key_states_get(struct key_states *states, const char *key_id);

#endif
