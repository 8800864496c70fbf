/* sha256.c: SHA-256 by libcrypto, which uses the processor's own instructions where it has them. */
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

enum { DIGEST_BYTES = 32, READ_BYTES = 1 << 20 };

struct glot_sha256 {
    EVP_MD_CTX *running;
    EVP_MD_CTX *copy; /* finishing destroys a context: finish works on a copy so that update may go on */
};

glot_status glot_sha256_create(glot_sha256 **out, glot_error *err)
{
    glot_sha256 *h = NULL;
    GLOT_TRY(glot_new(&h, 1, sizeof *h, "a SHA-256", err));
    h->running = EVP_MD_CTX_new();
    h->copy = EVP_MD_CTX_new();
    if (!h->running || !h->copy || EVP_DigestInit_ex(h->running, EVP_sha256(), NULL) != 1) {
        glot_sha256_free(h);
        return GLOT_FAIL(err, GLOT_NOMEM, "libcrypto cannot start a SHA-256");
    }
    *out = h;
    return GLOT_OK;
}

void glot_sha256_update(glot_sha256 *h, const void *bytes, size_t n)
{
    if (n)
        GLOT_ASSERT(EVP_DigestUpdate(h->running, bytes, n) == 1);
}

void glot_sha256_finish(glot_sha256 *h, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[DIGEST_BYTES];
    GLOT_ASSERT(EVP_MD_CTX_copy_ex(h->copy, h->running) == 1);
    GLOT_ASSERT(EVP_DigestFinal_ex(h->copy, digest, NULL) == 1);
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * DIGEST_BYTES] = '\0';
}

void glot_sha256_free(glot_sha256 *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->running);
    EVP_MD_CTX_free(h->copy);
    glot_free(h);
}

static glot_status update_from_fd(glot_sha256 *h, int fd, uint8_t *buffer, const char *path, glot_error *err)
{
    for (;;) {
        ssize_t got = read(fd, buffer, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return glot_fail_errno(err, errno, "read", path);
        if (got == 0)
            return GLOT_OK;
        glot_sha256_update(h, buffer, (size_t)got);
    }
}

glot_status glot_sha256_file(char hex[65], const char *path, glot_error *err)
{
    glot_status status = GLOT_OK;
    glot_sha256 *h = NULL;
    uint8_t *buffer = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return glot_fail_errno(err, errno, "open", path);
    GLOT_TRY_OUT(glot_new(&buffer, READ_BYTES, 1, "a read buffer", err));
    GLOT_TRY_OUT(glot_sha256_create(&h, err));
    GLOT_TRY_OUT(update_from_fd(h, fd, buffer, path, err));
    glot_sha256_finish(h, hex);
out:
    close(fd);
    glot_free(buffer);
    glot_sha256_free(h);
    return status;
}
