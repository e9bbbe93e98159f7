// The table of settings and how their values are read.

#include "tools/sink/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace postrider::sink {
namespace {

using std::chrono::milliseconds;

std::unexpected<Error> Expected(std::string_view what, std::string_view found) {
  return Fail(ErrorCode::kInvalid, fmt::format("expected {}, found \"{}\"", what, found));
}

template <typename Number>
bool ReadWhole(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

// Hands a parsed value on, or its error.
template <typename T, typename Store>
Result<void> Keep(const Result<T>& parsed, Store store) {
  if (!parsed) return std::unexpected(parsed.error());
  store(*parsed);
  return {};
}

Result<bool> ParseSwitch(std::string_view text) {
  if (text == "on") return true;
  if (text == "off") return false;
  return Expected("on or off", text);
}

template <auto Member>
Result<void> Switch(Behaviour& behaviour, std::string_view value) {
  return Keep(ParseSwitch(value), [&](bool on) { behaviour.*Member = on; });
}

template <auto Member>
Result<void> Count(Behaviour& behaviour, std::string_view value) {
  std::uint32_t number = 0;
  if (!ReadWhole(value, number)) return Expected("a whole number (0: no limit)", value);
  behaviour.*Member = number;
  return {};
}

template <auto Member>
Result<void> Share(Behaviour& behaviour, std::string_view value) {
  return Keep(ParseShare(value), [&](double share) { behaviour.*Member = share; });
}

template <auto Member>
Result<void> Duration(Behaviour& behaviour, std::string_view value) {
  return Keep(ParseDuration(value), [&](milliseconds duration) {
    using Unit = std::remove_reference_t<decltype(behaviour.*Member)>;
    behaviour.*Member = std::chrono::ceil<Unit>(duration);
  });
}

template <typename T, std::size_t kSize>
Result<T> OneOf(const std::array<std::pair<std::string_view, T>, kSize>& choices, std::string_view value) {
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (name == value) return choice;
    names += names.empty() ? "" : ", ";
    names += name;
  }
  return Expected(fmt::format("one of {}", names), value);
}

constexpr std::array<std::pair<std::string_view, Point>, 7> kPoints{{{"banner", Point::kBanner},
                                                                     {"ehlo", Point::kEhlo},
                                                                     {"mail", Point::kMail},
                                                                     {"rcpt", Point::kRcpt},
                                                                     {"data", Point::kData},
                                                                     {"content", Point::kContent},
                                                                     {"final", Point::kFinal}}};

// "data:1%" or "final:0.5:3".
template <Fault::Kind kKind>
Result<void> AddFault(Behaviour& behaviour, std::string_view value) {
  Fault fault;
  fault.kind = kKind;
  const std::size_t colon = value.find(':');
  if (colon == std::string_view::npos) return Expected("POINT:SHARE or POINT:SHARE:NTH, as in data:1%", value);
  const Result<Point> point = OneOf(kPoints, value.substr(0, colon));
  if (!point) return std::unexpected(point.error());
  fault.point = *point;
  std::string_view rest = value.substr(colon + 1);
  if (const std::size_t second = rest.find(':'); second != std::string_view::npos) {
    if (!ReadWhole(rest.substr(second + 1), fault.nth_message) || fault.nth_message == 0) {
      return Expected("the number of a message of the connection, from 1", rest.substr(second + 1));
    }
    rest = rest.substr(0, second);
  }
  const Result<double> share = ParseShare(rest);
  if (!share) return std::unexpected(share.error());
  fault.share = *share;
  behaviour.faults.push_back(fault);
  return {};
}

Result<void> SetTls(Behaviour& behaviour, std::string_view value) {
  constexpr std::array<std::pair<std::string_view, TlsMode>, 4> kModes{{{"none", TlsMode::kNone},
                                                                        {"starttls", TlsMode::kStartTls},
                                                                        {"required", TlsMode::kRequired},
                                                                        {"implicit", TlsMode::kImplicit}}};
  return Keep(OneOf(kModes, value), [&](TlsMode mode) { behaviour.tls = mode; });
}

Result<void> SetAuth(Behaviour& behaviour, std::string_view value) {
  const std::size_t colon = value.find(':');
  if (colon == 0 || colon == std::string_view::npos) return Expected("USER:PASSWORD", value);
  behaviour.auth_user = value.substr(0, colon);
  behaviour.auth_password = value.substr(colon + 1);
  return {};
}

Result<void> SetSize(Behaviour& behaviour, std::string_view value) {
  std::uint64_t size = 0;
  if (value != "off" && !ReadWhole(value, size)) return Expected("a number of bytes, or off", value);
  behaviour.size = size;
  return {};
}

Result<void> SetRefuseAt(Behaviour& behaviour, std::string_view value) {
  constexpr std::array<std::pair<std::string_view, RefuseAt>, 3> kStages{
      {{"rcpt", RefuseAt::kRcpt}, {"content", RefuseAt::kContent}, {"mixed", RefuseAt::kMixed}}};
  return Keep(OneOf(kStages, value), [&](RefuseAt at) { behaviour.refuse_at = at; });
}

Result<void> SetReplies(Behaviour& behaviour, std::string_view value) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kKinds{{{"clear", false}, {"wild", true}}};
  return Keep(OneOf(kKinds, value), [&](bool wild) { behaviour.wild_replies = wild; });
}

