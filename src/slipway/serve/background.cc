#include "slipway/serve/background.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace slipway {

void EnterBackground(const char* name, int nice) {
  ::pthread_setname_np(::pthread_self(), name);
  const sched_param none{};
  // Both are hints: a system that refuses them only loses the smoothness.
  (void)::sched_setscheduler(0, SCHED_BATCH, &none);  // Linux: 0 is the calling thread
  if (nice > 0) (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), nice);
}

}  // namespace slipway
