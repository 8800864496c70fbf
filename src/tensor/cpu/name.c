/* name.c: which processor this is: figures of a run mean little without it. */
#include "tensor/backend.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum { NAME_BYTES = 96 };

/* "model name : AMD EPYC 9B45" of /proc/cpuinfo; other families of processors have no such line. */
static bool read_model_name(char name[NAME_BYTES])
{
    char line[256];
    bool is_found = false;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && !is_found && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (!value || strncmp(line, "model name", 10) != 0)
            continue;
        value += 1 + strspn(value + 1, " ");
        snprintf(name, NAME_BYTES, "%.*s", (int)strcspn(value, "\n"), value);
        is_found = *name != 0;
    }
    if (file)
        fclose(file);
    return is_found;
}

void glot_cpu_name(char name[96])
{
    struct utsname machine;
    if (!read_model_name(name))
        snprintf(name, NAME_BYTES, "%s", uname(&machine) == 0 ? machine.machine : "unknown");
}
