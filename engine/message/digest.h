#pragma once
// SHA-256, by which a submission is known again. Pure.

#include <memory>
#include <string>
#include <string_view>

namespace postrider::message {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  // 64 hexadecimal digits, lower case. Once.
  [[nodiscard]] std::string Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace postrider::message
