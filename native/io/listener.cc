#include "io/listener.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string>

namespace granary {
namespace {

bool IsListenerOn(int descriptor, uint16_t port) {
  int is_listening = 0;
  socklen_t size = sizeof is_listening;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) != 0) return false;
  if (is_listening == 0) return false;
  sockaddr_storage address{};
  size = sizeof address;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return false;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port) == port;
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port) == port;
  return false;
}

}  // namespace

Status TuneListener(uint16_t port, int receive_bytes, int send_bytes) {
  DIR* descriptors = opendir("/proc/self/fd");
  if (descriptors == nullptr) {
    return Status(Code::kUnsupported, "the descriptors of this process cannot be listed");
  }
  Status status(Code::kNotFound, "no socket of this process listens on port " + std::to_string(port));
  while (const dirent* entry = readdir(descriptors)) {
    const int descriptor = std::atoi(entry->d_name);
    if (descriptor <= 2 || !IsListenerOn(descriptor, port)) continue;
    const bool is_set =
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes) == 0 &&
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof send_bytes) == 0;
    const std::string what = "buffers of port " + std::to_string(port);
    status = is_set ? Status::Ok() : Status(Code::kIo, what + " cannot be set");
  }
  closedir(descriptors);
  return status;
}

}  // namespace granary
