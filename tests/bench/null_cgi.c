/* The least that a CGI program can do: reads the body, answers 202. */
#include <stdio.h>

int main(void)
{
    static char body[65536];
    while (fread(body, 1, sizeof body, stdin) > 0)
        continue;
    return fputs("Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n{}\n", stdout) < 0;
}
