// Preloaded into a process: once the file named by SLIPWAY_FAILING_MALLOC holds a number N > 0 (an int32, this machine's order), one in
// about N allocations fails, and every other one of 64 KiB and more, in every thread but the main one. Test of what a process does
// without memory.
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static volatile int32_t* one_in;

__attribute__((constructor)) static void Open(void) {
  const char* path = getenv("SLIPWAY_FAILING_MALLOC");
  const int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void* map = fd >= 0 ? mmap(NULL, sizeof *one_in, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
  if (map == MAP_FAILED) _exit(99);  // a test that injects nothing must not pass
  one_in = map;
}

static int Fails(size_t size) {
  static __thread uint64_t state __attribute__((tls_model("initial-exec")));
  const int32_t n = one_in != NULL ? *one_in : 0;
  if (n <= 0 || getpid() == gettid()) return 0;
  if (state == 0) state = (uint64_t)gettid() * 0x9E3779B97F4A7C15u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  if (state % (size >= 65536 ? 2 : (uint64_t)n) != 0) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return Fails(size) ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return Fails(size * count) ? NULL : __libc_calloc(count, size); }
void* realloc(void* old, size_t size) { return size != 0 && Fails(size) ? NULL : __libc_realloc(old, size); }
void* memalign(size_t alignment, size_t size) { return Fails(size) ? NULL : __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** out, size_t alignment, size_t size) {
  void* got = memalign(alignment, size);
  if (got == NULL) return ENOMEM;
  *out = got;
  return 0;
}
