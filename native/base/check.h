// Assertions that stay on in release: a broken invariant ends the process, and the ordinary start
// recovers (I10).
// Damage found on disk is never an assertion; it is Code::kCorrupt.
#ifndef GRANARY_BASE_CHECK_H_
#define GRANARY_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                      \
  do {                                                                                        \
    if (!(condition)) [[unlikely]] {                                                          \
      std::fprintf(stderr, "granary: invariant broken at %s:%d: %s\n", __FILE__, __LINE__,    \
                   #condition);                                                               \
      std::abort();                                                                           \
    }                                                                                         \
  } while (0)

#endif  // GRANARY_BASE_CHECK_H_
