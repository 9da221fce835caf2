/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network that answers what the input says, below libcurl: the linker sends http_pool_take here
 * (--wrap), which gives each handle sockets of ours instead of connections.
 */
#ifndef FUZZ_HTTP_TRANSPORT_H
#define FUZZ_HTTP_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

/** The only origin that may be connected to. */
#define HTTP_TRANSPORT_URL "http://127.0.0.1:9292"
#define HTTP_TRANSPORT_PORT 9292

/** From now on each connection gets the bytes up to the next 0xff 0xff and then sees its end; one for
 *  which nothing is left fails. */
void http_transport_begin(const uint8_t *data, size_t size);

/** Closes our ends. Connections that were made since the beginning. */
unsigned http_transport_end(void);

#endif
