/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds standard input to the link; 0xff 0xfe is a silence, so that those come too. */
#include <stdio.h>

#include "link.h"

int main(void)
{
    int before = 0;
    link_init();
    for (int byte = getchar(); byte != EOF; byte = getchar()) {
        if (before == 0xff && byte == 0xfe)
            link_silence();
        else
            link_receive((uint8_t)byte);
        before = byte;
    }
    return 0;
}
