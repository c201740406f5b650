// Kernel buffers of a listening socket of this process, which connections inherit.
#ifndef GRANARY_IO_LISTENER_H_
#define GRANARY_IO_LISTENER_H_

#include <cstdint>

#include "base/status.h"

namespace granary {

// Sets SO_RCVBUF and SO_SNDBUF of the TCP socket that listens on `port`. kNotFound when this process has
// none.
Status TuneListener(uint16_t port, int receive_bytes, int send_bytes);

}  // namespace granary

#endif  // GRANARY_IO_LISTENER_H_
