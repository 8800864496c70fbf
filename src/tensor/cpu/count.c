/* count.c: how many cores this process may use: the fewest of its affinity mask and its control group's
 * quota (both versions). */
#include "tensor/backend.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CPUS = 8192, PATH_BYTES = 4096 };

static int affinity_count(void)
{
    cpu_set_t *set = CPU_ALLOC(MAX_CPUS); /* freed below; libc's own, not a tensor's */
    if (!set)
        return 1;
    size_t bytes = CPU_ALLOC_SIZE(MAX_CPUS);
    int n = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 1;
    CPU_FREE(set);
    return n > 0 ? n : 1;
}

/* The first line of a small file without its newline; false where there is none. */
static bool first_line(char *line, int bytes, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool found = fgets(line, bytes, file) != NULL;
    fclose(file);
    if (found)
        line[strcspn(line, "\n")] = 0;
    return found;
}

/* Whole cores for `quota` microseconds in each `period`, rounded up; 0: no limit. */
static int cores_of(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    long long cores = (quota + period - 1) / period;
    return cores < MAX_CPUS ? (int)cores : MAX_CPUS;
}

static int quota_v2(const char *folder)
{
    char path[PATH_BYTES + 32], line[128], *end;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!first_line(line, sizeof line, path))
        return 0;
    long long quota = strtoll(line, &end, 10); /* 0 for "max 100000", which is no limit */
    return cores_of(quota, strtoll(end, NULL, 10));
}

static int quota_v1(const char *folder)
{
    char path[PATH_BYTES + 32], line[128];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!first_line(line, sizeof line, path))
        return 0;
    long long quota = strtoll(line, NULL, 10);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!first_line(line, sizeof line, path))
        return 0;
    return cores_of(quota, strtoll(line, NULL, 10));
}

/* The smallest quota of the group and those above it. Inside a container the path may not exist below the
 * mount; then only the mount's own files count. */
static int group_count(const char *mount, const char *group, int (*quota)(const char *folder))
{
    char folder[PATH_BYTES];
    int least = 0;
    int used = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (used < 0 || (size_t)used >= sizeof folder)
        return 0;
    while (strlen(folder) >= strlen(mount)) {
        int n = quota(folder);
        if (n && (!least || n < least))
            least = n;
        char *slash = strrchr(folder, '/');
        if (!slash)
            break;
        *slash = 0;
    }
    return least;
}

/* Lines of /proc/self/cgroup are "0::/path" (version 2) or "4:cpu,cpuacct:/path". */
static int line_count(char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path)
        return 0;
    *path++ = 0;
    controllers++;
    if (!*controllers)
        return group_count("/sys/fs/cgroup", path, quota_v2);
    for (char *rest = controllers, *name; (name = strsep(&rest, ",")) != NULL;)
        if (strcmp(name, "cpu") == 0)
            return group_count("/sys/fs/cgroup/cpu", path, quota_v1);
    return 0;
}

static int quota_count(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return 0;
    char line[PATH_BYTES];
    int least = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        int n = line_count(line);
        if (n && (!least || n < least))
            least = n;
    }
    fclose(file);
    return least;
}

int glot_cpu_count(void)
{
    int cores = affinity_count(), quota = quota_count();
    return quota && quota < cores ? quota : cores;
}
