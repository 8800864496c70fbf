/* file.c
 *
 * Reading whole files, mapping them, and the atomic writer.
 *
 * The writer's order is: write NAME.tmp-PID, fsync it, rename it over NAME, fsync the folder. Whatever stops
 * it before the rename leaves the old file as it was; after the rename the new one is whole, because its
 * bytes were on the disk first.
 */
#include "base/file.h"
#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 1 << 20,      /* of a writer: one system call per MiB is lost in the time the disk takes */
    MAX_CALL_BYTES = 1 << 30,    /* Linux takes at most 2 GiB - 4096 in one call */
    FIRST_READ_BYTES = 64 * 1024 /* of a file whose size is not known (a pipe) */
};

/* Failures. */

glot_status glot_fail_errno(glot_error *err, int error, const char *doing, const char *path)
{
    glot_status status = GLOT_IO;
    if (error == ENOENT || error == ENOTDIR)
        status = GLOT_NOT_FOUND;
    else if (error == ENOSPC || error == EDQUOT)
        status = GLOT_NO_SPACE;
    else if (error == ENOMEM)
        status = GLOT_NOMEM;
    const char *text = strerrordesc_np(error);
    if (!text)
        return GLOT_FAIL(err, status, "cannot %s '%s': system error %d", doing, path, error);
    return GLOT_FAIL(err, status, "cannot %s '%s': %c%s", doing, path, tolower((unsigned char)text[0]),
                     text + 1);
}

/* Planted faults of the tests. */

static atomic_uint_fast64_t file_calls;
static atomic_uint_fast64_t fail_at; /* file_calls value that fails; 0: none */
static atomic_int fail_error;

void glot_file_fail_after(uint64_t n, int error)
{
    atomic_store(&fail_error, error);
    atomic_store(&fail_at, n ? atomic_load(&file_calls) + n : 0);
}

uint64_t glot_file_calls(void)
{
    return atomic_load(&file_calls);
}

/* Counts the call that is about to be made; true (with errno set) where it is the one that shall fail. */
static bool planted_fault(void)
{
    uint64_t call = atomic_fetch_add(&file_calls, 1) + 1;
    if (call != atomic_load(&fail_at))
        return false;
    if (atomic_load(&fail_error) == GLOT_FAULT_KILL)
        raise(SIGKILL);
    errno = atomic_load(&fail_error);
    return true;
}

static ssize_t try_write(int fd, const void *bytes, size_t n)
{
    if (planted_fault()) {
        if (errno != GLOT_FAULT_SHORT)
            return -1;
        n = (n + 1) / 2;
    }
    return write(fd, bytes, n);
}

static int try_fsync(int fd)
{
    return planted_fault() ? -1 : fsync(fd);
}

static int try_rename(const char *from, const char *to)
{
    return planted_fault() ? -1 : rename(from, to);
}

/* Reading. */

/* Opens a file for reading and tells its kind; a folder is refused. */
static glot_status open_for_reading(int *fd, struct stat *info, const char *path, glot_error *err)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return glot_fail_errno(err, errno, "open", path);
    glot_status status = GLOT_OK;
    if (fstat(*fd, info) != 0)
        status = glot_fail_errno(err, errno, "look at", path);
    else if (S_ISDIR(info->st_mode))
        status = GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is a folder, expected a file", path);
    if (status != GLOT_OK)
        close(*fd);
    return status;
}

glot_status glot_map_open(glot_map *map, const char *path, glot_error *err)
{
    int fd;
    struct stat info;
    *map = (glot_map){0};
    GLOT_TRY(open_for_reading(&fd, &info, path, err));
    glot_status status = GLOT_OK;
    if (!S_ISREG(info.st_mode)) {
        status = GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' is no regular file and cannot be mapped", path);
    } else if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            status = glot_fail_errno(err, errno, "map", path);
        } else {
            *map = (glot_map){data, (size_t)info.st_size};
            madvise(data, map->size, MADV_HUGEPAGE); /* advice: large pages are read whole, mapped as one */
        }
    }
    close(fd);
    return status;
}

