/* version.c: the version that the build was configured with. */
#include "glot_version.h"
#include "glot.h"

const char *glot_version(void)
{
    return GLOT_VERSION;
}
