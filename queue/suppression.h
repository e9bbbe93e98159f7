#pragma once
// The suppression list: who gets no mail, since when, why, and who said so. Plain values, the rules by which one entry
// gives way to another, and how entries stand on disk. Pure: no disk, no clock, no threads.
//
// An entry is an address or a whole domain, in one list. The global list (an empty name) counts for all mail; a named
// one for the bulk mail of campaigns that name it. Transactional mail heeds the global list alone: to leave a
// newsletter is not to refuse a receipt. Upper and lower case of ASCII letters count as the same, in the local part
// too, for so do all receivers of note.
//
// Keys in the column family `suppression`, texts ended by a NUL:
//   'e' list, domain, local                    an entry (local empty: the domain), without the last NUL
//   'h' domain, local, list, when, stamp       what an entry was that was removed, replaced or has expired: the audit
//   'n' list                                   how many entries the list has
// Lists come first, so that one list is read without the others; domains next, so that one Take finds all its keys side
// by side. History has the domain first: whoever asks about an address sees what happened to it in any list.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"

namespace postrider::queue {

inline constexpr std::size_t kSuppressionTextMax = 300;   // of why; longer words are cut
inline constexpr std::size_t kSuppressionNameMax = 128;   // of who, and of a campaign's or provider's name
inline constexpr std::size_t kSuppressionLists = 10'000;  // their counts are kept in memory

// A second bounce counts for a rule that wants two if it comes this long after the first, and before the first is
// forgotten: a mailbox that was full or in trouble for an evening is not a dead one.
inline constexpr std::chrono::hours kSecondBounceAfter{24};
inline constexpr std::chrono::hours kFirstBounceKept{90 * 24};

enum class SuppressionOrigin : std::uint8_t {
  kRule,    // a reply rule, by itself: the only ones that an undo removes
  kHand,    // an operator, or a program for a recipient (unsubscribe)
  kImport,  // a file of them
};
[[nodiscard]] std::string_view ToString(SuppressionOrigin origin);
[[nodiscard]] std::optional<SuppressionOrigin> ParseSuppressionOrigin(std::string_view name);

struct Suppression {
  std::string list{};     // empty: the global one
  std::string address{};  // local@domain, or @domain for all of a domain; as ParseSuppressed gives it
  Wall when{};
  SuppressionOrigin origin = SuppressionOrigin::kHand;
  std::string who{};       // the operator's name on this host; empty for a rule
  std::string why{};       // the rule's name, or the operator's words
  std::string campaign{};  // of a rule: whose mail brought the reply
  std::uint64_t row = 0;
  std::string site{};  // of a rule: who said so
  std::string provider{};
  std::string reply{};            // of a rule: what was said, code in front
  std::optional<Wall> expires{};  // it counts until then; unset: for ever

  [[nodiscard]] bool Expired(Wall now) const { return expires && *expires <= now; }
  friend bool operator==(const Suppression&, const Suppression&) = default;
};

// "Ana@Example.ORG" -> "ana@example.org"; "@bücher.example" and "bücher.example" -> "@xn--bcher-kva.example". A domain
// without its "@" needs a dot, so that a stray word does not pass for one.
[[nodiscard]] Result<std::string> ParseSuppressed(std::string_view text);

// An address as the queue has it, as its entry is called.
[[nodiscard]] std::string SuppressedAddress(std::string_view address);

// Whether an entry takes the place of another for the same address and list. An operator's word outlasts a rule's,
// so that undoing the rule does not undo the operator; among equals the one that lasts longer, else the one that is
// there. What has expired makes way.
[[nodiscard]] bool Supersedes(const Suppression& fresh, const Suppression& old);

struct SuppressionRemoval {
  std::string list{};
  std::string address{};
  Wall when{};
  std::string who;
  std::string why;
  // Only if the entry is still the one that was made then, by a rule: between seeing and removing it an operator may
  // have put his own in its place.
  std::optional<Wall> only_by_rule_of{};
};

enum class SuppressionEnd : std::uint8_t { kRemoved, kReplaced, kExpired };
[[nodiscard]] std::string_view ToString(SuppressionEnd end);

// One line of the audit: an entry that is no more.
struct PastSuppression {
  Suppression entry;
  SuppressionEnd end = SuppressionEnd::kRemoved;
  Wall when{};  // it ended
  std::string who;
  std::string why;  // of a replaced one: what the new one says
};

struct SuppressionTally {
  std::uint64_t added = 0;
  std::uint64_t replaced = 0;
  std::uint64_t unchanged = 0;

