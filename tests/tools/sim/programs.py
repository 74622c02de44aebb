"""C programs for the chip that end in `finish()`, a function that does nothing."""

HEAD = """
#include <stdint.h>
#include <string.h>
#include <stdlib.h>
#include <math.h>
#define NOINLINE __attribute__((noinline))
NOINLINE void finish(void) { __asm__ volatile("nop"); }
"""

ARITHMETIC = """
int8_t a8[] = {-128, -127, -1, 0, 1, 2, 100, 127};
int16_t a16[] = {-32768, -32767, -300, -1, 0, 1, 300, 32767};
int32_t a32[] = {INT32_MIN, -70000, -1, 0, 1, 3, 70000, INT32_MAX};
volatile int32_t out[8][8][6];
int main(void)
{
    for (uint8_t i = 0; i < 8; ++i)
        for (uint8_t j = 0; j < 8; ++j) {
            volatile int32_t *o = out[i][j];
            o[0] = a8[i] * a8[j];
            o[1] = (int32_t)a16[i] * a16[j];
            o[2] = (int32_t)((uint32_t)a32[i] * (uint32_t)a32[j]);
            o[3] = a32[j] ? a32[i] / (a32[j] | 2) : 7;
            o[4] = a16[j] ? (int16_t)(a16[i] % (a16[j] | 2)) : 9;
            o[5] = (int32_t)((uint32_t)a32[i] >> (j * 3)) ^ (a32[j] << i) ^ (a16[i] >> j);
        }
    finish();
}
"""

RECURSION = """
volatile uint16_t steps, value;
NOINLINE uint16_t ackermann(uint16_t m, uint16_t n)
{
    ++steps;
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}
int main(void)
{
    value = ackermann(2, 9);
    finish();
}
"""

WIDE = """
volatile uint64_t product = 0x123456789abcdefULL, quotient, shifted;
volatile int64_t sum;
int main(void)
{
    for (uint8_t i = 0; i < 40; ++i) {
        product = product * 6364136223846793005ULL + 1442695040888963407ULL;
        quotient ^= product / ((product >> 33) | 1);
        shifted += product >> (i + 3);
        sum -= (int64_t)(product ^ quotient) * (int32_t)shifted;
    }
    finish();
}
"""

FLOATS = """
volatile float x = 0.37f, results[24];
int main(void)
{
    for (uint8_t i = 0; i < 4; ++i) {
        results[6 * i] = expf(x);
        results[6 * i + 1] = sqrtf(x) / 3.0f;
        results[6 * i + 2] = sinf(x) * x;
        results[6 * i + 3] = (float)(int32_t)(x * 1000.0f) - 17.25f;
        results[6 * i + 4] = tanhf(x - 1.0f);
        results[6 * i + 5] = logf(x + 1e-6f);
        x = x * 7.3f - 2.0f;
    }
    finish();
}
"""

MEMORY = """
static const char text[] = "constants stay in flash on this family, and are read from there";
char copy[80], moved[80];
uint16_t table[100];
NOINLINE static int descending(const void *a, const void *b)
{
    const uint16_t x = *(const uint16_t *)a, y = *(const uint16_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}
NOINLINE static uint8_t even(uint8_t v) { return (v & 1) == 0; }
NOINLINE static uint8_t odd(uint8_t v) { return v & 1; }
uint8_t (*const tests[2])(uint8_t) = {even, odd};
volatile uint8_t counts[2];
struct { uint8_t low : 3, high : 5; uint16_t rest : 11; } bits;
int main(void)
{
    memcpy(copy, text, sizeof text);
    memmove(moved, copy, sizeof copy);
    memmove(moved + 3, moved, 60);
    memset(copy + 70, 0x5a, 10);
    uint16_t v = 1;
    for (uint8_t i = 0; i < 100; ++i)
        table[i] = v = (uint16_t)(v * 25173u + 13849u);
    qsort(table, 100, sizeof table[0], descending);
    for (uint8_t i = 0; i < 60; ++i)
        for (uint8_t k = 0; k < 2; ++k)
            counts[k] += tests[k]((uint8_t)text[i]);
    bits.low = 5;
    bits.high = (uint8_t)strlen(copy);
    bits.rest = (uint16_t)strcmp(copy, moved);
    switch (bits.low) {
    case 0: v = 3; break;
    case 1: v = 14; break;
    case 2: v = 159; break;
    case 3: v = 26; break;
    case 5: v = 5358; break;
    default: v = 9793;
    }
    table[0] = v;
    finish();
}
"""

DENSE = """
static const int8_t w[10][96] = {{1, -2, 3}, {4, 5, -6}, {-128, 127, 0, 3, 9}, {7}, {-7}, {77, 88, 99}, {-1}, {2}, {-3}, {4}};
int8_t x[96];
volatile int32_t y[10];
int main(void)
{
    for (uint8_t i = 0; i < 96; ++i)
        x[i] = (int8_t)(i * 37 + 11);
    for (uint8_t n = 0; n < 10; ++n) {
        int32_t acc = 0;
        for (uint8_t k = 0; k < 96; ++k)
            acc += (int16_t)(w[n][k] * x[k]);
        y[n] = acc;
    }
    finish();
}
"""

PROGRAMS = {
    "arithmetic": ARITHMETIC,
    "recursion": RECURSION,
    "wide": WIDE,
    "floats": FLOATS,
    "memory": MEMORY,
    "dense": DENSE,
}

USART3 = """
#define REG(a) (*(volatile uint8_t *)(a))
#define REG16(a) (*(volatile uint16_t *)(a))
#define STATUS REG(0x0864)
static void usart_init(void)
{
    REG(0x0034) = 0xd8;
    REG(0x0061) = 0; /* 20 MHz */
    REG16(0x0868) = 694; /* 115200 baud */
    REG(0x0866) = 0xc0;
}
__attribute__((unused)) static uint8_t get(void)
{
    while (!(STATUS & 0x80)) {}
    return REG(0x0860);
}
__attribute__((unused)) static void put(uint8_t c)
{
    while (!(STATUS & 0x20)) {}
    REG(0x0862) = c;
}
"""

ECHO = """
volatile uint8_t seen[16];
volatile uint8_t count;
int main(void)
{
    usart_init();
    for (;;) {
        uint8_t c = get();
        seen[count++ & 15] = c;
        put((uint8_t)(c ^ 0x20));
        if (c == '!') finish();
    }
}
"""
