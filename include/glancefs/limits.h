/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every cap on input that comes from outside, and every fixed size, by name. A value over its
 * cap is an error with a clear message, never an allocation.
 */
#ifndef GLANCEFS_LIMITS_H
#define GLANCEFS_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * KIB)

/* --- services: records, secrets --- */
/** Text of one image record or secret's metadata, in bytes. */
#define LIMIT_RECORD_BYTES (1 * MIB)
/** Nesting of any JSON document we read. */
#define LIMIT_JSON_DEPTH 16
/** Properties of one image record. */
#define LIMIT_IMAGE_PROPERTIES 1024
/** Length of one property's name, in bytes (Glance: 255). */
#define LIMIT_PROPERTY_NAME_BYTES 255
/** Payload of one secret, in bytes (Barbican's own limit is 20,000). */
#define LIMIT_SECRET_BYTES (20 * KIB)
/** Images in one listing, and what their records together may take in memory, in bytes. */
#define LIMIT_IMAGES 100000
#define LIMIT_LIST_BYTES (256 * MIB)
/** Text of one page of a listing, in bytes: one record with all that Glance lets anybody put into it
 *  (128 properties of 64 KiB) fits. */
#define LIMIT_LIST_PAGE_BYTES (16 * MIB)

/* --- services: OpenStack over HTTP --- */
/** One token of Keystone, in bytes. */
#define LIMIT_TOKEN_BYTES (8 * KIB)
/** Length of a URL we ask, in bytes. */
#define LIMIT_URL_BYTES 4096
/** Redirects of one request. */
#define LIMIT_HTTP_REDIRECTS 3
/** Most of a Retry-After that is waited for, in seconds. */
#define LIMIT_RETRY_AFTER_SECONDS 30
/** Text of a clouds.yaml or secure.yaml, in bytes, and its nesting. */
#define LIMIT_CLOUDS_YAML_BYTES (256 * KIB)
#define LIMIT_CLOUDS_YAML_DEPTH 16

/* --- OpenPGP messages (RFC 9580) --- */
/** Symmetric-key encrypted session key packets in one message. */
#define LIMIT_SKESK_PACKETS 16
/** Session keys that are tried on one message. */
#define LIMIT_SESSION_KEY_CANDIDATES 4
/** Public-key encrypted session key packets that a keyring is asked about, each of which may cost it
 *  a private key operation per key. */
#define LIMIT_PKESK_PACKETS 16
/** The same of one message together, in bytes. */
#define LIMIT_PKESK_BYTES (128 * KIB)
/** Memory of one Argon2 key derivation, of which one runs at a time, in bytes. */
#define LIMIT_ARGON2_BYTES (128 * MIB)
/** Text of a message in ASCII armor, in bytes. */
#define LIMIT_ARMOR_BYTES (64 * KIB)
/** Body of one packet that is read whole (SKESK, marker, headers), in bytes. */
#define LIMIT_SMALL_PACKET_BYTES (8 * KIB)
/** Plaintext of one AEAD chunk, in bytes: the largest of RFC 9580 section 5.13.2. */
#define LIMIT_AEAD_CHUNK_BYTES (4 * MIB)
/** Packet containers inside one another (encrypted, compressed). */
#define LIMIT_PACKET_NESTING 8
/** Plaintext bytes per compressed byte, once LIMIT_EXPANSION_FREE_BYTES were produced. DEFLATE
 *  itself reaches 1032, and an empty disk is legitimate; a quine or a chain is not. */
#define LIMIT_EXPANSION_RATIO 1100
/** Output that the ratio does not judge, in bytes. */
#define LIMIT_EXPANSION_FREE_BYTES (1 * MIB)
/** Plaintext of one image, in bytes: 16 TiB. */
#define LIMIT_PLAINTEXT_BYTES ((uint64_t)16 << 40)
/** One message between the daemon and the process that runs gpg, in bytes. */
#define LIMIT_GPG_MESSAGE_BYTES ((size_t)512)
/** Time all key derivations of one open may take together, in seconds of CPU. */
#define LIMIT_DERIVATION_SECONDS 3

/* --- cache and streams --- */
/** Ciphertext covered by one GMAC tag, in bytes. */
#define CACHE_BLOCK_BYTES (1 * MIB)
/** Images whose tags are remembered while nobody reads them; the least recently opened one is
 *  forgotten for another, and verified again when it is wanted. */
#define CACHE_REMEMBERED_OBJECTS 256
/** Largest FUSE request we take and the st_blksize we publish, in bytes. */
#define FUSE_REQUEST_BYTES (1 * MIB)
/** Delivered plaintext that stays readable for a hint or a retry, in bytes. */
#define STREAM_HISTORY_BYTES (1 * MIB)
/** Plaintext at the end of an image that verify=stream gives only when all of it was verified. */
#define STREAM_WITHHELD_BYTES (1 * MIB)

/* --- configuration --- */
/** Text of one configuration file, in bytes. */
#define LIMIT_CONFIG_BYTES (256 * KIB)
/** Text of one option's value, in bytes. */
#define LIMIT_OPTION_BYTES 4096

#endif
