#include "engine/smtp/ehlo.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace postrider::smtp {
namespace {

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(x) == lower(y);
  });
}

// Takes the text before the next separator off the front of rest; runs of separators count as one.
std::string_view TakeWord(std::string_view& rest, char separator) {
  rest.remove_prefix(std::min(rest.find_first_not_of(separator), rest.size()));
  const std::string_view word = rest.substr(0, rest.find(separator));
  rest.remove_prefix(word.size());
  return word;
}

template <typename Number>
Number ReadNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : 0;
}

void ReadAuth(std::string_view mechanisms, ServerOffer& offer) {
  while (!mechanisms.empty()) {
    const std::string_view mechanism = TakeWord(mechanisms, ' ');
    if (EqualsIgnoringCase(mechanism, "PLAIN")) offer.auth_plain = true;
    if (EqualsIgnoringCase(mechanism, "LOGIN")) offer.auth_login = true;
  }
}

void ReadLimits(std::string_view limits, ServerOffer& offer) {
  constexpr std::string_view kMailMax = "MAILMAX=";
  while (!limits.empty()) {
    const std::string_view limit = TakeWord(limits, ' ');
    if (EqualsIgnoringCase(limit.substr(0, kMailMax.size()), kMailMax)) {
      offer.mail_max = ReadNumber<std::uint32_t>(limit.substr(kMailMax.size()));
    }
  }
}

void ReadKeyword(std::string_view line, ServerOffer& offer) {
  // "AUTH=PLAIN LOGIN" is what old clients were told; some servers still say only that.
  if (EqualsIgnoringCase(line.substr(0, 5), "AUTH=")) return ReadAuth(line.substr(5), offer);
  const std::string_view keyword = TakeWord(line, ' ');
  const auto is = [&](std::string_view name) { return EqualsIgnoringCase(keyword, name); };
  if (is("PIPELINING")) {
    offer.pipelining = true;
  } else if (is("CHUNKING")) {
    offer.chunking = true;
  } else if (is("8BITMIME")) {
    offer.eight_bit_mime = true;
  } else if (is("SMTPUTF8")) {
    offer.smtp_utf8 = true;
  } else if (is("STARTTLS")) {
    offer.start_tls = true;
  } else if (is("ENHANCEDSTATUSCODES")) {
    offer.enhanced_codes = true;
  } else if (is("SIZE")) {
    offer.size = true;
    offer.size_limit = ReadNumber<std::uint64_t>(TakeWord(line, ' '));
  } else if (is("AUTH")) {
    ReadAuth(line, offer);
  } else if (is("LIMITS")) {
    ReadLimits(line, offer);
  }
}

}  // namespace

ServerOffer ReadEhlo(const Reply& reply) {
  ServerOffer offer;
  offer.esmtp = true;
  std::string_view rest = reply.text;
  std::string_view greeting = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(greeting.size());
  offer.host = TakeWord(greeting, ' ');
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size());
    ReadKeyword(line, offer);
  }
  return offer;
}

ServerOffer ReadHelo(const Reply& reply) {
  ServerOffer offer;
  std::string_view greeting = std::string_view(reply.text).substr(0, reply.text.find('\n'));
  offer.host = TakeWord(greeting, ' ');
  return offer;
}

}  // namespace postrider::smtp