void glot_map_forget(const glot_map *map)
{
    if (map->data)
        madvise((void *)(uintptr_t)map->data, map->size, MADV_DONTNEED); /* advice */
}

void glot_map_close(glot_map *map)
{
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (glot_map){0};
}

static ssize_t read_some(int fd, char *into, size_t n)
{
    for (;;) {
        ssize_t got = read(fd, into, n < MAX_CALL_BYTES ? n : MAX_CALL_BYTES);
        if (got >= 0 || errno != EINTR)
            return got;
    }
}

/* Reads to the end; `expected` is the size the file system tells, 0 for a pipe. */
static glot_status read_all(char **data, size_t *size, int fd, size_t expected, const char *path,
                            size_t limit, glot_error *err)
{
    size_t capacity = 0, length = 0;
    /* Two bytes more than expected: the zero byte, and room for the read that finds the end. */
    size_t need = (expected ? expected : FIRST_READ_BYTES) + 2;
    for (;;) {
        GLOT_TRY(glot_grow(data, &capacity, need, 1, path, err));
        ssize_t got = read_some(fd, *data + length, capacity - length - 1);
        if (got < 0)
            return glot_fail_errno(err, errno, "read", path);
        if (got == 0)
            break;
        length += (size_t)got;
        if (length > limit)
            return GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' has more than %zu bytes, the most that is read here",
                             path, limit);
        need = length + 2;
    }
    (*data)[length] = '\0';
    *size = length;
    return GLOT_OK;
}

glot_status glot_file_read(char **data, size_t *size, const char *path, size_t limit, glot_error *err)
{
    int fd;
    struct stat info;
    GLOT_TRY(open_for_reading(&fd, &info, path, err));
    char *bytes = NULL;
    size_t n = 0;
    size_t expected = S_ISREG(info.st_mode) && info.st_size > 0 ? (size_t)info.st_size : 0;
    glot_status status = GLOT_OK;
    if (expected > limit)
        status = GLOT_FAIL(err, GLOT_BAD_FORMAT, "'%s' has %zu bytes, at most %zu are read here", path,
                           expected, limit);
    else
        status = read_all(&bytes, &n, fd, expected, path, limit, err);
    close(fd);
    if (status != GLOT_OK) {
        glot_free(bytes);
        return status;
    }
    *data = bytes;
    *size = n;
    return GLOT_OK;
}

/* Writing. */

struct glot_writer {
    int fd;
    char *path;      /* where the file goes, symbolic links resolved */
    char *temporary; /* beside it */
    char *folder;
    uint8_t *buffer; /* [BUFFER_BYTES] */
    size_t used;     /* bytes in it */
    uint64_t bytes;  /* given to glot_writer_write so far */
    glot_sha256 *hash;
    glot_error failure; /* the first one; status GLOT_OK: none yet */
};

static void writer_free(glot_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    glot_sha256_free(w->hash);
    glot_free(w->path);
    glot_free(w->temporary);
    glot_free(w->folder);
    glot_free(w->buffer);
    glot_free(w);
}

/* Where a symbolic link leads, so that the link stays; `path` itself where it is none or leads nowhere. NULL:
 * no memory. */
static char *resolve_link(const char *path)
{
    char *target = realpath(path, NULL);
    char *copy = glot_strdup(target ? target : path);
    free(target);
    return copy;
}

static glot_status writer_names(glot_writer *w, const char *path, glot_error *err)
{
    size_t room = strlen(path) + 32;
    w->path = resolve_link(path);
    if (w->path) {
        room = strlen(w->path) + 32;
        w->folder = glot_path_dir(w->path);
        w->temporary = glot_calloc(room, 1);
    }
    if (!w->path || !w->folder || !w->temporary)
        return GLOT_FAIL(err, GLOT_NOMEM, "no memory for writing '%s'", path);
    snprintf(w->temporary, room, "%s.tmp-%ld", w->path, (long)getpid());
    return GLOT_OK;
}

