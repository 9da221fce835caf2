/* SPDX-License-Identifier: Apache-2.0 */
#include "support/http_server.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#define MAXIMUM_CONNECTIONS 32
#define MAXIMUM_REQUESTS 64
#define MAXIMUM_ANSWERS 32
#define MAXIMUM_TEXTS 128

struct connection {
    int fd; /* -1: free */
    bool hangs;
    char *text; /* of the request on its way */
    size_t size;
};

struct http_server {
    pthread_t thread;
    int listener;
    int stop; /* eventfd */
    char url[64];
    struct connection connections[MAXIMUM_CONNECTIONS];
    pthread_mutex_t mutex; /* guards what follows */
    struct http_server_answer answers[MAXIMUM_ANSWERS];
    size_t answer_count, next_answer;
    char *texts[MAXIMUM_TEXTS]; /* of all answers ever: the thread may still send one */
    size_t text_count;
    unsigned used; /* how often the next answer was given */
    char *requests[MAXIMUM_REQUESTS];
    size_t request_count;
    size_t connection_count;
};

static void must(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "http_server: %s: %s\n", what, strerror(errno));
    abort();
}

/* --- requests --- */

static size_t content_length(const char *head, const char *end)
{
    for (const char *line = head; line < end; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, "Content-Length:", 15) == 0)
            return strtoul(line + 15, NULL, 10);
    return 0;
}

/* True when head and body of a request are there. */
static bool is_whole(const struct connection *connection)
{
    const char *end = connection->text == NULL ? NULL : strstr(connection->text, "\r\n\r\n");

    return end != NULL && connection->size >= (size_t)(end - connection->text) + 4 +
                                                  content_length(connection->text, end);
}

static struct http_server_answer keep_request(struct http_server *server,
                                              struct connection *connection)
{
    struct http_server_answer answer = {.text =
                                            "HTTP/1.1 599 Unscripted\r\nContent-Length: 0\r\n\r\n"};

    (void)pthread_mutex_lock(&server->mutex);
    must(server->request_count < MAXIMUM_REQUESTS, "too many requests");
    server->requests[server->request_count++] = connection->text;
    connection->text = NULL;
    connection->size = 0;
    if (server->next_answer < server->answer_count) {
        answer = server->answers[server->next_answer];
        if (++server->used >= (answer.requests == 0 ? 1 : answer.requests)) {
            server->next_answer++;
            server->used = 0;
        }
    }
    (void)pthread_mutex_unlock(&server->mutex);
    return answer;
}

/* --- connections --- */

static void connection_close(struct connection *connection)
{
    (void)close(connection->fd);
    free(connection->text);
    *connection = (struct connection){.fd = -1};
}

/* True when the server is to stop first. */
static bool wait_ms(struct http_server *server, unsigned milliseconds)
{
    struct pollfd stop = {.fd = server->stop, .events = POLLIN};

    return milliseconds > 0 && poll(&stop, 1, (int)milliseconds) > 0;
}

/* The peer may leave at any time. */
static void send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void answer_request(struct http_server *server, struct connection *connection)
{
    const struct http_server_answer answer = keep_request(server, connection);

    if (wait_ms(server, answer.delay_ms))
        return;
    send_all(connection->fd, answer.text, answer.size == 0 ? strlen(answer.text) : answer.size);
    connection->hangs = answer.end == HTTP_SERVER_HANG;
    if (answer.end != HTTP_SERVER_CLOSE)
        return;
    (void)shutdown(connection->fd, SHUT_WR);
    connection_close(connection);
}

static void receive(struct http_server *server, struct connection *connection)
{
    char buffer[65536];
    const ssize_t count = recv(connection->fd, buffer, sizeof buffer, 0);
    char *longer;

    if (count <= 0) {
        connection_close(connection);
        return;
    }
    longer = realloc(connection->text, connection->size + (size_t)count + 1);
    must(longer != NULL, "memory");
    memcpy(longer + connection->size, buffer, (size_t)count);
    connection->text = longer;
    connection->size += (size_t)count;
    longer[connection->size] = '\0';
    if (!connection->hangs && is_whole(connection))
        answer_request(server, connection);
}

static void take_connection(struct http_server *server)
{
    const int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

    must(fd >= 0, "accept");
    (void)pthread_mutex_lock(&server->mutex);
    server->connection_count++;
    (void)pthread_mutex_unlock(&server->mutex);
    for (size_t i = 0; i < MAXIMUM_CONNECTIONS; i++) {
        if (server->connections[i].fd < 0) {
            server->connections[i].fd = fd;
            return;
        }
    }
    must(false, "too many connections");
}

