/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a message for gpg: what it gets to see is a message that, passed on once more, stays as
 * it is. The first octet picks the session key packet.
 */
#include "codec/gpgme/outer_message.h"
#include "fuzz_main.h"
#include "glancefs/limits.h"
#include "support/memory_source.h"
#include "support/octets.h"

#include <stdlib.h>
#include <string.h>

static struct byte_source *source_of(const uint8_t *message, size_t size)
{
    const struct memory_source_options options = {.is_forward_only = true};
    struct byte_source *source;

    fuzz_allocations_succeed();
    source = memory_source_new(message, size, &options);
    fuzz_allocations_may_fail();
    return source;
}

static void keep(struct octets *seen, const uint8_t *bytes, size_t size)
{
    fuzz_allocations_succeed();
    octets_add(seen, bytes, size);
    fuzz_allocations_may_fail();
}

static size_t choose_packet(const struct outer_message *outer, uint8_t choice)
{
    const size_t count = outer_message_passphrase_packets(outer);

    FUZZ_ASSERT(count <= LIMIT_SKESK_PACKETS);
    if (count == 0 || (choice % 4 == 3 && outer_message_has_public_key_packets(outer)))
        return OUTER_MESSAGE_PUBLIC_KEYS;
    return choice % count;
}

static void check_excerpt(struct outer_message *outer, size_t index)
{
    CLEANUP(memory_free) uint8_t *bytes = NULL;
    size_t size = 0;
    struct error err = ERROR_INIT;

    if (outer_message_excerpt(outer, index, NULL, &bytes, &size, &err) < 0)
        fuzz_assert_plain(&err);
    else
        FUZZ_ASSERT(size <= LIMIT_PKESK_BYTES + LIMIT_SMALL_PACKET_BYTES);
}

/* 0 when the whole message went through. */
static int pass(const uint8_t *message, size_t size, uint8_t choice, struct octets *seen)
{
    CLEANUP(byte_source_free) struct byte_source *source = source_of(message, size);
    CLEANUP(outer_message_free) struct outer_message *outer = NULL;
    struct error err = ERROR_INIT;
    const uint8_t *bytes;
    size_t shown, index;

    if (outer_message_new(source, NULL, &outer, &err) < 0) {
        FUZZ_ASSERT(error_is_set(&err));
        fuzz_assert_plain(&err);
        return -1;
    }
    index = choose_packet(outer, choice);
    check_excerpt(outer, index);
    if (outer_message_begin(outer, index, &err) < 0)
        return -1;
    do {
        if (outer_message_next(outer, NULL, &bytes, &shown, &err) < 0)
            return -1;
        keep(seen, bytes, shown);
        outer_message_skip(outer, shown);
    } while (shown > 0);
    return 0;
}

void fuzz_one(const uint8_t *data, size_t size)
{
    CLEANUP(octets_clear) struct octets once = {0};
    CLEANUP(octets_clear) struct octets twice = {0};

    if (size == 0 || pass(data + 1, size - 1, data[0], &once) < 0)
        return;
    if (pass(once.data, once.size, data[0] % 4 == 3 ? 3 : 0, &twice) < 0) {
        FUZZ_ASSERT(fuzz_allocations_fail());
        return;
    }
    FUZZ_ASSERT(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
}
