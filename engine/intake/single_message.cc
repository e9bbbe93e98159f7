#include "engine/intake/single_message.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include <fmt/format.h>

#include "engine/intake/campaign_source.h"
#include "engine/intake/recipient_rules.h"
#include "engine/message/address_list.h"
#include "engine/message/charset.h"
#include "engine/message/mime_parser.h"

namespace postrider::intake {
namespace {

constexpr std::size_t kRecipientsMax = 1000;  // of one message; more are a campaign

// The addresses of all headers of these names, until one name has any.
Result<std::vector<EmailAddress>> Addresses(std::string_view message, std::initializer_list<std::string_view> names,
                                            const RecipientRules* recipients = nullptr) {
  std::vector<EmailAddress> found;
  for (const std::string_view name : names) {
    for (const std::string& value : message::HeaderValues(message, name)) {
      const Result<message::AddressList> list = message::ParseAddressList(message::GuessUtf8(value));
      if (!list) return Fail(fmt::format("header {}", name), list.error());
      for (const message::AddressListEntry& entry : list->entries) {
        Result<EmailAddress> address =
            recipients != nullptr ? recipients->Parse(entry.address) : EmailAddress::Parse(entry.address);
        if (!address) return Fail(fmt::format("header {}", name), address.error());
        if (std::ranges::find(found, *address) == found.end()) found.push_back(std::move(*address));
        if (found.size() > kRecipientsMax) {
          return Fail(ErrorCode::kTooLarge,
                      fmt::format("more than {} recipients; send it as a campaign", kRecipientsMax));
        }
      }
    }
  }
  return found;
}

// Whom it is from and for, and the campaign.
Result<SingleMessage> ReadEnvelope(std::string_view message, const RecipientRules& recipients) {
  SingleMessage envelope;
  Result<std::vector<EmailAddress>> sender = Addresses(message, {"X-Sender"});
  if (sender && sender->empty()) sender = Addresses(message, {"From"});
  if (!sender) return std::unexpected(sender.error());
  if (sender->size() != 1) {
    return Fail(ErrorCode::kInvalid, "expected one sender: an X-Sender header, or a From header with one address");
  }
  if (sender->front().needs_smtputf8) {
    return Fail(ErrorCode::kInvalid, "only ASCII may stand before the \"@\" of the sender's address");
  }
  envelope.from = ToString(sender->front());
  Result<std::vector<EmailAddress>> receivers = Addresses(message, {"X-Receiver"}, &recipients);
  if (receivers && receivers->empty()) receivers = Addresses(message, {"To", "Cc", "Bcc"}, &recipients);
  if (!receivers) return std::unexpected(receivers.error());
  if (receivers->empty()) {
    return Fail(ErrorCode::kInvalid, "no recipient: expected X-Receiver headers, or addresses in To, Cc or Bcc");
  }
  envelope.to = std::move(*receivers);
  const std::vector<std::string> named = message::HeaderValues(message, "X-Campaign");
  envelope.campaign = named.empty() ? "messages-from-" + envelope.from : std::string(message::Trim(named.front()));
  if (named.size() > 1) return Fail(ErrorCode::kInvalid, "more than one X-Campaign header");
  if (const std::string problem = NameProblem(envelope.campaign); !problem.empty()) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("the campaign's name (X-Campaign, or messages-from- and the sender): {}", problem));
  }
  return envelope;
}

}  // namespace

std::expected<SingleMessage, Diagnostics> ReadSingleMessage(const Options& options, std::string_view text,
                                                            const std::string& place) {
  const auto problem = [&](std::string sentence) {
    return std::unexpected(Diagnostics{{{place, 0, 0}, std::move(sentence)}});
  };
  message::CompileOptions compile;
  compile.file = place;
  compile.size_max = options.spool.message_bytes_max;
  compile.has_manifest = false;
  auto compiled = message::Template::Compile(text, compile);
  if (!compiled) return std::unexpected(std::move(compiled.error()));
  Result<SingleMessage> read = ReadEnvelope(text, RecipientRules(options));
  if (!read) return problem(std::move(read.error().message));
  read->compiled = std::move(*compiled);
  for (std::size_t i = 0; i < read->compiled->fields().size(); ++i) message::FieldPacker(read->no_values).AddMissing();
  for (const EmailAddress& address : read->to) {
    const std::string to = ToString(address);
    message::RenderJob job;
    job.campaign = read->campaign;
    job.to = to;
    job.fields = read->no_values;
    if (const Result<void> checked = read->compiled->Check(job); !checked) {
      return problem(fmt::format("{}: {}", to, checked.error().message));
    }
  }
  return std::move(*read);
}

}  // namespace postrider::intake
