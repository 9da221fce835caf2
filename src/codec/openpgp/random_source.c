/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/random_source.h"

#include "codec/openpgp/decrypted_reader.h"

#include <pthread.h>
#include <stdlib.h>

struct random_source {
    struct byte_source source;
    struct openpgp_message *message;
    struct byte_source *ciphertext;
    pthread_mutex_t mutex; /* guards the readers that nobody uses; nothing is locked inside */
    struct decrypted_reader *idle; /* the one used last is the first */
    size_t idle_count;
};

/* The reader that stopped at `offset`, else the one that rested longest; NULL when all are busy. */
static struct decrypted_reader *take_idle(struct random_source *random, uint64_t offset)
{
    struct decrypted_reader **link = &random->idle;
    struct decrypted_reader *reader;

    (void)pthread_mutex_lock(&random->mutex);
    while (*link != NULL && (*link)->position != offset && (*link)->next != NULL)
        link = &(*link)->next;
    reader = *link;
    if (reader != NULL) {
        *link = reader->next;
        random->idle_count--;
    }
    (void)pthread_mutex_unlock(&random->mutex);
    return reader;
}

static void put_back(struct random_source *random, struct decrypted_reader *reader)
{
    bool is_kept;

    (void)pthread_mutex_lock(&random->mutex);
    is_kept = random->idle_count < RANDOM_SOURCE_IDLE_READERS;
    if (is_kept) {
        reader->next = random->idle;
        random->idle = reader;
        random->idle_count++;
    }
    (void)pthread_mutex_unlock(&random->mutex);
    if (!is_kept)
        decrypted_reader_free(reader);
}

static int read_decrypted(void *context, void *buffer, size_t size, uint64_t position,
                          struct cancel *cancel, struct error *err)
{
    return decrypted_reader_read(context, buffer, size, position, cancel, err);
}

/* Where the literal's content begins a read at `offset`, inside the encryption. */
static uint64_t first_position(const struct random_source *random, uint64_t offset)
{
    return packet_index_position(&random->message->layout->content, offset);
}

static int random_source_pread(struct byte_source *source, void *buffer, size_t size,
                               uint64_t offset, struct cancel *cancel, size_t *ret_size,
                               struct error *err)
{
    struct random_source *random = (struct random_source *)source;
    const struct openpgp_layout *layout = random->message->layout;
    struct packet_container container = {.read = read_decrypted};
    struct decrypted_reader *reader;
    int result;

    *ret_size = 0;
    if (offset >= layout->plaintext_size || size == 0)
        return 0;
    if (size > layout->plaintext_size - offset)
        size = (size_t)(layout->plaintext_size - offset);
    reader = take_idle(random, first_position(random, offset));
    if (reader == NULL &&
        decrypted_reader_new(layout, random->message->key, random->ciphertext, &reader, err) < 0)
        return -1;
    container.context = reader;
    result = packet_index_read(&layout->content, &container, buffer, size, offset, cancel, err);
    put_back(random, reader);
    *ret_size = result < 0 ? 0 : size;
    return result;
}

static uint64_t random_source_size(struct byte_source *source)
{
    return ((struct random_source *)source)->message->layout->plaintext_size;
}

static void random_source_free(struct byte_source *source)
{
    struct random_source *random = (struct random_source *)source;

    while (random->idle != NULL) {
        struct decrypted_reader *reader = random->idle;

        random->idle = reader->next;
        decrypted_reader_free(reader);
    }
    (void)pthread_mutex_destroy(&random->mutex);
    byte_source_free(random->ciphertext);
    codec_message_unref(&random->message->message);
    free(random);
}

int random_source_new(struct openpgp_message *message, struct byte_source *ciphertext,
                      struct byte_source **ret, struct error *err)
{
    static const struct byte_source_ops ops = {
        .pread = random_source_pread, .size = random_source_size, .free = random_source_free};
    struct random_source *random = calloc(1, sizeof *random);

    if (random == NULL)
        return error_set(err, ERROR_EXHAUSTED, "out of memory");
    random->source.ops = &ops;
    (void)pthread_mutex_init(&random->mutex, NULL);
    random->message = message;
    (void)codec_message_ref(&message->message);
    random->ciphertext = ciphertext;
    *ret = &random->source;
    return 0;
}
