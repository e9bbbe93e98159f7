// The warm path allocates nothing: this program counts every operator new.

#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "tests/engine/message/rendering.h"

// GCC sees free() meet what new gave and warns, though new is the one below.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace {
std::size_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace postrider::message {
namespace {

TEST(Render, AllocatesNothingOnceWarm) {
  const TemplatePtr compiled = MustCompile(
      "From: Caf\xc3\xa9 <a@b.example>\nTo: {{name}} <{{to}}>\nReply-To: r+{{id}}@b.example\nSubject: Hallo {{name}}, "
      "{{x}}\n"
      "List-Unsubscribe: <https://b.example/{{x}}>\nContent-Type: multipart/alternative; boundary=b\n\n"
      "--b\n\nDear {{name}}, {{x}} and {{y|nothing}}\n--b\nContent-Type: text/html\n\n<p>{{name}} {{{x}}}</p>\n"
      "--b\nContent-Type: text/plain; charset=utf-8\n\n日本語日本語日本語 {{name}}\n--b--\n");
  const std::string fields = Pack(*compiled, {{"name", "José \"J\" Álvarez"}, {"x", "42 <b>"}});
  const RenderJob job = SampleJob(fields);
  std::string out;
  ASSERT_TRUE(compiled->Render(job, out));
  const std::string first = out;
  out.clear();
  const std::size_t before = allocations;
  const bool rendered = compiled->Render(job, out).has_value();
  const std::size_t after = allocations;
  EXPECT_TRUE(rendered);
  EXPECT_EQ(after - before, 0u);
  EXPECT_EQ(out, first);
}

}  // namespace
}  // namespace postrider::message