static glot_status writer_prepare(glot_writer *w, const char *path, glot_error *err)
{
    struct stat info;
    GLOT_TRY(writer_names(w, path, err));
    if (stat(w->path, &info) == 0 && !S_ISREG(info.st_mode))
        return GLOT_FAIL(err, GLOT_EXISTS, "cannot write '%s': a %s of that name is in the way", path,
                         S_ISDIR(info.st_mode) ? "folder" : "device or pipe");
    GLOT_TRY(glot_new(&w->buffer, BUFFER_BYTES, 1, "a write buffer", err));
    GLOT_TRY(glot_sha256_create(&w->hash, err));
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (w->fd >= 0)
        return GLOT_OK;
    int error = errno;
    glot_status status = glot_fail_errno(err, error, "create", path);
    if (status == GLOT_NOT_FOUND) /* an output without a folder is no bad input file */
        return GLOT_FAIL(err, GLOT_IO, "cannot create '%s': its folder does not exist", path);
    return status;
}

glot_status glot_writer_open(glot_writer **out, const char *path, glot_error *err)
{
    glot_writer *w = NULL;
    GLOT_TRY(glot_new(&w, 1, sizeof *w, "a file writer", err));
    w->fd = -1;
    glot_status status = writer_prepare(w, path, err);
    if (status != GLOT_OK) {
        writer_free(w);
        return status;
    }
    *out = w;
    return GLOT_OK;
}

/* Passes the kept failure on. */
static glot_status kept_failure(const glot_writer *w, glot_error *err)
{
    if (err && w->failure.status != GLOT_OK)
        *err = w->failure;
    return w->failure.status;
}

/* Keeps the failure of a system call on the writer's file; `wanted` bytes could not be put down. */
static void keep_failure(glot_writer *w, int error, const char *doing, size_t wanted)
{
    if (error == ENOSPC || error == EDQUOT)
        GLOT_FAIL(&w->failure, GLOT_NO_SPACE,
                  "cannot %s '%s': %s, %zu more bytes wanted of the %" PRIu64 " given so far", doing, w->path,
                  error == ENOSPC ? "no space left on the disk" : "the disk quota is used up", wanted,
                  w->bytes);
    else
        glot_fail_errno(&w->failure, error, doing, w->path);
}

static void write_out(glot_writer *w, const uint8_t *bytes, size_t n)
{
    while (n && w->failure.status == GLOT_OK) {
        ssize_t done = try_write(w->fd, bytes, n < MAX_CALL_BYTES ? n : MAX_CALL_BYTES);
        if (done < 0) {
            if (errno != EINTR)
                keep_failure(w, errno, "write", n);
            continue;
        }
        bytes += done;
        n -= (size_t)done;
    }
}

static void flush(glot_writer *w)
{
    write_out(w, w->buffer, w->used);
    w->used = 0;
}

glot_status glot_writer_write(glot_writer *w, const void *bytes, size_t n, glot_error *err)
{
    if (w->failure.status != GLOT_OK || n == 0)
        return kept_failure(w, err);
    glot_sha256_update(w->hash, bytes, n);
    w->bytes += n;
    if (n > BUFFER_BYTES - w->used)
        flush(w);
    if (n >= BUFFER_BYTES) {
        write_out(w, bytes, n);
    } else {
        memcpy(w->buffer + w->used, bytes, n);
        w->used += n;
    }
    return kept_failure(w, err);
}

uint64_t glot_writer_bytes(const glot_writer *w)
{
    return w->bytes;
}

void glot_writer_sha256(glot_writer *w, char hex[65])
{
    glot_sha256_finish(w->hash, hex);
}

/* Brings the bytes to the disk and closes; what fails is kept. Closing can report a failed write (NFS), so it
 * counts too. */
