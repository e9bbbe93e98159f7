#include "engine/tls/wire_bio.h"

#include <algorithm>
#include <cstring>

#include "config/check.h"

namespace postrider::tls {
namespace {

WireEnds& EndsOf(BIO* bio) { return *static_cast<WireEnds*>(BIO_get_data(bio)); }

int Write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  WireEnds& ends = EndsOf(bio);
  CHECK(ends.out != nullptr);
  ends.out->append(data, static_cast<std::size_t>(size));
  return size;
}

int Read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  WireEnds& ends = EndsOf(bio);
  if (size <= 0) return 0;
  if (ends.in.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(ends.in.size(), static_cast<std::size_t>(size));
  std::memcpy(data, ends.in.data(), taken);
  ends.in = ends.in.subspan(taken);
  return static_cast<int>(taken);
}

long Control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* MakeMethod() {
  BIO_METHOD* method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");
  CHECK(method != nullptr);
  BIO_meth_set_write(method, Write);
  BIO_meth_set_read(method, Read);
  BIO_meth_set_ctrl(method, Control);
  return method;
}

}  // namespace

bssl::UniquePtr<BIO> MakeWireBio(WireEnds& ends) {
  // Immutable once made, so all cores may share it; it lives as long as the program.
  static const BIO_METHOD* const method = MakeMethod();
  bssl::UniquePtr<BIO> bio(BIO_new(method));
  if (bio) {
    BIO_set_data(bio.get(), &ends);
    BIO_set_init(bio.get(), 1);
  }
  return bio;
}

}  // namespace postrider::tls
