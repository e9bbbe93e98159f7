#pragma once
// The named settings of a listen address, once for the command line (as "--name value") and for the list behind a
// --listen address ("name=value"), with the parsers of their values. Pure.

#include <chrono>
#include <span>
#include <string>
#include <string_view>

#include "config/error.h"
#include "tools/sink/options.h"

namespace postrider::sink {

struct Setting {
  std::string_view name;   // "delay"
  std::string_view value;  // "DURATION", for the help
  std::string_view help;
  Result<void> (*apply)(Behaviour&, std::string_view value);
};

[[nodiscard]] std::span<const Setting> Settings();

// Fails with the setting's name, what was found and what is expected.
[[nodiscard]] Result<void> ApplySetting(Behaviour& behaviour, std::string_view name, std::string_view value);

// "127.0.0.2:2525", "127.0.0.2:2525=gmail" or "[::1]:0=yahoo,message-cap=20,temporary=5%".
[[nodiscard]] Result<ListenOptions> ParseListen(std::string_view text, const Behaviour& defaults);

[[nodiscard]] Result<double> ParseShare(std::string_view text);  // "2.5%" or "0.025"; 0 to 1
// "50ms", "10s", "5m" or "2h"; a bare number counts seconds.
[[nodiscard]] Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

}  // namespace postrider::sink
