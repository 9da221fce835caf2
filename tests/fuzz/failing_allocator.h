/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets one allocation fail. The linker sends calloc, realloc and strdup here (--wrap). Not malloc:
 * the crypto libraries get their memory from it, and what OpenSSL 3.0 does without any is not ours
 * to mend.
 */
#ifndef FUZZ_FAILING_ALLOCATOR_H
#define FUZZ_FAILING_ALLOCATOR_H

/** The `number`th allocation from now on fails, once; 0: none. */
void failing_allocator_arm(unsigned number);

/** Suspends and resumes counting; nests. */
void failing_allocator_suspend(void);
void failing_allocator_resume(void);

#endif
