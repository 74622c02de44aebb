/* SPDX-License-Identifier: Apache-2.0 */
#include "eng/types.h"

const char *eng_status_text(eng_status status)
{
    static const char *const text[ENG_STATUS_COUNT] = {
        [ENG_OK] = "ok",
        [ENG_ERR_NULL] = "a required pointer is null",
        [ENG_ERR_OP] = "this core has no such operator",
        [ENG_ERR_SHAPE] = "a size is zero, too large, or does not fit its neighbours",
        [ENG_ERR_RANGE] = "a value is outside its documented range",
        [ENG_ERR_OVERFLOW] = "an accumulator could leave int32 with these weights",
        [ENG_ERR_ALIGN] = "a 4-byte buffer is not aligned",
        [ENG_ERR_ARENA] = "a buffer ends outside the arena",
        [ENG_ERR_OVERLAP] = "an output overlaps an input that it must not",
        [ENG_ERR_SELFTEST] = "a golden pair came out differently",
    };
    const unsigned index = (unsigned)status;
    return index < ENG_STATUS_COUNT ? text[index] : "unknown status";
}