Result<void> SetDown(Behaviour& behaviour, std::string_view value) {
  constexpr std::array<std::pair<std::string_view, DownMode>, 2> kModes{
      {{"refuse", DownMode::kRefuse}, {"close", DownMode::kClose}}};
  if (const std::size_t colon = value.find(':'); colon != std::string_view::npos) {
    const Result<DownMode> mode = OneOf(kModes, value.substr(colon + 1));
    if (!mode) return std::unexpected(mode.error());
    behaviour.down_mode = *mode;
    value = value.substr(0, colon);
  }
  return Duration<&Behaviour::down_for>(behaviour, value);
}

// "600/1m". So many moments of each client are kept.
constexpr std::uint32_t kWindowCountMax = 1'000'000;

Result<WindowLimit> ParseWindowLimit(std::string_view text) {
  WindowLimit limit;
  const std::size_t slash = std::min(text.find('/'), text.size());
  const Result<milliseconds> window = ParseDuration(slash == text.size() ? text : text.substr(slash + 1));
  if (slash == text.size() || !window || window->count() == 0 || !ReadWhole(text.substr(0, slash), limit.count) ||
      limit.count == 0 || limit.count > kWindowCountMax) {
    return Expected(fmt::format("N/DURATION with N from 1 to {}, as in 600/1m", kWindowCountMax), text);
  }
  limit.window = *window;
  return limit;
}

template <auto Member>
Result<void> AddWindow(Behaviour& behaviour, std::string_view value) {
  return Keep(ParseWindowLimit(value), [&](WindowLimit limit) { (behaviour.limits.*Member).push_back(limit); });
}

template <auto Member>
Result<void> CountOfClient(Behaviour& behaviour, std::string_view value) {
  std::uint32_t number = 0;
  if (!ReadWhole(value, number)) return Expected("a whole number (0: no limit)", value);
  behaviour.limits.*Member = number;
  return {};
}

Result<void> SetPenalty(Behaviour& behaviour, std::string_view value) {
  return Keep(ParseDuration(value), [&](milliseconds duration) { behaviour.limits.penalty = duration; });
}

Result<void> SetProvider(Behaviour& behaviour, std::string_view value) {
  if (!std::ranges::all_of(value, [](char c) { return c > ' ' && c < 0x7F; }) || value.empty()) {
    return Expected("a name", value);
  }
  behaviour.provider = value;
  return {};
}

Result<void> SetLimits(Behaviour& behaviour, std::string_view value) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kKinds{{{"usual", true}, {"none", false}}};
  return Keep(OneOf(kKinds, value), [&](bool usual) { behaviour.usual_limits = usual; });
}

