/* SPDX-License-Identifier: Apache-2.0 */
#include "services/openstack/keystone.h"

#include "base/clock.h"
#include "base/monitor.h"
#include "services/openstack/service_catalog.h"
#include "services/openstack/token_request.h"

#include <stdio.h>
#include <string.h>

#define SERVICE "Keystone"

struct keystone {
    struct http_client *http;
    struct secure_arena *arena;
    struct credentials *credentials;
    char *tokens_url;
    struct monitor monitor; /* guards what follows; not held while Keystone is asked */
    struct token *token;    /* NULL before the first */
    bool is_asking;         /* somebody is getting the next one */
    unsigned failures;      /* askings that failed so far, but for cancelled ones */
    struct error failure;   /* the last of them */
};

/* "https://host/identity/v3/" and ".../identity" alike. */
static int build_url(struct keystone *keystone, struct error *err)
{
    CLEANUP(memory_free) char *base = service_catalog_base_url(keystone->credentials->auth_url);

    if (strstr(keystone->credentials->auth_url, "/v2.0") != NULL)
        return error_set(err, ERROR_INVALID, "auth_url is of Keystone's version 2: use /v3");
    if (base == NULL || asprintf(&keystone->tokens_url, "%s/v3/auth/tokens", base) < 0) {
        keystone->tokens_url = NULL;
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    }
    return 0;
}

int keystone_new(struct http_client *http, struct secure_arena *arena,
                 struct credentials *credentials, struct keystone **ret, struct error *err)
{
    struct keystone *keystone = calloc(1, sizeof *keystone);

    if (keystone == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    keystone->http = http;
    keystone->arena = arena;
    keystone->credentials = credentials;
    monitor_init(&keystone->monitor);
    if (build_url(keystone, err) < 0) {
        keystone->credentials = NULL; /* stay the caller's */
        keystone_free(keystone);
        return -1;
    }
    *ret = keystone;
    return 0;
}

void keystone_free(struct keystone *keystone)
{
    if (keystone == NULL)
        return;
    token_unref(keystone->token);
    credentials_free(keystone->credentials);
    free(keystone->tokens_url);
    monitor_destroy(&keystone->monitor);
    free(keystone);
}

const struct credentials *keystone_credentials(const struct keystone *keystone)
{
    return keystone->credentials;
}

/* --- asking --- */

static const char *first_of(const char *one, const char *other)
{
    return one != NULL ? one : other;
}

/* Keystone says one thing for many reasons, on purpose; who set it up can tell them apart. */
static int explain_refusal(const struct credentials *credentials, struct error *err)
{
    if (credentials_are_application_credential(credentials))
        return error_prefix(err, "application credential %.40s: wrong secret, expired or unknown",
                            first_of(credentials->application_credential_id,
                                     credentials->application_credential_name));
    return error_prefix(
        err,
        "user %.30s in project %.30s: wrong password, unknown, disabled, or without "
        "a role there",
        first_of(credentials->username, credentials->user_id),
        first_of(credentials->project_name, credentials->project_id));
}

/* An unknown application credential is a 404 with Keystone's own words; so is a wrong auth_url, but
 * without them. */
static bool is_refusal(const struct keystone *keystone, const struct http_response *response)
{
    if (response->status == 401 || response->status == 403)
        return true;
    return response->status == 404 && response->body != NULL &&
           credentials_are_application_credential(keystone->credentials) &&
           strstr(response->body, "Application Credential") != NULL;
}

static int judge_answer(const struct keystone *keystone, const struct http_response *response,
                        struct error *err)
{
    if (response->status == 201)
        return 0;
    (void)http_response_error(response, SERVICE, err);
    if (is_refusal(keystone, response)) {
        err->kind = ERROR_LOGIN;
        err->errnum = error_kind_errno(ERROR_LOGIN);
        return explain_refusal(keystone->credentials, err);
    }
    if (err->kind == ERROR_UNAVAILABLE || err->kind == ERROR_TIMEOUT)
        return -1;
    err->kind = ERROR_INVALID;
    err->errnum = error_kind_errno(ERROR_INVALID);
    return error_prefix(err, "is auth_url that of a Keystone v3?");
}

static int ask(struct keystone *keystone, struct cancel *cancel, struct token **ret,
               struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *body = NULL;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    const uint64_t asked_at_ns = clock_monotonic_ns();
    struct http_request request = {.method = HTTP_POST,
                                   .url = keystone->tokens_url,
                                   .service = SERVICE,
                                   .is_repeatable = true};

    if (token_request_build(keystone->credentials, keystone->arena, &body, err) < 0)
        return -1;
    request.secret_body = body;
    if (http_perform(keystone->http, &request, cancel, &response, err) < 0 ||
        judge_answer(keystone, &response, err) < 0)
        return -1;
    if (token_read(&response, keystone->credentials, asked_at_ns, ret, err) < 0) {
        (void)error_prefix(err, SERVICE);
        return http_response_name(&response, err);
    }
    return 0;
}

/* --- the one token --- */

static bool is_good(const struct token *token, const struct token *rejected)
{
    return token != NULL && token != rejected && clock_monotonic_ns() < token->renew_at_ns;
}

enum turn { TURN_HAVE_TOKEN, TURN_ASK, TURN_FAILED };

/* Waits while somebody else asks. */
static enum turn take_turn(struct keystone *keystone, const struct token *rejected,
                           struct cancel *cancel, struct token **ret, struct error *err)
{
    struct monitor_waiter waiter;
    enum turn turn = TURN_ASK;
    unsigned failures;

    monitor_enter(&keystone->monitor, cancel, &waiter);
    failures = keystone->failures;
    while (keystone->is_asking && !is_good(keystone->token, rejected) &&
           failures == keystone->failures && !cancel_is_requested(cancel))
        monitor_wait(&keystone->monitor);
    if (is_good(keystone->token, rejected)) {
        *ret = token_ref(keystone->token);
        turn = TURN_HAVE_TOKEN;
    } else if (cancel_check(cancel, err) < 0) {
        turn = TURN_FAILED;
    } else if (failures != keystone->failures) {
        *err = keystone->failure;
        turn = TURN_FAILED;
    } else {
        keystone->is_asking = true;
    }
    monitor_leave(&keystone->monitor, cancel, &waiter);
    return turn;
}

/* Both end our turn. The first takes over the reference. */
static void end_turn_with(struct keystone *keystone, struct token *token)
{
    struct token *old;

    monitor_lock(&keystone->monitor);
    old = keystone->token;
    keystone->token = token;
    keystone->is_asking = false;
    monitor_changed(&keystone->monitor);
    monitor_unlock(&keystone->monitor);
    token_unref(old);
}

static void end_turn_without(struct keystone *keystone, const struct error *err)
{
    monitor_lock(&keystone->monitor);
    keystone->is_asking = false;
    if (err->kind != ERROR_CANCELLED) {
        keystone->failure = *err;
        keystone->failures++;
    }
    monitor_changed(&keystone->monitor);
    monitor_unlock(&keystone->monitor);
}

int keystone_token(struct keystone *keystone, const struct token *rejected, struct cancel *cancel,
                   struct token **ret, struct error *err)
{
    CLEANUP(token_unref) struct token *token = NULL;
    const enum turn turn = take_turn(keystone, rejected, cancel, ret, err);

    if (turn != TURN_ASK)
        return turn == TURN_FAILED ? -1 : 0;
    if (ask(keystone, cancel, &token, err) < 0) {
        end_turn_without(keystone, err);
        return -1;
    }
    *ret = token_ref(token);
    end_turn_with(keystone, steal(&token));
    return 0;
}
