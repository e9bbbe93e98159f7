#include "engine/core_unit.h"

#include <gtest/gtest.h>

#include <memory>

namespace postrider::engine {
namespace {

TEST(CoreUnit, SaysWhyItCannotStartAndLeavesNoThread) {
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  auto loop = io::MakeLoop({}, *clock);
  ASSERT_TRUE(loop.has_value()) << loop.error().message;
  io::Waker store;
  io::Waker reader;
  io::Waker collector;
  io::Waker tracer;
  auto options = std::make_shared<Options>();
  options->tls.ca_file = "/nowhere/roots.pem";
  {
    CoreUnit unit(*std::move(loop), store, reader, collector, tracer);
    delivery::CoreSettings settings;
    settings.cores = 1;
    const Result<void> started = unit.Start(std::move(settings), options, {nullptr}, {nullptr}, -1);
    ASSERT_FALSE(started.has_value());
    EXPECT_NE(started.error().message.find("/nowhere/roots.pem"), std::string::npos) << started.error().message;
  }
}

}  // namespace
}  // namespace postrider::engine
