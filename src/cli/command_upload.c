/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/file_source.h"
#include "base/uuid.h"
#include "cli/cloud_staging.h"
#include "cli/command.h"
#include "cli/new_secret.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/signal_cancel.h"
#include "cli/upload_cache.h"
#include "cli/upload_progress.h"
#include "cli/wake_on_cancel.h"
#include "glancefs/codec.h"
#include "glancefs/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define COMMAND "upload"
#define FORMAT "GPG"
#define CONTAINER_FORMAT "encrypted"

/* A codec and one piece of plaintext, with room for libgcrypt. */
#define ARENA_BYTES (4 * MIB)
#define PIECE_BYTES (256 * KIB)

static const char help[] =
    "Usage: glancefs upload [--key ID | --new-key] [OPTION]... FILE|-\n"
    "Encrypts FILE (- is standard input), makes it a new image of the cloud, waits until the "
    "image\n"
    "is active and prints its id, alone, on standard output.\n"
    "\n"
    "  --key ID            the secret to encrypt with\n"
    "  --new-key           make a new secret in the key manager and encrypt with it (default)\n"
    "  --name NAME         a name for people\n"
    "  --disk-format FMT   disk_format of the plaintext, by default raw\n"
    "  --cache DIR         where the ciphertext is staged, else GLANCEFS_CACHE or the "
    "configuration\n" SESSION_OPTIONS_HELP "  --help              this text\n"
    "With a cache directory the sealed ciphertext survives a failure, and 'glancefs uploads "
    "retry'\n"
    "sends it again. Without one it lies in a directory of its own below $TMPDIR or /var/tmp, "
    "which\n"
    "stays when the image service refuses it. A signal, and what leaves nothing to send, deletes "
    "it "
    "and\n"
    "the image.\n";

struct upload_options {
    struct session_options session;
    const char *cache;
    const char *key;
    const char *name;
    const char *disk_format;
    const char *input;
    bool makes_key;
    bool shows_help;
};

/* --- options --- */

/* 0, or the exit code of a usage error. */
static int check_options(struct upload_options *options, int argc, char **argv)
{
    char id[UUID_TEXT_BYTES];

    if (options->shows_help)
        return 0;
    if (options->key != NULL && options->makes_key)
        return command_usage_error(COMMAND, "give either --key ID or --new-key");
    if (options->key != NULL && !uuid_from_reference(options->key, id))
        return command_usage_error(COMMAND, "--key takes the id of a secret, not '%s'",
                                   options->key);
    if (argc - optind != 1)
        return command_usage_error(COMMAND, "name one FILE, or - for standard input");
    options->input = argv[optind];
    return 0;
}

