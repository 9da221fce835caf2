/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads do everything at once to one image: nothing hangs, leaks or is sealed wrongly. */
#include "write_bed.h"

#include "base/clock.h"
#include "support/crypto_arena.h"
#include "support/pseudo_random.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#define THREADS 6
#define ROUNDS 150

/* Every write of this test: the file is the same whoever wrote it last. */
static const uint8_t content[] = {'s', 'a', 'm', 'e', ' ', 'f', 'o', 'r', ' ', 'a', 'l', 'l'};

struct actor {
    struct write_bed *bed;
    struct pseudo_random random;
    pthread_t thread;
};

static const char *some_name(struct pseudo_random *random)
{
    static const char *const names[] = {IMAGE_PART, IMAGE_PART, IMAGE_TEMPORARY, IMAGE_ID};

    return names[pseudo_random_below(random, ELEMENTS_OF(names))];
}

static void write_file(struct actor *actor, int flags)
{
    struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;

    if (write_index_open(actor->bed->index, some_name(&actor->random), flags, NULL, &stream, &err) <
        0)
        return;
    (void)write_stream_write(stream, content, sizeof content, 0, NULL, &err);
    (void)write_stream_flush(stream, pseudo_random_below(&actor->random, 6) == 0, &err);
    write_stream_close(stream);
}

static void read_file(struct actor *actor)
{
    struct write_stream *stream = NULL;
    struct error err = ERROR_INIT;
    uint8_t bytes[16];
    size_t got;

    if (write_index_open(actor->bed->index, some_name(&actor->random), O_RDONLY, NULL, &stream,
                         &err) < 0)
        return;
    (void)write_stream_read(stream, bytes, sizeof bytes, 0, NULL, &got, &err);
    write_stream_close(stream);
}

static void look_around(struct actor *actor)
{
    CLEANUP(memory_free) struct write_listing *listing = NULL;
    CLEANUP(memory_free) char *text = NULL;
    const char *name = some_name(&actor->random);
    struct error err = ERROR_INIT;

    (void)write_index_get_xattr(actor->bed->index, name, "user.glancefs.error", NULL, &text, &err);
    (void)write_index_list(actor->bed->index, NULL, &listing, &err);
}

static void change_names(struct actor *actor)
{
    struct write_index *index = actor->bed->index;
    struct error err = ERROR_INIT;

    switch (pseudo_random_below(&actor->random, 8)) {
    case 0:
        (void)write_index_rename(index, IMAGE_PART, IMAGE_ID, 0, NULL, &err);
        break;
    case 1:
        write_index_sweep(index, UINT64_MAX);
        break;
    case 2:
        (void)write_index_truncate(index, some_name(&actor->random), 5, NULL, &err);
        break;
    case 3:
    case 4:
        (void)write_index_set_xattr(index, some_name(&actor->random), "user.glancefs.size", "12", 2,
                                    NULL, &err);
        break;
    default:
        (void)write_index_remove(index, some_name(&actor->random), NULL, &err);
        break;
    }
}

static void *act(void *argument)
{
    struct actor *actor = argument;

    for (int round = 0; round < ROUNDS; round++) {
        if (fake_staging_is_sealed(actor->bed->staging, IMAGE_ID))
            break;
        switch (pseudo_random_below(&actor->random, 6)) {
        case 0:
            write_file(actor, O_WRONLY | O_CREAT | O_TRUNC);
            break;
        case 1:
            write_file(actor, O_RDWR);
            break;
        case 2:
            read_file(actor);
            break;
        case 3:
            look_around(actor);
            break;
        default:
            change_names(actor);
            break;
        }
    }
    return NULL;
}

static void run_actors(struct write_bed *bed, uint64_t seed)
{
    struct actor actors[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        actors[i] = (struct actor){.bed = bed, .random = {.state = seed * THREADS + i}};
        assert_int_equal(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(actors[i].thread, NULL), 0);
}

static void nothing_hangs_or_is_sealed_wrongly(void **state)
{
    struct write_bed *bed = *state;
    const uint8_t *bytes;
    size_t size = 0;

    for (uint64_t seed = 0; seed < 4; seed++) {
        run_actors(bed, seed);
        if (fake_staging_is_sealed(bed->staging, IMAGE_ID))
            break;
    }
    bytes = fake_staging_bytes(bed->staging, IMAGE_ID, &size);
    if (fake_staging_is_sealed(bed->staging, IMAGE_ID)) {
        const char *declared = fake_staging_property(bed->staging, IMAGE_ID, "os_decrypt_size");

        assert_non_null(bytes);
        assert_staged(bed, IMAGE_ID, content, strtoul(declared, NULL, 10));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        write_test(nothing_hangs_or_is_sealed_wrongly),
        write_test(nothing_hangs_or_is_sealed_wrongly),
        write_test(nothing_hangs_or_is_sealed_wrongly),
        write_test(nothing_hangs_or_is_sealed_wrongly),
    };

    return cmocka_run_group_tests(tests, crypto_arena_open, crypto_arena_close);
}
