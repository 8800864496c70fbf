/* file.h
 *
 * Files: mapping, reading whole, writing so that a reader sees the old file or the new one and never a half
 * (written beside as NAME.tmp-PID, fsynced, renamed, the folder fsynced), and SHA-256 (libcrypto). Messages
 * name the path.
 */
#ifndef GLOT_BASE_FILE_H
#define GLOT_BASE_FILE_H

#include "base/error.h"

/* A whole file mapped read-only. `data` is NULL where size is 0. Zero it to start. */
typedef struct glot_map {
    const uint8_t *data;
    size_t size; /* bytes */
} glot_map;
glot_status glot_map_open(glot_map *map, const char *path, glot_error *err);
/* Lets go of the memory that holds what was read so far; what is read again comes back from the file. */
void glot_map_forget(const glot_map *map);
void glot_map_close(glot_map *map);

/* Reads a whole file (at most `limit` bytes, else GLOT_BAD_FORMAT) into new memory with a zero byte behind
 * it; the caller frees *data with glot_free. */
glot_status glot_file_read(char **data, size_t *size, const char *path, size_t limit, glot_error *err);

/* An atomic writer. open: creates the temporary file (a symbolic link is followed, anything else that is no
 * regular file is refused: GLOT_EXISTS) and makes all its heap calls; write: appends (errors, disk full
 * included, are kept and returned again by commit; a full disk is GLOT_NO_SPACE with the bytes wanted);
 * commit: flushes, fsyncs, renames over `path`, fsyncs the folder; abandon: removes the temporary file. */
typedef struct glot_writer glot_writer;
glot_status glot_writer_open(glot_writer **out, const char *path, glot_error *err);
glot_status glot_writer_write(glot_writer *w, const void *bytes, size_t n, glot_error *err);
/* Bytes written so far, and their SHA-256 as 64 hex digits + zero (valid before commit or abandon). */
uint64_t glot_writer_bytes(const glot_writer *w);
void glot_writer_sha256(glot_writer *w, char hex[65]);
glot_status glot_writer_commit(glot_writer *w, glot_error *err); /* frees w, success or not */
void glot_writer_abandon(glot_writer *w);                        /* frees w; NULL is allowed */
/* All three at once. */
glot_status glot_file_write(const char *path, const void *bytes, size_t n, glot_error *err);

/* A file that grows, open for appending: all of the bytes go behind its end (where that fails, a part of them
 * may be there); bring what was appended to the disk. The caller owns `fd`; `path` names it in messages. */
glot_status glot_file_append(int fd, const void *bytes, size_t n, const char *path, glot_error *err);
glot_status glot_file_sync(int fd, const char *path, glot_error *err);

/* SHA-256, incremental and of whole things; hex gets 64 digits + zero. */
typedef struct glot_sha256 glot_sha256;
glot_status glot_sha256_create(glot_sha256 **out, glot_error *err);
void glot_sha256_update(glot_sha256 *h, const void *bytes, size_t n);
void glot_sha256_finish(glot_sha256 *h, char hex[65]); /* the hash so far; update may go on afterwards */
void glot_sha256_free(glot_sha256 *h);
glot_status glot_sha256_file(char hex[65], const char *path, glot_error *err);

/* Fails as a system call did: "cannot DOING 'PATH': what errno means". A missing file is GLOT_NOT_FOUND, a
 * full disk GLOT_NO_SPACE, no memory GLOT_NOMEM, anything else GLOT_IO. */
glot_status glot_fail_errno(glot_error *err, int error, const char *doing, const char *path);

/* Tests: the n-th call from now of write, fsync or rename (1 = the next one) fails with errno `error`, or
 * kills the process (SIGKILL) where `error` is GLOT_FAULT_KILL, or (a write) takes only half of the bytes
 * where it is GLOT_FAULT_SHORT; n = 0 turns it off. glot_file_calls counts these calls. */
enum { GLOT_FAULT_KILL = -1, GLOT_FAULT_SHORT = -2 };
void glot_file_fail_after(uint64_t n, int error);
uint64_t glot_file_calls(void);

/* Paths. NULL where memory ends. join: DIR/NAME, or NAME alone where it is absolute or DIR is empty; the
 * caller frees. */
char *glot_path_join(const char *dir, const char *name);
char *glot_path_dir(const char *path);          /* "a/b" -> "a", "b" -> "."; the caller frees */
/* The same place without "." and, where the folder before it is no symbolic link, without ".."; the caller
 * frees. */
char *glot_path_tidy(const char *path);
const char *glot_path_base(const char *path); /* points into path; a slash at its end stays: "a/b/" -> "b/" */
bool glot_path_exists(const char *path);
bool glot_path_is_dir(const char *path);
/* Whether a folder has NAME, which may have folders of its own in it. */
bool glot_dir_has(const char *dir, const char *name);
glot_status glot_dir_make(const char *path, glot_error *err);          /* with parents; existing is fine */
glot_status glot_dir_sync(const char *path, glot_error *err);          /* fsync of the folder itself */
/* A file or folder under another name on the same file system; a file of that name is replaced. Flushes
 * nothing. */
glot_status glot_path_rename(const char *from, const char *to, glot_error *err);
glot_status glot_dir_remove(const char *path, glot_error *err); /* with everything in it; missing is fine */
glot_status glot_file_copy(const char *to, const char *from, glot_error *err); /* atomic as above */
/* Names in a folder without "." and "..", sorted; the caller frees with glot_dir_list_free. */
glot_status glot_dir_list(char ***names, size_t *n, const char *path, glot_error *err);
void glot_dir_list_free(char **names, size_t n);
/* Bytes free for this user on the file system that holds `path` (its nearest existing parent). */
glot_status glot_disk_free(uint64_t *bytes, const char *path, glot_error *err);

#endif
