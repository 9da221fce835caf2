/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test of the codec stands on: one arena with the crypto libraries set up in it, checked
 * for left-overs after each test, and whole decryptions in one call.
 */
#ifndef UNIT_CODEC_CODEC_BED_H
#define UNIT_CODEC_CODEC_BED_H

#include "glancefs/codec.h"
#include "support/memory_sink.h"
#include "support/memory_source.h"
#include "support/octets.h"
#include "support/openpgp_builder.h"
#include "support/pseudo_random.h"
#include "support/test_codecs.h"
#include "support/testing.h"

/** The uniform error's message. */
#define DAMAGED_MESSAGE "wrong passphrase or damaged data"

/** The process's arena; made, with the crypto libraries, by the first call. */
struct secure_arena *bed_arena(void);

/** For cmocka: remember what the arena holds, and check that a test left nothing in it. */
int bed_setup(void **state);
int bed_teardown(void **state);

/** A test with that set-up and tear-down. */
#define bed_test(function) cmocka_unit_test_setup_teardown(function, bed_setup, bed_teardown)

/** A text in the arena; the caller frees it. */
struct secure_buffer *bed_passphrase(const char *text);

/** Takes all locked memory but about `left` bytes; bed_give_back frees it. */
struct bed_hoard {
    void *blocks[4096];
    size_t count;
};
void bed_hoard_memory(struct bed_hoard *hoard, size_t left);
void bed_give_back(struct bed_hoard *hoard);

/** Decrypts `size` bytes with codec_decrypt, forward-only. `plaintext` and `ret` may be NULL. */
int bed_decrypt(const void *message, size_t size, const char *passphrase,
                struct memory_sink_record *plaintext, struct codec_message **ret,
                struct error *err);

/** The message opens, and holds exactly these bytes; a second, forward read gives them too. */
void assert_opens(const void *message, size_t size, const char *passphrase, const void *content,
                  size_t content_size);

/** The message fails with the uniform error: kind, errno and text. The sink was aborted. */
void assert_damaged(const void *message, size_t size, const char *passphrase);

/** It fails with this kind and a message that holds `text`. The sink was aborted. */
void assert_refused(const void *message, size_t size, const char *passphrase, enum error_kind kind,
                    const char *text);

#endif
