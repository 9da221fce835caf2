/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/openpgp/argon2_gate.h"

#include "codec_bed.h"
#include "support/delay.h"

#include <pthread.h>

#define VISITORS 8
#define VISITS 50

struct crowd {
    struct argon2_gate *gate;
    unsigned inside; /* atomic, like what follows */
    unsigned most;
    unsigned visits;
};

static void *visit(void *context)
{
    struct crowd *crowd = context;
    struct error err = ERROR_INIT;

    for (int i = 0; i < VISITS; i++) {
        if (argon2_gate_enter(crowd->gate, NULL, &err) < 0)
            break;
        if (__atomic_add_fetch(&crowd->inside, 1, __ATOMIC_SEQ_CST) > 1)
            (void)__atomic_add_fetch(&crowd->most, 1, __ATOMIC_SEQ_CST);
        (void)__atomic_add_fetch(&crowd->visits, 1, __ATOMIC_SEQ_CST);
        (void)__atomic_sub_fetch(&crowd->inside, 1, __ATOMIC_SEQ_CST);
        argon2_gate_leave(crowd->gate);
    }
    return NULL;
}

static void lets_everybody_in_one_at_a_time(void **state)
{
    CLEANUP(argon2_gate_free) struct argon2_gate *gate = NULL;
    struct crowd crowd = {0};
    pthread_t threads[VISITORS];
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(argon2_gate_new(&gate, &err));
    crowd.gate = gate;
    for (size_t i = 0; i < VISITORS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &crowd), 0);
    for (size_t i = 0; i < VISITORS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(crowd.visits, VISITORS * VISITS);
    assert_int_equal(crowd.most, 0);
}

struct leaver {
    struct argon2_gate *gate;
    struct cancel *cancel;
};

static void *cancel_soon(void *context)
{
    const struct leaver *leaver = context;
    struct error err = ERROR_INIT;

    (void)delay(10, NULL, &err);
    cancel_request(leaver->cancel);
    return NULL;
}

static void who_waits_can_be_cancelled(void **state)
{
    CLEANUP(argon2_gate_free) struct argon2_gate *gate = NULL;
    CLEANUP(cancel_unref) struct cancel *cancel = NULL;
    struct leaver leaver;
    pthread_t thread;
    struct error err = ERROR_INIT;

    (void)state;
    assert_succeeds(argon2_gate_new(&gate, &err));
    assert_succeeds(cancel_new(&cancel, &err));
    leaver = (struct leaver){gate, cancel};
    assert_succeeds(argon2_gate_enter(gate, NULL, &err));
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &leaver), 0);
    assert_fails(ERROR_CANCELLED, argon2_gate_enter(gate, cancel, &err));
    (void)pthread_join(thread, NULL);
    argon2_gate_leave(gate);
    assert_succeeds(argon2_gate_enter(gate, NULL, &err));
    argon2_gate_leave(gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bed_test(lets_everybody_in_one_at_a_time),
        bed_test(who_waits_can_be_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