static void *serve(void *context)
{
    struct http_server *server = context;
    struct pollfd polled[MAXIMUM_CONNECTIONS + 2];

    for (;;) {
        polled[0] = (struct pollfd){.fd = server->stop, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = server->listener, .events = POLLIN};
        for (size_t i = 0; i < MAXIMUM_CONNECTIONS; i++)
            polled[i + 2] = (struct pollfd){.fd = server->connections[i].fd, .events = POLLIN};
        if (poll(polled, MAXIMUM_CONNECTIONS + 2, -1) < 0)
            continue;
        if (polled[0].revents != 0)
            return NULL;
        if (polled[1].revents != 0)
            take_connection(server);
        for (size_t i = 0; i < MAXIMUM_CONNECTIONS; i++)
            if (polled[i + 2].fd >= 0 && polled[i + 2].revents != 0)
                receive(server, &server->connections[i]);
    }
}

/* --- for the test --- */

struct http_server *http_server_new(void)
{
    struct http_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;

    must(server != NULL, "memory");
    for (size_t i = 0; i < MAXIMUM_CONNECTIONS; i++)
        server->connections[i].fd = -1;
    (void)pthread_mutex_init(&server->mutex, NULL);
    server->stop = eventfd(0, EFD_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(server->stop >= 0 && server->listener >= 0, "socket");
    must(bind(server->listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(server->listener, 32) == 0, "listen");
    must(getsockname(server->listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    must(pthread_create(&server->thread, NULL, serve, server) == 0, "thread");
    return server;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL)
        return;
    (void)eventfd_write(server->stop, 1);
    (void)pthread_join(server->thread, NULL);
    for (size_t i = 0; i < MAXIMUM_CONNECTIONS; i++)
        if (server->connections[i].fd >= 0)
            connection_close(&server->connections[i]);
    for (size_t i = 0; i < server->request_count; i++)
        free(server->requests[i]);
    for (size_t i = 0; i < server->text_count; i++)
        free(server->texts[i]);
    (void)close(server->listener);
    (void)close(server->stop);
    (void)pthread_mutex_destroy(&server->mutex);
    free(server);
}

/* Makes the text the server's own. */
static struct http_server_answer keep_answer(struct http_server *server,
                                             struct http_server_answer answer)
{
    const size_t size = answer.size == 0 ? strlen(answer.text) : answer.size;
    char *text = malloc(size + 1);

    must(text != NULL && server->text_count < MAXIMUM_TEXTS, "memory");
    memcpy(text, answer.text, size);
    text[size] = '\0';
    server->texts[server->text_count++] = text;
    answer.text = text;
    return answer;
}

void http_server_script(struct http_server *server, const struct http_server_answer *answers,
                        size_t count)
{
    must(count <= MAXIMUM_ANSWERS, "too many answers");
    (void)pthread_mutex_lock(&server->mutex);
    for (size_t i = 0; i < count; i++)
        server->answers[i] = keep_answer(server, answers[i]);
    server->answer_count = count;
    server->next_answer = 0;
    server->used = 0;
    (void)pthread_mutex_unlock(&server->mutex);
}

const char *http_server_url(const struct http_server *server)
{
    return server->url;
}

size_t http_server_request_count(struct http_server *server)
{
    size_t count;

    (void)pthread_mutex_lock(&server->mutex);
    count = server->request_count;
    (void)pthread_mutex_unlock(&server->mutex);
    return count;
}

size_t http_server_connection_count(struct http_server *server)
{
    size_t count;

    (void)pthread_mutex_lock(&server->mutex);
    count = server->connection_count;
    (void)pthread_mutex_unlock(&server->mutex);
    return count;
}

const char *http_server_request(struct http_server *server, size_t index)
{
    const char *text;

    (void)pthread_mutex_lock(&server->mutex);
    must(index < server->request_count, "no such request");
    text = server->requests[index];
    (void)pthread_mutex_unlock(&server->mutex);
    return text;
}

void http_server_wait(struct http_server *server, size_t count)
{
    const uint64_t deadline = clock_monotonic_ns() + 10 * NANOSECONDS_PER_SECOND;
    const struct timespec moment = {.tv_nsec = 1000 * 1000};

    while (http_server_request_count(server) < count) {
        must(clock_monotonic_ns() < deadline, "the request does not come");
        (void)nanosleep(&moment, NULL);
    }
}
