/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, made here: whoever cannot prove who he is gets no request. */
#include "services/openstack/http.h"

#include "http_bed.h"
#include "support/crypto_arena.h"
#include "support/temp_dir.h"
#include "support/testing.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#define ONE_DAY 86400L

/* A server that answers each request with 200 over TLS, until it is shut down. */
struct tls_server {
    SSL_CTX *context;
    int listener;
    unsigned port;
    pthread_t thread;
    unsigned requests; /* read after the join */
};

/* --- certificates --- */

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    assert_non_null(key);
    return key;
}

/* Self-signed, for `name` ("DNS:localhost"), valid between these offsets from now in seconds. */
static X509 *make_certificate(EVP_PKEY *key, const char *name, long from, long to)
{
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, name);

    assert_int_equal(X509_set_version(certificate, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), from));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), to));
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"test", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(certificate, subject), 1);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_int_equal(X509_add_ext(certificate, names, -1), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    X509_EXTENSION_free(names);
    return certificate;
}

static void write_certificate(const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
}

/* --- the server --- */

static void answer(struct tls_server *server, int fd)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    SSL *ssl = SSL_new(server->context);
    char request[4096];

    if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 &&
        SSL_read(ssl, request, sizeof request) > 0) {
        server->requests++;
        (void)SSL_write(ssl, text, sizeof text - 1);
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    (void)close(fd);
}

static void *serve(void *context)
{
    struct tls_server *server = context;
    sigset_t pipe;
    int fd;

    /* OpenSSL tells a client that has gone something more; in this thread only that may happen. */
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        answer(server, fd);
    return NULL;
}

/* Starts it with a certificate for `name`, which it also writes to `path`. */
static void start(struct tls_server *server, const char *path, const char *name, long from, long to)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    EVP_PKEY *key = make_key();
    X509 *certificate = make_certificate(key, name, from, to);

    *server = (struct tls_server){.context = SSL_CTX_new(TLS_server_method())};
    assert_int_equal(SSL_CTX_use_certificate(server->context, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->context, key), 1);
    write_certificate(path, certificate);
    X509_free(certificate);
    EVP_PKEY_free(key);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct tls_server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    SSL_CTX_free(server->context);
}

/* --- the tests --- */

/* Asks a server like that; what http_perform gave. *ret_requests is what the server got to see. */
static int ask(struct secure_arena *arena, const char *name, long from, long to, bool trusts,
               unsigned *ret_requests, struct error *err)
{
    CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
    CLEANUP(memory_free) char *path = temp_dir_join(dir, "ca.pem");
    CLEANUP(http_client_free) struct http_client *client = NULL;
    CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
    struct http_options options = HTTP_BED_OPTIONS;
    struct http_request request = {.service = "Glance", .is_repeatable = true};
    struct tls_server server;
    char url[64];
    int result;

    start(&server, path, name, from, to);
    options.cafile = trusts ? path : NULL;
    (void)snprintf(url, sizeof url, "https://localhost:%u/", server.port);
    request.url = url;
    result = http_client_new(&options, arena, &client, err);
    if (result == 0)
        result = http_perform(client, &request, NULL, &response, err);
    stop(&server);
    *ret_requests = server.requests;
    return result;
}

static void a_certificate_that_is_trusted_by_name_is_taken(void **state)
{
    struct error err = ERROR_INIT;
    unsigned requests;

    assert_succeeds(ask(*state, "DNS:localhost", -ONE_DAY, ONE_DAY, true, &requests, &err));
    assert_int_equal(requests, 1);
}

static void every_other_certificate_is_refused_before_a_byte_is_sent(void **state)
{
    static const struct {
        const char *name;
        long from, to;
        bool trusts;
        const char *message;
    } cases[] = {
        {"DNS:localhost", -ONE_DAY, ONE_DAY, false, "self-signed"},
        {"DNS:glance.example.org", -ONE_DAY, ONE_DAY, true, "name"},
        {"DNS:localhost", -2 * ONE_DAY, -ONE_DAY, true, "expired"},
        {"DNS:localhost", ONE_DAY, 2 * ONE_DAY, true, "not yet valid"},
    };
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < ELEMENTS_OF(cases); i++) {
        unsigned requests;

        assert_fails(ERROR_UNAVAILABLE, ask(*state, cases[i].name, cases[i].from, cases[i].to,
                                            cases[i].trusts, &requests, &err));
        assert_ptr_equal(strstr(err.message, "Glance: SSL"), err.message);
        assert_message_has(cases[i].message);
        assert_int_equal(requests, 0);
    }
}

static void a_list_of_certificates_that_is_none_is_refused(void **state)
{
    static const char *const texts[] = {"no certificate\n", ""};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i <= ELEMENTS_OF(texts); i++) {
        CLEANUP(temp_dir_free) struct temp_dir *dir = temp_dir_new();
        CLEANUP(memory_free) char *path = temp_dir_join(dir, "ca.pem");
        CLEANUP(http_client_free) struct http_client *client = NULL;
        CLEANUP(http_response_clear) struct http_response response = HTTP_RESPONSE_INIT;
        CLEANUP(http_server_free) struct http_server *server = http_server_new();
        struct http_options options = HTTP_BED_OPTIONS;
        struct http_request request = {.service = "Glance"};
        char url[64];

        if (i < ELEMENTS_OF(texts))
            temp_dir_write(dir, "ca.pem", texts[i], strlen(texts[i]));
        options.cafile = path;
        (void)snprintf(url, sizeof url, "https%s/", http_server_url(server) + strlen("http"));
        request.url = url;
        assert_succeeds(http_client_new(&options, *state, &client, &err));
        assert_fails(ERROR_UNAVAILABLE, http_perform(client, &request, NULL, &response, &err));
        assert_message_has("certificate");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_that_is_trusted_by_name_is_taken),
        cmocka_unit_test(every_other_certificate_is_refused_before_a_byte_is_sent),
        cmocka_unit_test(a_list_of_certificates_that_is_none_is_refused),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
