/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/gpgme/gpg_status.h"

#include <stddef.h>
#include <string.h>

int gpg_status_init(struct gpg_status *status, struct secure_arena *arena, bool wants_session_key,
                    struct error *err)
{
    memset(status, 0, sizeof *status);
    if (!wants_session_key)
        return 0;
    status->session_key = secure_arena_allocate(arena, GPG_SESSION_KEY_TEXT_BYTES);
    if (status->session_key == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of locked memory");
    return 0;
}

void gpg_status_clear(struct gpg_status *status, struct secure_arena *arena)
{
    secure_arena_release(arena, status->session_key);
    status->session_key = NULL;
}

static void take_session_key(struct gpg_status *status, char *arguments)
{
    const size_t length = strlen(arguments);

    if (status->session_key != NULL && length < GPG_SESSION_KEY_TEXT_BYTES)
        memcpy(status->session_key, arguments, length + 1);
    explicit_bzero(arguments, length);
}

void gpg_status_add(struct gpg_status *status, const char *keyword, char *arguments)
{
    static const struct {
        const char *keyword;
        size_t counter;
    } counted[] = {
        {"DECRYPTION_OKAY", offsetof(struct gpg_status, okays)},
        {"GOODMDC", offsetof(struct gpg_status, good_mdcs)},
        {"END_DECRYPTION", offsetof(struct gpg_status, endings)},
        {"END_ENCRYPTION", offsetof(struct gpg_status, endings)},
        {"ERROR", offsetof(struct gpg_status, errors)},
        {"ERROR", offsetof(struct gpg_status, bad_keys)},
        {"FAILURE", offsetof(struct gpg_status, errors)},
        {"NODATA", offsetof(struct gpg_status, errors)},
        {"UNEXPECTED", offsetof(struct gpg_status, errors)},
        {"BADMDC", offsetof(struct gpg_status, errors)},
        {"BADARMOR", offsetof(struct gpg_status, errors)},
        {"DECRYPTION_FAILED", offsetof(struct gpg_status, errors)},
        {"NO_SECKEY", offsetof(struct gpg_status, missing_keys)},
        {"TRUNCATED", offsetof(struct gpg_status, errors)},
    };

    if (strcmp(keyword, "SESSION_KEY") == 0)
        take_session_key(status, arguments);
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++)
        if (strcmp(keyword, counted[i].keyword) == 0)
            ++*(unsigned *)((char *)status + counted[i].counter);
}

bool gpg_status_is_sound(const struct gpg_status *status)
{
    return status->okays == 1 && status->good_mdcs == 1 && status->endings == 1 &&
           status->errors == 0;
}

bool gpg_status_lacks_key(const struct gpg_status *status)
{
    return status->missing_keys > 0 && status->bad_keys == 0 && status->session_key[0] == '\0';
}

bool gpg_status_is_encrypted(const struct gpg_status *status)
{
    return status->endings == 1 && status->errors == 0;
}
