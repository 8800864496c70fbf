/* program.c: the smallest user of libglot. */
#include <glot.h>
#include <stdio.h>

int main(void)
{
    return puts(glot_version()) >= 0 && glot_status_exit_code(GLOT_CANCELLED) == 75 ? 0 : 1;
}