static void finish_temporary(glot_writer *w)
{
    flush(w);
    if (w->failure.status == GLOT_OK && try_fsync(w->fd) != 0)
        keep_failure(w, errno, "flush", (size_t)w->bytes);
    if (close(w->fd) != 0 && w->failure.status == GLOT_OK)
        keep_failure(w, errno, "close", (size_t)w->bytes);
    w->fd = -1;
    if (w->failure.status == GLOT_OK && try_rename(w->temporary, w->path) != 0)
        keep_failure(w, errno, "rename the new file to", (size_t)w->bytes);
}

glot_status glot_writer_commit(glot_writer *w, glot_error *err)
{
    finish_temporary(w);
    if (w->failure.status != GLOT_OK)
        unlink(w->temporary);
    else
        glot_dir_sync(w->folder, &w->failure);
    glot_status status = kept_failure(w, err);
    writer_free(w);
    return status;
}

void glot_writer_abandon(glot_writer *w)
{
    if (!w)
        return;
    unlink(w->temporary);
    writer_free(w);
}

glot_status glot_file_write(const char *path, const void *bytes, size_t n, glot_error *err)
{
    glot_writer *w = NULL;
    GLOT_TRY(glot_writer_open(&w, path, err));
    glot_writer_write(w, bytes, n, NULL); /* a failure is kept and comes out of commit */
    return glot_writer_commit(w, err);
}

glot_status glot_file_append(int fd, const void *bytes, size_t n, const char *path, glot_error *err)
{
    for (const uint8_t *next = bytes; n;) {
        ssize_t done = try_write(fd, next, n < MAX_CALL_BYTES ? n : MAX_CALL_BYTES);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return glot_fail_errno(err, errno, "write", path);
        next += done;
        n -= (size_t)done;
    }
    return GLOT_OK;
}

glot_status glot_file_sync(int fd, const char *path, glot_error *err)
{
    return try_fsync(fd) == 0 ? GLOT_OK : glot_fail_errno(err, errno, "flush", path);
}

/* Reads straight into the writer's empty buffer and writes it out from there. */
static glot_status copy_bytes(glot_writer *w, int fd, const char *from, glot_error *err)
{
    for (;;) {
        ssize_t got = read_some(fd, (char *)w->buffer, BUFFER_BYTES);
        if (got < 0)
            return glot_fail_errno(err, errno, "read", from);
        if (got == 0)
            return GLOT_OK;
        glot_sha256_update(w->hash, w->buffer, (size_t)got);
        w->bytes += (size_t)got;
        w->used = (size_t)got;
        flush(w);
        GLOT_TRY(kept_failure(w, err));
    }
}

glot_status glot_file_copy(const char *to, const char *from, glot_error *err)
{
    int fd;
    struct stat info;
    glot_writer *w = NULL;
    GLOT_TRY(open_for_reading(&fd, &info, from, err));
    glot_status status = glot_writer_open(&w, to, err);
    if (status == GLOT_OK)
        status = copy_bytes(w, fd, from, err);
    close(fd);
    if (status == GLOT_OK)
        return glot_writer_commit(w, err);
    glot_writer_abandon(w);
    return status;
}

glot_status glot_path_rename(const char *from, const char *to, glot_error *err)
{
    if (try_rename(from, to) == 0)
        return GLOT_OK;
    glot_status status = glot_fail_errno(err, errno, "rename to", to);
    return err ? glot_error_prefix(err, "'%s'", from) : status;
}

glot_status glot_dir_sync(const char *path, glot_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return glot_fail_errno(err, errno, "open the folder", path);
    /* EINVAL: a file system that cannot flush a folder; there is nothing more to be done for it. */
    glot_status status = GLOT_OK;
    if (try_fsync(fd) != 0 && errno != EINVAL)
        status = glot_fail_errno(err, errno, "flush the folder", path);
    close(fd);
    return status;
}
