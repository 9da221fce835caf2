/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image service in memory that counts its calls, can be slow, fail half-way and lie about the
 * bytes. Set it up before threads; counters may be read by any thread. Needs the crypto libraries
 * set up (support/crypto_arena.h): records carry real hashes.
 */
#ifndef SUPPORT_FAKE_IMAGE_SERVICE_H
#define SUPPORT_FAKE_IMAGE_SERVICE_H

#include "glancefs/image_service.h"

/** The most images one fake holds. */
#define FAKE_IMAGES 320

/** How the downloads of one image misbehave; all zero is a well-behaved one. */
struct fake_download {
    size_t chunk_bytes;        /* bytes per write to the sink; 0 stands for 64 KiB */
    unsigned delay_ms;         /* before each chunk, or until cancelled */
    bool fails;                /* at byte `fail_at` of the image, wherever it began */
    size_t fail_at;            /* at most the size */
    unsigned failures;         /* so many downloads fail, then all is well; 0: all of them */
    enum error_kind fail_kind; /* ERROR_NONE stands for ERROR_UNAVAILABLE */
    bool flips_a_bit;          /* of byte `flip_at` */
    size_t flip_at;
    size_t missing_bytes; /* cut off at the end */
    size_t extra_bytes;   /* zeros added at the end */
};

/** An empty service; image_service_free releases it. Aborts without memory. */
struct image_service *fake_image_service_new(void);

/** Adds or replaces image `id` with borrowed bytes and a record that fits them (sha512). */
void fake_image_service_put(struct image_service *service, const char *id, const void *bytes,
                            size_t size);

/** Makes downloads of image `id`, which must exist, behave as `download` says from now on. */
void fake_image_service_misbehave(struct image_service *service, const char *id,
                                  const struct fake_download *download);

/** Calls of download so far; those running now; bytes handed out. Of all images together. */
unsigned fake_image_service_downloads(struct image_service *service);
unsigned fake_image_service_running(struct image_service *service);
uint64_t fake_image_service_bytes(struct image_service *service);

/**
 * An active record of `size` bytes with `os_hash_algo`/`os_hash_value` as given (either NULL leaves
 * it out) and an MD5 checksum of `bytes`. The caller drops the reference. Aborts when it is no record.
 */
struct image_record *fake_image_record(const char *id, const void *bytes, size_t size,
                                       const char *hash_algo, const char *hash_value);

/** The same with the right hash of `bytes` by "sha256", "sha384", ... */
struct image_record *fake_image_record_hashed(const char *id, const void *bytes, size_t size,
                                              const char *hash_algo);

#endif
