/*
 * main.c - the one program.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>

int main(void)
{
    puts("serin");
    return 0;
}
