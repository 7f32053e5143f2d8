// Stands in for a file server that machines see late, and for a clock that is off. Preloaded (LD_PRELOAD) into every process
// that uses the folder; environment variables say what it does:
//   HOLDFAST_FAKE_SERVER   the folder that the server has: an absolute path that is there; none: all files are as they are
//   HOLDFAST_FAKE_CLIENT   number of the machine that a process is of; none: each process is one
//   HOLDFAST_FAKE_LATE_MS  the most milliseconds after which a machine sees what another one has made or renamed. Each name
//                          has its own delay on each machine; until then it is not found, and lists leave it out
//   HOLDFAST_FAKE_LIES     per cent of the renamings that are done and said to have found nothing: the answer was lost, and
//                          the client asked again
//   HOLDFAST_FAKE_SEED     a number that delays and lies are drawn with
//   HOLDFAST_FAKE_CLOCK    seconds by which this process's clock is ahead; that of files, which is the kernel's, is right
//   HOLDFAST_FAKE_CLOCK_FILE  a file that says how many more seconds those are, asked each time: a clock that jumps when the file
//                          is replaced; none while it is not there
// As on NFS, a machine that asks the server itself is told the truth: making what is there already fails, and it is seen then.
// What lies in a folder that was renamed later is seen with it, since nobody has looked into that one before.
#undef _FORTIFY_SOURCE
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// The function that this one stands before.
#define REAL(name)                                                         \
  ({                                                                       \
    static __typeof__(&name) found;                                        \
    if (found == NULL) found = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    found;                                                                 \
  })

enum { kClientBits = 22, kSlots = 1 << 20 };

// What all processes know of names, in a file beside the server's folder: who made or renamed a file or folder last, and when.
// A naming is milliseconds and client in one number, so that both change at once.
struct Slot {
  _Atomic uint64_t key;
  _Atomic uint64_t naming;
};

static struct {
  atomic_bool ready;
  char folder[PATH_MAX];  // empty: none
  size_t length;
  uint64_t client, late, lies, seed;
  dev_t device;
  int names;
  struct Slot* slots;
} server;

static uint64_t number(const char* name) {
  const char* text = getenv(name);
  return text == NULL ? 0 : strtoull(text, NULL, 10);
}

