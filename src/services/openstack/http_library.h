/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Set-up of libcurl, once per process. It keeps headers (tokens) and bodies (keys) in its heap and
 * frees them as they are; with this set-up everything it frees is wiped first.
 */
#ifndef SERVICES_OPENSTACK_HTTP_LIBRARY_H
#define SERVICES_OPENSTACK_HTTP_LIBRARY_H

#include "glancefs/error.h"

/**
 * Initialises libcurl with a heap that wipes, and takes SSLKEYLOGFILE out of the environment, so that
 * no session key is written to disk: before other threads read it. After crypto_library_setup, since libcurl starts
 * OpenSSL, which takes its own wiping heap only before that. Any thread; later calls do nothing but
 * repeat the result. ERROR_UNSUPPORTED when libcurl lacks TLS or a resolver that can be interrupted.
 */
int http_library_setup(struct error *err);

#endif
