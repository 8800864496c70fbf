/* memory_limit.c: /proc and the control groups. What cannot be read is no limit. */
#include "job/memory_limit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { PATH_BYTES = 4096, LINE_BYTES = 512 };

/* The number in the first line of a file that begins with `key` ("" for the first line). */
static bool read_number(uint64_t *out, const char *path, const char *key)
{
    char line[LINE_BYTES], *end;
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        size_t n = strlen(key);
        if (strncmp(line, key, n) != 0)
            continue;
        *out = strtoull(line + n, &end, 10);
        found = end != line + n;
        break;
    }
    if (file)
        fclose(file);
    return found;
}

static uint64_t status_bytes(const char *key)
{
    uint64_t kilobytes = 0;
    return read_number(&kilobytes, "/proc/self/status", key) ? kilobytes * 1024 : 0;
}

uint64_t glot_memory_peak(void)
{
    return status_bytes("VmHWM:");
}

void glot_memory_forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "we");
    if (!file)
        return;
    fputs("5", file); /* proc(5): resets VmHWM */
    fclose(file);
}

uint64_t glot_memory_now(void)
{
    return status_bytes("VmRSS:");
}

static void lower(uint64_t *limit, const char **what, uint64_t value, const char *name)
{
    if (value < *limit) {
        *limit = value;
        *what = name;
    }
}

/* What a group still has, and what this process holds of it already. The file cache counts as used by the
 * group but gives way, so it is taken out. */
static void lower_by_group(uint64_t *limit, const char **what, const char *folder, const char *max_name,
                           const char *used_name, const char *cache_key)
{
    char path[PATH_BYTES + 64];
    uint64_t max, used = 0, cache = 0;
    snprintf(path, sizeof path, "%s/%s", folder, max_name);
    if (!read_number(&max, path, "") || max > (uint64_t)1 << 60)
        return;
    snprintf(path, sizeof path, "%s/%s", folder, used_name);
    read_number(&used, path, "");
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    read_number(&cache, path, cache_key);
    used -= cache < used ? cache : used;
    uint64_t left = max > used ? max - used : 0;
    lower(limit, what, left + glot_memory_now(), "its control group");
}

/* The group of this process and all above it. */
static void lower_by_groups(uint64_t *limit, const char **what, const char *root, const char *group,
                            bool is_v2)
{
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s%s", root, group);
    size_t root_length = strlen(root);
    for (;;) {
        lower_by_group(limit, what, folder, is_v2 ? "memory.max" : "memory.limit_in_bytes",
                       is_v2 ? "memory.current" : "memory.usage_in_bytes",
                       is_v2 ? "inactive_file " : "total_inactive_file ");
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < root_length)
            return;
        *slash = '\0';
    }
}

static void lower_by_control_groups(uint64_t *limit, const char **what)
{
    char line[PATH_BYTES];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *group = strchr(line, ':');
        char *path = group ? strchr(group + 1, ':') : NULL;
        if (path && strncmp(line, "0::", 3) == 0)
            lower_by_groups(limit, what, "/sys/fs/cgroup", path + 1, true);
        else if (path && strncmp(group, ":memory:", 8) == 0)
            lower_by_groups(limit, what, "/sys/fs/cgroup/memory", path + 1, false);
    }
    if (file)
        fclose(file);
}

static void lower_by_resource(uint64_t *limit, const char **what, int resource, const char *name)
{
    struct rlimit value;
    if (getrlimit(resource, &value) == 0 && value.rlim_cur != RLIM_INFINITY)
        lower(limit, what, value.rlim_cur, name);
}

uint64_t glot_memory_limit(const char **what)
{
    uint64_t limit = UINT64_MAX, available;
    *what = "this machine";
    if (read_number(&available, "/proc/meminfo", "MemAvailable:"))
        lower(&limit, what, available * 1024 + glot_memory_now(), "this machine");
    lower_by_control_groups(&limit, what);
    lower_by_resource(&limit, what, RLIMIT_AS, "its limit (ulimit -v)");
    lower_by_resource(&limit, what, RLIMIT_DATA, "its limit (ulimit -d)");
    return limit;
}