constexpr std::array<Setting, 28> kSettings{{
    {"tls", "MODE", "none, starttls (offered), required (no mail without), or implicit (as on port 465)", &SetTls},
    {"auth", "USER:PASSWORD", "offer AUTH PLAIN and LOGIN for this account", &SetAuth},
    {"auth-required", "on|off", "refuse mail before AUTH", &Switch<&Behaviour::auth_required>},
    {"auth-without-tls", "on|off", "offer AUTH in the clear too", &Switch<&Behaviour::auth_without_tls>},
    {"pipelining", "on|off", "offer PIPELINING; off also refuses clients that pipeline all the same",
     &Switch<&Behaviour::pipelining>},
    {"chunking", "on|off", "offer CHUNKING (BDAT)", &Switch<&Behaviour::chunking>},
    {"8bitmime", "on|off", "offer 8BITMIME", &Switch<&Behaviour::eight_bit_mime>},
    {"smtputf8", "on|off", "offer SMTPUTF8", &Switch<&Behaviour::smtputf8>},
    {"size", "BYTES|off", "announce this SIZE and refuse larger messages", &SetSize},
    {"delay", "DURATION", "hold the replies to each batch of input for so long: plays a round trip",
     &Duration<&Behaviour::delay>},
    {"permanent", "SHARE", "refuse this share of the recipients for ever (5xx)", &Share<&Behaviour::permanent_share>},
    {"temporary", "SHARE", "refuse this share of the attempts (4xx); a later attempt may pass",
     &Share<&Behaviour::temporary_share>},
    {"refuse-at", "rcpt|content|mixed", "where those refusals are spoken", &SetRefuseAt},
    {"replies", "clear|wild", "refuse in texts that mean what their code says, or in any the provider uses",
     &SetReplies},
    {"greylist", "DURATION", "refuse every recipient (4xx) until so long after its first attempt",
     &Duration<&Behaviour::greylist>},
    {"message-cap", "N", "answer 421 to what would be message N+1 of a connection", &Count<&Behaviour::message_cap>},
    {"connection-cap", "N", "answer 421 to more than N open connections (per core)",
     &Count<&Behaviour::connection_cap>},
    {"limits", "usual|none",
     "hold clients to what the personality's provider is known to bear (connections, messages of "
     "one); the settings below say otherwise",
     &SetLimits},
    {"client-connections", "N",
     "of one client address open at once: more are refused in the provider's words, and counted "
     "in the summary as over the limit, as with the next four",
     &CountOfClient<&Limits::connections>},
    {"client-site-connections", "N", "of these, at one listen address", &CountOfClient<&Limits::site_connections>},
    {"client-connects", "N/DURATION", "new connections of one client address within any so long time; may be repeated",
     &AddWindow<&Limits::connects>},
    {"client-messages", "N/DURATION", "its messages, the same; may be repeated", &AddWindow<&Limits::messages>},
    {"penalty", "DURATION", "refuse all messages of a client for so long once it sent too many", &SetPenalty},
    {"provider", "NAME", "addresses of the same name count each client together, as the sites of one provider do",
     &SetProvider},
    {"reset", "POINT:SHARE[:NTH]",
     "break this share of the connections (RST) at that point of their NTH message; "
     "points: banner, ehlo, mail, rcpt, data, content, final (accepted, but never said)",
     &AddFault<Fault::Kind::kReset>},
    {"stall", "POINT:SHARE[:NTH]", "the same, but fall silent", &AddFault<Fault::Kind::kStall>},
    {"close", "POINT:SHARE[:NTH]", "the same, but close in an orderly way", &AddFault<Fault::Kind::kClose>},
    {"down-for", "DURATION[:refuse|close]",
     "play a dead site for the first while: refuse connections, or accept and close them", &SetDown},
}};

}  // namespace

std::span<const Setting> Settings() { return kSettings; }

Result<void> ApplySetting(Behaviour& behaviour, std::string_view name, std::string_view value) {
  for (const Setting& setting : kSettings) {
    if (setting.name != name) continue;
    Result<void> applied = setting.apply(behaviour, value);
    if (!applied) return Fail(fmt::format("{}={}", name, value), applied.error());
    return {};
  }
  std::string names;
  for (const Setting& setting : kSettings) names += fmt::format("{}{}", names.empty() ? "" : ", ", setting.name);
  return Fail(ErrorCode::kInvalid, fmt::format("no setting is named \"{}\"; known are: {}", name, names));
}

Result<ListenOptions> ParseListen(std::string_view text, const Behaviour& defaults) {
  ListenOptions options;
  options.behaviour = defaults;
  const std::size_t equals = text.find('=');
  Result<SocketAddress> address = SocketAddress::Parse(text.substr(0, equals));
  if (!address) return Fail(fmt::format("--listen {}", text), address.error());
  options.address = *address;
  if (equals == std::string_view::npos) return options;

  std::string_view rest = text.substr(equals + 1);
  const std::size_t comma = rest.find(',');
  options.personality = rest.substr(0, comma);
  rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const std::size_t sign = item.find('=');
    if (sign == std::string_view::npos) {
      return Fail(fmt::format("--listen {}", text), Expected("setting=value", item).error());
    }
    Result<void> applied = ApplySetting(options.behaviour, item.substr(0, sign), item.substr(sign + 1));
    if (!applied) return Fail(fmt::format("--listen {}", text), applied.error());
  }
  return options;
}

Result<double> ParseShare(std::string_view text) {
  const bool percent = text.ends_with('%');
  double share = 0;
  if (!ReadWhole(text.substr(0, text.size() - (percent ? 1 : 0)), share)) {
    return Expected("a share such as 2.5% or 0.025", text);
  }
  if (percent) share /= 100;
  if (!(share >= 0 && share <= 1)) return Expected("a share from 0 to 100 %", text);
  return share;
}

Result<milliseconds> ParseDuration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"", 1000}}};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::int64_t number = 0;
  for (const auto& [unit, factor] : kUnits) {
    if (text.substr(digits) != unit || !ReadWhole(text.substr(0, digits), number)) continue;
    if (number > 10'000'000) break;  // far beyond any test, and no overflow in hours
    return milliseconds(number * factor);
  }
  return Expected("a duration such as 50ms, 10s, 5m or 2h", text);
}

}  // namespace postrider::sink
