#include "engine/delivery/stored_message.h"

#include <gtest/gtest.h>

namespace postrider::delivery {
namespace {

TEST(StoredMessage, IsCompiledAsItsCampaignSaid) {
  queue::CampaignSpec spec;
  spec.from = "Shop <shop@sender.example>";
  spec.eight_bit = true;
  spec.headers = {{"Subject", "Hello {{name}}"}};
  queue::StoredTemplate stored;
  stored.message = "\r\nDear {{city}}\r\n";
  const message::CompileOptions options = CompileOptionsOf(spec, stored);
  EXPECT_TRUE(options.eight_bit);
  const auto compiled = message::Template::Compile(stored.message, options);
  ASSERT_TRUE(compiled) << ToString(compiled.error().front());
  EXPECT_TRUE((*compiled)->FindField("name"));
  EXPECT_TRUE((*compiled)->FindField("city"));
  EXPECT_EQ((*compiled)->from_address(), "shop@sender.example");
}

TEST(StoredMessage, MayBeLargerThanTheLimitIsByDefault) {
  queue::StoredTemplate stored;
  stored.message.resize(message::CompileOptions().size_max + 1);
  EXPECT_EQ(CompileOptionsOf({}, stored).size_max, stored.message.size());
  stored.message = "short";
  EXPECT_EQ(CompileOptionsOf({}, stored).size_max, message::CompileOptions().size_max);
}

}  // namespace
}  // namespace postrider::delivery
