/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_states.h"

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stdlib.h>

struct key_states {
    struct key_manager *keys;
    struct json_object *known; /* key id: number of its state */
    bool is_away;
};

enum key_state { KEY_OK, KEY_GONE, KEY_DENIED, KEY_UNUSABLE, KEY_UNKNOWN };

static const char *const state_names[] = {
    [KEY_OK] = "ok",           [KEY_GONE] = "gone",
    [KEY_DENIED] = "denied",   [KEY_UNUSABLE] = "unusable",
    [KEY_UNKNOWN] = "unknown",
};

int key_states_new(struct key_manager *keys, struct key_states **ret, struct error *err)
{
    CLEANUP(key_states_free) struct key_states *states = calloc(1, sizeof *states);

    if (states == NULL || (states->known = json_object_new_object()) == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    states->keys = keys;
    *ret = steal(&states);
    return 0;
}

void key_states_free(struct key_states *states)
{
    if (states == NULL)
        return;
    (void)json_object_put(states->known);
    free(states);
}

static enum key_state ask(struct key_states *states, const char *key_id)
{
    struct secret_metadata metadata;
    struct error err = ERROR_INIT;

    if (states->is_away)
        return KEY_UNKNOWN;
    if (key_manager_get_metadata(states->keys, key_id, NULL, &metadata, &err) == 0)
        return KEY_OK;
    if (err.kind == ERROR_NO_KEY)
        return KEY_GONE;
    if (err.kind == ERROR_DENIED)
        return KEY_DENIED;
    states->is_away = err.kind == ERROR_UNAVAILABLE || err.kind == ERROR_TIMEOUT;
    return err.kind == ERROR_KEY_REJECTED ? KEY_UNUSABLE : KEY_UNKNOWN;
}

/* Without memory for it a key may be asked for again: no harm. */
static void remember(struct key_states *states, const char *key_id, enum key_state state)
{
    struct json_object *number = json_object_new_int((int)state);

    if (json_object_object_add(states->known, key_id, number) < 0)
        (void)json_object_put(number);
}

const char *key_states_get(struct key_states *states, const char *key_id)
{
    struct json_object *number = NULL;
    enum key_state state;

    if (json_object_object_get_ex(states->known, key_id, &number) && number != NULL)
        return state_names[json_object_get_int(number)];
    state = ask(states, key_id);
    remember(states, key_id, state);
    return state_names[state];
}
