/* SPDX-License-Identifier: Apache-2.0 */
#include "http_transport.h"

#include "fuzz_main.h"
#include "services/openstack/http_pool.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_CONNECTIONS 64

int __real_http_pool_take(struct http_pool *pool, struct http_handle **ret, struct error *err);
int __wrap_http_pool_take(struct http_pool *pool, struct http_handle **ret, struct error *err);

static struct {
    const uint8_t *data;
    size_t size;
    int peers[MOST_CONNECTIONS];
    unsigned count;
} transport;

void http_transport_begin(const uint8_t *data, size_t size)
{
    transport.data = data;
    transport.size = size;
    transport.count = 0;
}

unsigned http_transport_end(void)
{
    for (unsigned i = 0; i < transport.count; i++)
        (void)close(transport.peers[i]);
    return transport.count;
}

/* Bytes up to the next separator, which is stepped over. */
static size_t next_answer(const uint8_t **ret)
{
    static const uint8_t separator[] = {0xff, 0xff};
    const uint8_t *end = memmem(transport.data, transport.size, separator, sizeof separator);
    const size_t size = end == NULL ? transport.size : (size_t)(end - transport.data);
    const size_t step = end == NULL ? size : size + sizeof separator;

    *ret = transport.data;
    transport.data += step;
    transport.size -= step;
    return size;
}

static void assert_is_ours(const struct curl_sockaddr *address)
{
    const struct sockaddr_in *internet = (const void *)&address->addr;

    FUZZ_ASSERT(address->family == AF_INET);
    FUZZ_ASSERT(ntohl(internet->sin_addr.s_addr) == INADDR_LOOPBACK);
    FUZZ_ASSERT(ntohs(internet->sin_port) == HTTP_TRANSPORT_PORT);
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    const uint8_t *answer;
    size_t size;
    int ends[2];

    (void)context, (void)purpose;
    assert_is_ours(address);
    FUZZ_ASSERT(transport.count < MOST_CONNECTIONS);
    if (transport.size == 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return CURL_SOCKET_BAD;
    size = next_answer(&answer);
    FUZZ_ASSERT(send(ends[1], answer, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size);
    (void)shutdown(ends[1], SHUT_WR);
    transport.peers[transport.count++] = ends[1];
    return ends[0];
}

/* In the place of the C library's: ours are connected already, which libcurl 7.88 does not believe when
 * CURLOPT_SOCKOPTFUNCTION tells it. */
int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
    (void)fd, (void)address, (void)length;
    return 0;
}

int __wrap_http_pool_take(struct http_pool *pool, struct http_handle **ret, struct error *err)
{
    if (__real_http_pool_take(pool, ret, err) < 0)
        return -1;
    FUZZ_ASSERT(curl_easy_setopt((*ret)->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) ==
                CURLE_OK);
    return 0;
}