static uint64_t mixed(uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

static uint64_t milliseconds(void) {
  struct timespec now;
  REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void fail(const char* what) {
  dprintf(STDERR_FILENO, "fake file server: %s: %s\n", what, strerror(errno));
  _exit(70);
}

// Before there are threads.
__attribute__((constructor)) static bool begun(void) {
  if (server.ready) return server.length > 0;
  const char* folder = getenv("HOLDFAST_FAKE_SERVER");
  struct stat status;
  if (folder != NULL && REAL(stat)(folder, &status) == 0) {
    char names[PATH_MAX];
    snprintf(names, sizeof names, "%s.names", folder);
    const int low = REAL(open)(names, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    server.names = fcntl(low, F_DUPFD_CLOEXEC, 100);  // out of the way of programs that count on numbers
    close(low);
    if (server.names < 0 || ftruncate(server.names, kSlots * sizeof(struct Slot)) != 0) fail(names);
    server.slots = mmap(NULL, kSlots * sizeof(struct Slot), PROT_READ | PROT_WRITE, MAP_SHARED, server.names, 0);
    if (server.slots == MAP_FAILED) fail(names);
    server.device = status.st_dev;
    server.late = number("HOLDFAST_FAKE_LATE_MS");
    server.lies = number("HOLDFAST_FAKE_LIES");
    server.seed = mixed(number("HOLDFAST_FAKE_SEED"));
    server.client = number("HOLDFAST_FAKE_CLIENT");
    strcpy(server.folder, folder);
    server.length = strlen(folder);
  }
  server.ready = true;
  return server.length > 0;
}

static uint64_t client(void) { return (server.client != 0 ? server.client : (uint64_t)getpid()) & ((1 << kClientBits) - 1); }

// The place of a key, which is made where it is new.
static _Atomic uint64_t* naming_of(uint64_t key) {
  for (uint64_t at = mixed(key);; ++at) {
    struct Slot* slot = &server.slots[at % kSlots];
    uint64_t none = 0;
    if (slot->key == key || atomic_compare_exchange_strong(&slot->key, &none, key) || none == key) return &slot->naming;
  }
}

static uint64_t inode(const char* path) {
  struct stat status;
  return REAL(lstat)(path, &status) == 0 ? status.st_ino : 0;
}

static uint64_t naming_now(void) { return milliseconds() << kClientBits | client(); }

// What this client was told of a file or folder when it asked the server.
static _Atomic uint64_t* told_of(uint64_t file) { return naming_of(mixed(client() << 40 ^ file)); }

static bool is_late(uint64_t folder, uint64_t file) {
  const uint64_t naming = *naming_of(file);
  if (naming == 0 || (naming & ((1 << kClientBits) - 1)) == client()) return false;
  const uint64_t age = milliseconds() - (naming >> kClientBits);
  if (age >= server.late || age >= mixed(server.seed ^ mixed(client() << 40 ^ file)) % server.late) return false;
  if (*naming_of(folder) >> kClientBits >= naming >> kClientBits) return false;  // it came with that one
  return *told_of(file) != naming;
}

// Whether the server has the path, which becomes absolute and plain.
static bool is_served(int folder, const char* path, char* plain) {
  const int reason = errno;
  if (!begun()) return false;
  char whole[2 * PATH_MAX] = "";
  if (path[0] != '/') {
    char link[64] = "/proc/self/cwd";
    if (folder != AT_FDCWD) snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    const ssize_t count = readlink(link, whole, PATH_MAX - 1);
    whole[count < 0 ? 0 : count] = 0;
    errno = reason;
    strcat(whole, "/");
  }
  if (strlen(whole) + strlen(path) >= PATH_MAX) return false;
  strcat(whole, path);
  char* end = plain;
  char* rest = NULL;
  for (char* part = strtok_r(whole, "/", &rest); part != NULL; part = strtok_r(NULL, "/", &rest)) {
    if (strcmp(part, ".") == 0) continue;
    if (strcmp(part, "..") == 0) {
      while (end > plain && *--end != '/') continue;
    } else {
      *end++ = '/';
      end = stpcpy(end, part);
    }
  }
  *end = 0;
  return strncmp(plain, server.folder, server.length) == 0 && plain[server.length] == '/';
}

// Whether this client does not see yet what a plain path names, or a folder above it.
static bool is_hidden(const char* plain, bool itself) {
  const int reason = errno;
  char above[PATH_MAX];
  strcpy(above, plain);
  uint64_t folder = inode(server.folder);
  bool late = false;
  for (char* end = above + server.length; !late && end != NULL;) {
    char* const next = strchr(end + 1, '/');
    if (next == NULL && !itself) break;
    if (next != NULL) *next = 0;
    const uint64_t file = inode(above);
    if (file == 0) break;  // it is not there at all
    late = is_late(folder, file);
    if (next != NULL) *next = '/';
    folder = file;
    end = next;
  }
  errno = reason;
  return late;
}

// Whether looking there finds nothing, and errno says so.
static bool is_unseen(int folder, const char* path, bool itself) {
  char plain[PATH_MAX];
  if (!is_served(folder, path, plain) || !is_hidden(plain, itself)) return false;
  errno = ENOENT;
  return true;
}

// One renaming at a time, of all processes; whoever is killed lets go.
static void lock(bool take) {
  static atomic_flag mine = ATOMIC_FLAG_INIT;
  const int reason = errno;
  while (take && atomic_flag_test_and_set(&mine)) sched_yield();
  flock(server.names, take ? LOCK_EX : LOCK_UN);
  if (!take) atomic_flag_clear(&mine);
  errno = reason;
}

static void ask_server(const char* plain) {
  const int reason = errno;
  const uint64_t file = inode(plain);
  if (file != 0) *told_of(file) = *naming_of(file);
  errno = reason;
}

static bool lies(void) {
  static _Atomic uint64_t count;
  return mixed(server.seed ^ mixed((uint64_t)getpid() << 32 ^ ++count)) % 100 < server.lies;
}

// Looking.

int stat(const char* path, struct stat* status) { return is_unseen(AT_FDCWD, path, true) ? -1 : REAL(stat)(path, status); }
int stat64(const char* path, struct stat64* status) {
  return is_unseen(AT_FDCWD, path, true) ? -1 : REAL(stat64)(path, status);
}
int lstat(const char* path, struct stat* status) { return is_unseen(AT_FDCWD, path, true) ? -1 : REAL(lstat)(path, status); }
int lstat64(const char* path, struct stat64* status) {
  return is_unseen(AT_FDCWD, path, true) ? -1 : REAL(lstat64)(path, status);
}
int fstatat(int folder, const char* path, struct stat* status, int flags) {
  return path[0] != 0 && is_unseen(folder, path, true) ? -1 : REAL(fstatat)(folder, path, status, flags);
}
int fstatat64(int folder, const char* path, struct stat64* status, int flags) {
  return path[0] != 0 && is_unseen(folder, path, true) ? -1 : REAL(fstatat64)(folder, path, status, flags);
}
int statx(int folder, const char* path, int flags, unsigned mask, struct statx* status) {
  return path[0] != 0 && is_unseen(folder, path, true) ? -1 : REAL(statx)(folder, path, flags, mask, status);
}
int access(const char* path, int mode) { return is_unseen(AT_FDCWD, path, true) ? -1 : REAL(access)(path, mode); }
int faccessat(int folder, const char* path, int mode, int flags) {
  return is_unseen(folder, path, true) ? -1 : REAL(faccessat)(folder, path, mode, flags);
}
DIR* opendir(const char* path) { return is_unseen(AT_FDCWD, path, true) ? NULL : REAL(opendir)(path); }

// What programs call them that were built where glibc was older: libtorch brings a std::filesystem of its own.
int __xstat(int version, const char* path, struct stat* status) { return version < 0 ? -1 : stat(path, status); }
int __xstat64(int version, const char* path, struct stat64* status) { return version < 0 ? -1 : stat64(path, status); }
int __lxstat(int version, const char* path, struct stat* status) { return version < 0 ? -1 : lstat(path, status); }
int __lxstat64(int version, const char* path, struct stat64* status) { return version < 0 ? -1 : lstat64(path, status); }

static bool is_left_out(DIR* stream, uint64_t file) {
  const int reason = errno;
  struct stat status;
  const bool late =
      begun() && fstat(dirfd(stream), &status) == 0 && status.st_dev == server.device && is_late(status.st_ino, file);
  errno = reason;
  return late;
}
struct dirent* readdir(DIR* stream) {
  struct dirent* entry = REAL(readdir)(stream);
  while (entry != NULL && is_left_out(stream, entry->d_ino)) entry = REAL(readdir)(stream);
  return entry;
}
struct dirent64* readdir64(DIR* stream) {
  struct dirent64* entry = REAL(readdir64)(stream);
  while (entry != NULL && is_left_out(stream, entry->d_ino)) entry = REAL(readdir64)(stream);
  return entry;
}

// Opening, which may make a file.

struct Opening {
  char plain[PATH_MAX];
  bool served;
  bool makes;  // a file that was not there
};

static bool may_open(struct Opening* opening, int folder, const char* path, bool creates) {
  opening->makes = false;
  opening->served = is_served(folder, path, opening->plain);
  if (!opening->served) return true;
  if (is_hidden(opening->plain, !creates)) {
    errno = ENOENT;
    return false;
  }
  const int reason = errno;
  opening->makes = creates && inode(opening->plain) == 0;
  errno = reason;
  return true;
}

static void opened(const struct Opening* opening, int file) {
  const int reason = errno;
  struct stat status;
  if (opening->makes && file >= 0 && fstat(file, &status) == 0) *naming_of(status.st_ino) = naming_now();
  errno = reason;
}

#define OPEN(name, folder, path, flags, ...)                                    \
  mode_t mode = 0;                                                              \
  if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {             \
    va_list more;                                                               \
    va_start(more, flags);                                                      \
    mode = va_arg(more, mode_t);                                                \
    va_end(more);                                                               \
  }                                                                             \
  struct Opening opening;                                                       \
  if (!may_open(&opening, folder, path, ((flags)&O_CREAT) != 0)) return -1;     \
  const int file = REAL(name)(__VA_ARGS__, mode);                               \
  if (file < 0 && errno == EEXIST && opening.served) ask_server(opening.plain); \
  opened(&opening, file);                                                       \
  return file

int open(const char* path, int flags, ...) { OPEN(open, AT_FDCWD, path, flags, path, flags); }
int open64(const char* path, int flags, ...) { OPEN(open64, AT_FDCWD, path, flags, path, flags); }
int openat(int folder, const char* path, int flags, ...) { OPEN(openat, folder, path, flags, folder, path, flags); }
int openat64(int folder, const char* path, int flags, ...) { OPEN(openat64, folder, path, flags, folder, path, flags); }

#define FOPEN(name)                                                     \
  struct Opening opening;                                               \
  if (!may_open(&opening, AT_FDCWD, path, mode[0] != 'r')) return NULL; \
  FILE* const file = REAL(name)(path, mode);                            \
  opened(&opening, file == NULL ? -1 : fileno(file));                   \
  return file

FILE* fopen(const char* path, const char* mode) { FOPEN(fopen); }
FILE* fopen64(const char* path, const char* mode) { FOPEN(fopen64); }

// Making and renaming.

// Beside the server first, so that nobody sees it there before it is known who made it.
int mkdir(const char* path, mode_t mode) {
  static _Atomic uint64_t count;
  char plain[PATH_MAX], beside[2 * PATH_MAX];
  if (!is_served(AT_FDCWD, path, plain)) return REAL(mkdir)(path, mode);
  if (is_unseen(AT_FDCWD, path, false)) return -1;
  snprintf(beside, sizeof beside, "%s.%d.%lu", server.folder, getpid(), (unsigned long)++count);
  if (REAL(mkdir)(beside, mode) != 0) fail(beside);
  *naming_of(inode(beside)) = naming_now();
  if (REAL(renameat2)(AT_FDCWD, beside, AT_FDCWD, plain, RENAME_NOREPLACE) == 0) return 0;
  const int reason = errno;
  rmdir(beside);
  errno = reason;
  if (reason == EEXIST) ask_server(plain);
  return -1;
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  char source[PATH_MAX], target[PATH_MAX];
  if (!is_served(from_folder, from, source) || !is_served(to_folder, to, target)) {
    return REAL(renameat2)(from_folder, from, to_folder, to, flags);
  }
  if (is_hidden(source, true) || is_hidden(target, false)) {
    errno = ENOENT;
    return -1;
  }
  lock(true);
  const uint64_t file = inode(source);
  const uint64_t before = *naming_of(file);
  if (file != 0) *naming_of(file) = naming_now();  // nobody sees it there first and then no longer
  const bool done = REAL(renameat2)(from_folder, from, to_folder, to, flags) == 0;
  if (!done && file != 0) *naming_of(file) = before;
  if (!done && (errno == EEXIST || errno == ENOTEMPTY)) ask_server(target);
  lock(false);
  if (!done) return -1;
  if (!lies()) return 0;
  errno = ENOENT;
  return -1;
}
int renameat(int from_folder, const char* from, int to_folder, const char* to) {
  return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

// The clock.

static time_t jumped(const char* file) {
  char text[32] = "";
  const int reason = errno;
  const int jump = REAL(open)(file, O_RDONLY | O_CLOEXEC);
  if (jump >= 0) {
    if (read(jump, text, sizeof text - 1) < 0) fail(file);
    close(jump);
  }
  errno = reason;
  return (time_t)strtoll(text, NULL, 10);
}

static time_t ahead(void) {
  static const char *text, *file;
  static atomic_bool known;
  if (!known) {
    text = getenv("HOLDFAST_FAKE_CLOCK");
    file = getenv("HOLDFAST_FAKE_CLOCK_FILE");
    known = true;
  }
  return (text == NULL ? 0 : (time_t)strtoll(text, NULL, 10)) + (file == NULL ? 0 : jumped(file));
}
int clock_gettime(clockid_t clock, struct timespec* now) {
  const int done = REAL(clock_gettime)(clock, now);
  if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
  return done;
}
int gettimeofday(struct timeval* now, void* zone) {
  const int done = REAL(gettimeofday)(now, zone);
  if (done == 0) now->tv_sec += ahead();
  return done;
}
time_t time(time_t* now) {
  const time_t is = REAL(time)(NULL) + ahead();
  if (now != NULL) *now = is;
  return is;
}
int timespec_get(struct timespec* now, int base) {
  const int done = REAL(timespec_get)(now, base);
  if (done == TIME_UTC) now->tv_sec += ahead();
  return done;
}