  SuppressionTally& operator+=(const SuppressionTally& other);
};

struct ListCounts {
  std::uint64_t addresses = 0;
  std::uint64_t domains = 0;
  std::uint64_t expiring = 0;  // of both, those with an end
  friend bool operator==(const ListCounts&, const ListCounts&) = default;
};

using ListCountsMap = std::map<std::string, ListCounts, std::less<>>;

// How the list stands, and what happened to it since the start; of one commit.
struct SuppressionStats {
  ListCountsMap lists;
  std::uint64_t added_by_rule = 0;
  std::uint64_t added_by_hand = 0;  // and by import
  std::uint64_t removed = 0;        // expired ones too
};
using SuppressionStatsPtr = std::shared_ptr<const SuppressionStats>;

// Whom mail would go to. list is of its campaign; empty for transactional mail.
struct Recipient {
  std::string_view list;
  std::string_view address;
  std::string_view domain;  // the end of address
};

// What to list: all conditions hold together, an unset one for everything.
struct SuppressionQuery {
  std::optional<std::string> list{};
  std::string domain{};
  std::optional<SuppressionOrigin> origin{};
  std::string rule{};  // its name, of entries that a rule made; so are the next two
  std::string site{};
  std::string provider{};
  std::optional<Wall> since{};     // at or after
  std::optional<Wall> until{};     // before
  std::optional<Wall> valid_at{};  // leaves out what has expired then

  [[nodiscard]] bool Matches(const Suppression& entry) const;
};

// A bounded piece of what a query finds; it may be empty and yet have a cursor.
struct SuppressionPage {
  std::vector<Suppression> entries;
  std::string cursor;  // where the next piece begins; empty: this was the last
};

struct PastSuppressionPage {
  std::vector<PastSuppression> entries;
  std::string cursor;
};

// All that is known of one address.
struct SuppressionMatches {
  std::vector<Suppression> entries;   // of it and of its domain, in any list; expired ones too
  std::vector<PastSuppression> past;  // the oldest first
};

// -- On disk

// A part of a key is cut out of the text it is in.
struct SuppressionKeyParts {
  std::string_view list;
  std::string_view domain;
  std::string_view local;
};
[[nodiscard]] std::string SuppressionKey(std::string_view list, std::string_view address);
// Appended: for many keys in one string. address is local@domain as the queue has it, in any case.
void AppendSuppressionKey(std::string& out, std::string_view list, std::string_view domain, std::string_view local);
[[nodiscard]] std::string SuppressionListPrefix(std::string_view list);
[[nodiscard]] std::string SuppressionDomainPrefix(std::string_view list, std::string_view domain);
[[nodiscard]] Result<SuppressionKeyParts> ParseSuppressionKey(std::string_view key);
[[nodiscard]] std::string PastSuppressionPrefix(std::string_view address);
[[nodiscard]] std::string PastSuppressionKey(const PastSuppression& past, std::uint64_t stamp);
[[nodiscard]] std::string ListCountsKey(std::string_view list);
[[nodiscard]] Result<std::string> ParseListCountsKey(std::string_view key);
inline constexpr std::string_view kSuppressionEntries = "e";
inline constexpr std::string_view kSuppressionHistory = "h";
inline constexpr std::string_view kSuppressionCounts = "n";

// Of an entry, all but list and address, which are the key's.
[[nodiscard]] std::string EncodeSuppression(const Suppression& entry);
[[nodiscard]] Result<Suppression> DecodeSuppression(std::string_view key, std::string_view value);
// Only whether it has expired; nothing is copied.
[[nodiscard]] Result<bool> HasExpired(std::string_view value, Wall now);
// Whole: the key only gives the order.
[[nodiscard]] std::string EncodePastSuppression(const PastSuppression& past);
[[nodiscard]] Result<PastSuppression> DecodePastSuppression(std::string_view value);
[[nodiscard]] std::string EncodeListCounts(const ListCounts& counts);
[[nodiscard]] Result<ListCounts> DecodeListCounts(std::string_view value);

}  // namespace postrider::queue
