/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of Glance and Barbican on a scripted server. Their session is replaced at link time
 * (--wrap=openstack_session_request) by one that needs no Keystone: it only puts the server's address
 * before the path.
 */
#ifndef UNIT_SERVICES_OPENSTACK_SERVICE_BED_H
#define UNIT_SERVICES_OPENSTACK_SERVICE_BED_H

#include "glancefs/image_service.h"
#include "glancefs/key_manager.h"
#include "http_bed.h"

#define IMAGE_ID "7b97a3a7-3d5c-4b6f-9f4e-2f1f3a5d9c10"
#define OTHER_ID "11111111-2222-4333-8444-555555555555"
#define KEY_ID "c2fb7546-e548-4e8b-9a3b-78ee2a3dd3d1"

/** An answer that ends with its connection. */
#define ANSWER(status, body)                                                                       \
    "HTTP/1.1 " status "\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body

/** A refusal in Glance's words. */
#define REFUSAL(status) ANSWER(status, "{\"code\": \"" status "\", \"title\": \"\"}")

#define NO_CONTENT "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

/** A record as Glance writes it, with more members. */
#define RECORD(id, status, more)                                                                   \
    "{\"id\": \"" id "\", \"status\": \"" status "\", \"name\": null, \"visibility\": \"shared\""  \
    ", \"protected\": false, \"min_ram\": 0, \"owner\": \"2d9dec9d78494a4ea2653076a1178ae1\"" more \
    "}"

struct service_bed {
    struct http_bed *http;
    struct image_service *images;
    struct key_manager *keys;
};

/** cmocka set-up and tear-down; *state is the arena before and the bed in between. */
int service_bed_open(void **state);
int service_bed_close(void **state);

/** The next answers, as plain texts, each closing its connection. */
#define SCRIPT(bed, ...)                                                                           \
    http_bed_script((bed)->http, (const char *const[]){__VA_ARGS__},                               \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/** The i-th request starts with `line` ("GET /v2/images HTTP"). */
void assert_asked(struct service_bed *bed, size_t index, const char *line);

/** The i-th request holds `text` somewhere. */
void assert_asked_with(struct service_bed *bed, size_t index, const char *text);

/** So many requests came. */
void assert_request_count(struct service_bed *bed, size_t count);

#endif
