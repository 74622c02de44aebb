/* SPDX-License-Identifier: Apache-2.0 */
/* Every status has a text of its own, one line without a full stop; anything else is unknown. */
#include <string.h>

#include "check.h"
#include "eng.h"

int main(void)
{
    const char *const unknown = eng_status_text(ENG_STATUS_COUNT);
    CHECK(strcmp(unknown, "unknown status") == 0);
    CHECK(eng_status_text((eng_status)127) == unknown);
    CHECK(strcmp(eng_status_text(ENG_OK), "ok") == 0);
    for (uint16_t i = 0; i < ENG_STATUS_COUNT; ++i) {
        const char *const text = eng_status_text((eng_status)i);
        const size_t length = text == NULL ? 0 : strlen(text);
        CHECK(text != unknown);
        CHECK_EQUAL(length > 0 && text[length - 1] != '.' && strchr(text, '\n') == NULL, 1, i, 0);
        for (uint16_t k = 0; k < i; ++k) {
            CHECK_EQUAL(strcmp(text, eng_status_text((eng_status)k)) != 0, 1, i, k);
        }
    }
    return check_finish("test_status");
}
