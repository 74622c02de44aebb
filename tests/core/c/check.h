/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that count, and say where the first one failed: by exit code and text on the host, in check_result on a chip. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>

#ifndef __AVR__
#include <stdio.h>
#endif

#define CHECK_FINISHED 0xC0DE

/* Read by run_avr.py, field by field. `vector` is the loop's index, `index` the first bad byte. */
struct {
    uint16_t finished, failures;
    uint32_t checks;
    uint16_t vector, line, index;
    int16_t got, want;
} check_result;

#define CHECK_EQUAL(got, want, vector, index) check_equal((int16_t)(got), (int16_t)(want), vector, (uint16_t)__LINE__, index)
#define CHECK(condition)                      CHECK_EQUAL((condition) ? 1 : 0, 1, 0, 0)

static inline void check_equal(int16_t got, int16_t want, uint16_t vector, uint16_t line, uint16_t index)
{
    ++check_result.checks;
    if (got != want && check_result.failures++ == 0) {
        check_result.vector = vector;
        check_result.line = line;
        check_result.index = index;
        check_result.got = got;
        check_result.want = want;
    }
}

static inline int check_finish(const char *name)
{
    check_result.finished = CHECK_FINISHED;
#ifdef __AVR__
    (void)name;
#else
    printf("%s: %lu checks, %u failures\n", name, (unsigned long)check_result.checks, (unsigned)check_result.failures);
    if (check_result.failures != 0) {
        printf("  first: line %u, vector %u, index %u: got %d, want %d\n", (unsigned)check_result.line,
               (unsigned)check_result.vector, (unsigned)check_result.index, check_result.got, check_result.want);
    }
#endif
    return check_result.failures != 0;
}

#endif