static int parse_options(int argc, char **argv, struct upload_options *options)
{
    static const struct option table[] = {
        {"cloud", required_argument, NULL, 'c'},  {"os-cloud", required_argument, NULL, 'o'},
        {"config", required_argument, NULL, 'f'}, {"cache", required_argument, NULL, 'd'},
        {"key", required_argument, NULL, 'k'},    {"new-key", no_argument, NULL, 'w'},
        {"name", required_argument, NULL, 'n'},   {"disk-format", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        if (option == 'c')
            options->session.cloud = optarg;
        else if (option == 'o')
            options->session.os_cloud = optarg;
        else if (option == 'f')
            options->session.config_path = optarg;
        else if (option == 'd')
            options->cache = optarg;
        else if (option == 'k')
            options->key = optarg;
        else if (option == 'w')
            options->makes_key = true;
        else if (option == 'n')
            options->name = optarg;
        else if (option == 't')
            options->disk_format = optarg;
        else if (option == 'h')
            options->shows_help = true;
        else
            return command_usage_error(COMMAND, "bad option '%s'", argv[optind - 1]);
    }
    return check_options(options, argc, argv);
}

/* --- the parts of one upload --- */

/* All that one upload works with. */
struct upload_job {
    const struct upload_options *options;
    const struct config *config;
    struct session *session;
    struct byte_source *input;
    struct secure_buffer *passphrase;
    struct cancel *cancel;
    struct upload_staging *staging;
    struct consumer_registry *consumers;
    char key_id[UUID_TEXT_BYTES];
    char image_id[UUID_TEXT_BYTES];
    bool is_sealed;
};

static int open_input(const char *path, struct byte_source **ret, struct error *err)
{
    CLEANUP(fd_close) int fd = -1;

    fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", path);
    if (file_source_from_fd(fd, ret, err) < 0)
        return error_prefix(err, "%s", path);
    (void)steal_fd(&fd);
    return 0;
}

/* The passphrase is fetched even of a new key: what readers will get is what must be used. */
static int find_passphrase(struct upload_job *job, struct error *err)
{
    struct key_manager *keys = job->session->cloud->keys;

    if (job->options->key == NULL) {
        if (new_secret_store(keys, job->session->arena, job->options->name, job->cancel,
                             job->key_id, err) < 0)
            return -1;
        (void)fprintf(stderr, "glancefs %s: new key %s\n", COMMAND, job->key_id);
    } else {
        (void)uuid_from_reference(job->options->key, job->key_id);
    }
    return key_manager_get_passphrase(keys, job->session->arena, job->key_id,
                                      job->config->key_encoding, job->cancel, &job->passphrase,
                                      err);
}

static int create_with(struct upload_job *job, const char *container_format, struct error *err)
{
    CLEANUP(image_record_unref) struct image_record *record = NULL;
    const struct image_property properties[] = {
        {"disk_format", job->options->disk_format},
        {"container_format", container_format},
        {"visibility", "private"},
        {"os_encrypt_format", FORMAT},
        {"os_encrypt_type", "symmetric"},
        {"os_encrypt_cipher", "AES256"},
        {"os_decrypt_container_format", "bare"},
        {"os_encrypt_key_id", job->key_id},
        {"name", job->options->name},
    };
    struct image_property known[sizeof properties / sizeof properties[0]];
    size_t count = 0;

    for (size_t i = 0; i < sizeof properties / sizeof properties[0]; i++)
        if (properties[i].value != NULL && properties[i].value[0] != '\0')
            known[count++] = properties[i];
    if (image_service_create(job->session->cloud->images, known, count, job->cancel, &record, err) <
        0)
        return -1;
    (void)snprintf(job->image_id, sizeof job->image_id, "%s", image_record_id(record));
    return 0;
}

/* Glance answers by its schema, which does not name the property, or in words that do. */
static bool is_format_refused(const char *message)
{
    return strstr(message, "'" CONTAINER_FORMAT "' is not one of") != NULL ||
           strstr(message, "container_format") != NULL ||
           strstr(message, "container format") != NULL;
}

/* `encrypted` is known only where Glance's operator allowed it. */
static int create_image(struct upload_job *job, struct error *err)
{
    const char *fallback = job->config->container_format;

    if (create_with(job, CONTAINER_FORMAT, err) == 0)
        return 0;
    if (err->kind != ERROR_INVALID || !is_format_refused(err->message))
        return -1;
    if (fallback == NULL)
        return error_set(err, ERROR_INVALID,
                         "the image service does not allow container_format " CONTAINER_FORMAT
                         ": have its operator add it to container_formats in [image_format], or "
                         "set the option container_format, say to bare");
    (void)fprintf(stderr,
                  "glancefs %s: the image service does not allow container_format %s: using %s\n",
                  COMMAND, CONTAINER_FORMAT, fallback);
    return create_with(job, fallback, err);
}

/* --- encrypt and seal --- */

static int copy(struct upload_job *job, struct byte_source *input, struct byte_sink *sink,
                uint64_t *ret_size, struct error *err)
{
    CLEANUP(secure_buffer_free) struct secure_buffer *piece = NULL;
    uint64_t position = 0;
    size_t size = 0;

    if (secure_buffer_new(job->session->arena, PIECE_BYTES, &piece, err) < 0)
        return -1;
    do {
        if (byte_source_pread(input, secure_buffer_data(piece), PIECE_BYTES, position, job->cancel,
                              &size, err) < 0)
            return error_prefix(err, "%s", job->options->input);
        if (byte_sink_write(sink, secure_buffer_bytes(piece), size, job->cancel, err) < 0)
            return -1;
        position += size;
    } while (size == PIECE_BYTES);
    *ret_size = position;
    return 0;
}

/* With the key's id, so that another image it may be sent to later can be decrypted, too. */
static int describe(const struct upload_job *job, struct staged_upload *upload, uint64_t size,
                    struct error *err)
{
    char size_text[24];

    (void)snprintf(size_text, sizeof size_text, "%" PRIu64, size);
    staged_upload_set_plaintext_size(upload, size);
    if (staged_upload_set_property(upload, "os_decrypt_size", size_text, err) < 0 ||
        staged_upload_set_property(upload, "os_encrypt_format", FORMAT, err) < 0)
        return -1;
    return staged_upload_set_property(upload, "os_encrypt_key_id", job->key_id, err);
}

static int encrypt_into(struct upload_job *job, struct byte_source *input,
                        struct staged_upload *upload, struct error *err)
{
    CLEANUP(byte_sink_free) struct byte_sink *sink = NULL;
    const struct codec *codec = NULL;
    uint64_t size = 0;

    if (codecs_find(job->session->codecs, FORMAT, &codec, err) < 0 ||
        codec_open_sink(codec, job->session->arena, job->passphrase, byte_source_size(input),
                        staged_upload_sink(upload), &sink, err) < 0 ||
        copy(job, input, sink, &size, err) < 0 || describe(job, upload, size, err) < 0)
        return -1;
    return byte_sink_commit(sink, job->cancel, err);
}

static int seal(struct upload_job *job, struct error *err)
{
    CLEANUP(staged_upload_free) struct staged_upload *upload = NULL;
    CLEANUP(byte_source_free) struct byte_source *counted = NULL;
    struct progress progress;
    int result;

    progress_start(&progress, stderr, isatty(STDERR_FILENO) != 0, "encrypt",
                   byte_source_size(job->input), clock_monotonic_ns());
    if (progress_source_new(job->input, &progress, &counted, err) < 0)
        return -1;
    job->input = NULL;
    if (staged_upload_new(job->staging, job->image_id, &upload, err) < 0)
        return -1;
    result = encrypt_into(job, counted, upload, err);
    progress_finish(&progress);
    job->is_sealed = result == 0;
    return result;
}

/* --- the whole --- */

/* Interrupted, or nothing is left that it could become: the image is gone, or the secret. */
static bool is_of_no_use(const struct error *err)
{
    return err->kind == ERROR_CANCELLED || err->kind == ERROR_NOT_FOUND ||
           err->kind == ERROR_NO_KEY;
}

/* What was refused today may be taken tomorrow. */
static void keep_sealed(const struct upload_job *job, struct upload_cache *cache)
{
    upload_cache_keep(cache);
    (void)fprintf(stderr,
                  "glancefs %s: the sealed upload is kept: glancefs uploads retry --cache %s %s\n",
                  COMMAND, upload_cache_path(cache), job->image_id);
}

static void take_back(const struct upload_job *job)
{
    struct error err = ERROR_INIT;

    (void)upload_staging_drop(job->staging, job->image_id, &err);
    if (image_service_remove(job->session->cloud->images, job->image_id, NULL, &err) < 0 &&
        err.kind != ERROR_NOT_FOUND)
        (void)fprintf(stderr, "glancefs %s: image %s could not be deleted: %s\n", COMMAND,
                      job->image_id, err.message);
    consumer_registry_sweep(job->consumers, NULL);
}

/* A key that cannot be had makes no image, and an image that cannot be had no key: the id of a new
 * key is set with the other properties before the data go. */
static int make_image(struct upload_job *job, struct error *err)
{
    const bool has_key = job->options->key != NULL;

    if ((has_key && find_passphrase(job, err) < 0) || create_image(job, err) < 0 ||
        (!has_key && find_passphrase(job, err) < 0) || seal(job, err) < 0)
        return -1;
    return upload_with_progress(job->staging, job->image_id, NULL, job->cancel, err);
}

static int run_with_staging(struct upload_job *job, struct error *err)
{
    CLEANUP(upload_cache_free) struct upload_cache *cache = NULL;
    CLEANUP(cloud_staging_free) struct cloud_staging *staging = NULL;
    const char *configured = job->options->cache == NULL ? job->config->cache : job->options->cache;

    if (upload_cache_open(configured, &cache, err) < 0 ||
        cloud_staging_open(job->config, upload_cache_path(cache), NULL, job->session, &staging,
                           err) < 0)
        return -1;
    job->staging = staging->staging;
    job->consumers = staging->consumers;
    if (make_image(job, err) == 0)
        return 0;
    if (job->is_sealed && (configured != NULL || !is_of_no_use(err)))
        keep_sealed(job, cache);
    else if (job->image_id[0] != '\0')
        take_back(job);
    return -1;
}

/* As in the other commands that read: what may block before the token exists still dies by the
 * signal. */
static int run_with_signals(struct upload_job *job, struct error *err)
{
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct cancel_listener waker;
    int result;

    if (signal_cancel_start(&cancel, err) < 0)
        return -1;
    wake_on_cancel_start(cancel, &waker);
    job->cancel = cancel;
    result = run_with_staging(job, err);
    wake_on_cancel_stop(cancel, &waker);
    return result;
}

static int run(struct upload_job *job, struct error *err)
{
    CLEANUP(config_free) struct config *config = NULL;
    CLEANUP(session_free) struct session *session = NULL;
    int result;

    if (open_input(job->options->input, &job->input, err) < 0 ||
        session_load_options(&job->options->session, &config, err) < 0 ||
        session_make_local_cloud(config, COMMAND, err) < 0 ||
        session_open(config, ARENA_BYTES, &session, err) < 0)
        return -1;
    job->config = config;
    job->session = session;
    result = run_with_signals(job, err);
    secure_buffer_free(job->passphrase);
    return result;
}

int command_upload(int argc, char **argv)
{
    struct upload_options options = {.disk_format = "raw", .input = "-"};
    struct upload_job job = {.options = &options};
    struct error err = ERROR_INIT;
    int code = parse_options(argc, argv, &options);
    int result;

    if (code != 0)
        return code;
    if (options.shows_help) {
        (void)fputs(help, stdout);
        return EXIT_CODE_OK;
    }
    result = run(&job, &err);
    byte_source_free(job.input);
    if (result == 0 && (printf("%s\n", job.image_id) < 0 || fflush(stdout) != 0))
        result = error_set_errno(&err, errno, "standard output");
    return result < 0 ? command_fail(COMMAND, &err) : EXIT_CODE_OK;
}
