#include "engine/observe/admin_access.h"

#include <gtest/gtest.h>

#include <vector>

namespace postrider::observe {
namespace {

const std::vector<std::string> kOwn = {"mail.example.org"};

TEST(AdminAccess, TakesItsOwnNamesAndAnyAddress) {
  for (const std::string_view host : {"127.0.0.1", "127.0.0.1:8025", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8025",
                                      "192.0.2.1:80", "mail.example.org", "Mail.Example.Org:8025"}) {
    EXPECT_TRUE(IsOwnHost(host, kOwn)) << host;
  }
}

TEST(AdminAccess, RefusesOtherHosts) {
  for (const std::string_view host :
       {"", ":80", "evil.example", "evil.example:8025", "127.0.0.1.evil.example", "localhost.evil.example",
        "localhost:", "localhost:x", "127.0.0.1:80:80", "[::1", "[evil.example]", "[127.0.0.1]", "[::1]x",
        "[::1]:", "mail.example.org.", "example.org", "::1", "localhost:999999"}) {
    EXPECT_FALSE(IsOwnHost(host, kOwn)) << host;
  }
}

TEST(AdminAccess, TakesOnlyItsOwnPagesAsOrigin) {
  EXPECT_TRUE(IsOwnOrigin("http://127.0.0.1:8025", "127.0.0.1:8025"));
  EXPECT_TRUE(IsOwnOrigin("http://LOCALHOST:8025", "localhost:8025"));
  for (const std::string_view origin :
       {"", "null", "http://evil.example", "http://127.0.0.1:8026", "https://127.0.0.1:8025", "http://127.0.0.1:8025/",
        "http://127.0.0.1", "127.0.0.1:8025"}) {
    EXPECT_FALSE(IsOwnOrigin(origin, "127.0.0.1:8025")) << origin;
  }
  EXPECT_FALSE(IsOwnOrigin("http://", ""));
}

}  // namespace
}  // namespace postrider::observe
