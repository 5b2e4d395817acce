/* A disk that records what is done to it, and fails when it is told to. LD_PRELOAD it.

   Environment: DISK_ROOT  folder whose files are watched (the path of files is compared with it)
                DISK_LOG   file to which operations are appended, in their order; unset: no recording
   Functions:   disk_fault(kind, at, times)  from the at-th call after this on, so many calls fail
                disk_stall(ms)               each sync takes so long
   Kinds: 1 EIO, 2 ENOSPC, 3 EDQUOT, 4 short write (half of it is written; other calls fail with EIO).
   Watched calls: open with O_CREAT, write, pwrite, ftruncate, fsync, fdatasync, rename, mkdir, unlink.
   Log: a line `OP path numbers`, after W the bytes. C create, W write, T truncate, S sync, U unlink,
   R rename, M mkdir. Paths hold no blanks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES 4096
static char *paths[FILES];
static int log_fd = -1;
static const char *root;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long fault_at = -1, fault_times, calls;
static int fault_kind;
static useconds_t stall;

#define REAL(name, ...) ((__typeof__(&name))real(#name))(__VA_ARGS__)
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    root = getenv("DISK_ROOT");
    const char *log = getenv("DISK_LOG");
    if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void disk_fault(int kind, long at, long times) { fault_kind = kind; fault_at = at; fault_times = times; calls = 0; }
void disk_stall(int ms) { stall = (useconds_t)ms * 1000; }
long disk_calls(void) { return calls; }

static int watched(const char *path) {
    return root && path && !strncmp(path, root, strlen(root)) && !strstr(path, "/reserve");
}
static const char *of(int fd) { return fd >= 0 && fd < FILES ? paths[fd] : NULL; }

static void note(const void *bytes, size_t length, const char *format, ...) {
    char line[2 * PATH_MAX];
    if (log_fd < 0) return;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    syscall(SYS_write, log_fd, line, (size_t)size);
    if (bytes) syscall(SYS_write, log_fd, bytes, length);
}

/* 0: go on; else the kind of the fault that this call has. What the workload notes down never fails. */
static int fails(const char *path) {
    if (strstr(path, "/said")) return 0;
    long number = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (fault_at < 0 || number < fault_at || number >= fault_at + fault_times) return 0;
    errno = fault_kind == 2 ? ENOSPC : fault_kind == 3 ? EDQUOT : EIO;
    return fault_kind;
}

static int opened(const char *path, int flags, mode_t mode) {
    if (!watched(path)) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    struct stat there;
    pthread_mutex_lock(&mutex);
    int is_new = (flags & O_CREAT) && stat(path, &there) != 0, fd = -1;
    if (!is_new || !fails(path)) fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && fd < FILES) {
        free(paths[fd]);
        paths[fd] = strdup(path);
        if (is_new) note(NULL, 0, "C %s\n", path);
        if (flags & O_TRUNC) note(NULL, 0, "T %s 0\n", path);
    }
    int error = errno;
    pthread_mutex_unlock(&mutex);
    errno = error;
    return fd;
}
#define OPEN(name) int name(const char *path, int flags, ...) { \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, flags); mode = (mode_t)va_arg(a, int); va_end(a); } \
    return opened(path, flags, mode); }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (fd >= 0 && fd < FILES && paths[fd]) { free(paths[fd]); paths[fd] = NULL; }
    return REAL(close, fd);
}

static ssize_t written(int fd, const void *bytes, size_t length, off_t offset) {
    const char *path = of(fd);
    if (!path) return offset < 0 ? REAL(write, fd, bytes, length) : REAL(pwrite, fd, bytes, length, offset);
    int kind = fails(path);
    if (kind && (kind != 4 || length < 2)) return -1;
    if (kind) length /= 2;
    pthread_mutex_lock(&mutex);
    off_t at = offset < 0 ? lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR) : offset;
    ssize_t done = offset < 0 ? REAL(write, fd, bytes, length) : REAL(pwrite, fd, bytes, length, offset);
    if (done > 0) note(bytes, (size_t)done, "W %s %lld %lld\n", path, (long long)at, (long long)done);
    pthread_mutex_unlock(&mutex);
    return done;
}
ssize_t write(int fd, const void *bytes, size_t length) { return written(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return written(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return written(fd, bytes, length, at); }

#define LOGGED(call, ...) do { \
    pthread_mutex_lock(&mutex); int done = call; if (!done) note(NULL, 0, __VA_ARGS__); \
    int error = errno; pthread_mutex_unlock(&mutex); errno = error; return done; } while (0)

#define TRUNCATE(name) int name(int fd, off_t length) { \
    const char *path = of(fd); \
    if (!path) return REAL(name, fd, length); \
    if (fails(path)) return -1; \
    LOGGED(REAL(name, fd, length), "T %s %lld\n", path, (long long)length); }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define SYNC(name) int name(int fd) { \
    const char *path = of(fd); \
    if (!path) return REAL(name, fd); \
    if (stall) usleep(stall); \
    if (fails(path)) return -1; \
    LOGGED(REAL(name, fd), "S %s\n", path); }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    if (!watched(path)) return REAL(unlink, path);
    if (fails(path)) return -1;
    LOGGED(REAL(unlink, path), "U %s\n", path);
}
int rename(const char *from, const char *to) {
    if (!watched(from)) return REAL(rename, from, to);
    if (fails(from)) return -1;
    LOGGED(REAL(rename, from, to), "R %s %s\n", from, to);
}
int mkdir(const char *path, mode_t mode) {
    if (!watched(path)) return REAL(mkdir, path, mode);
    if (fails(path)) return -1;
    LOGGED(REAL(mkdir, path, mode), "M %s\n", path);
}
