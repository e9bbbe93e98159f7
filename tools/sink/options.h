#pragma once
// Everything `postrider sink` may be asked, as plain values with their defaults. Behaviour is what one listen address
// does to its clients; the command line sets the defaults of all and "--listen ADDRESS=PERSONALITY,setting=value" those
// of one (settings.h names them).

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/ip_address.h"
#include "tools/sink/limits.h"

namespace postrider::sink {

enum class TlsMode : std::uint8_t {
  kNone,
  kStartTls,  // offered, not demanded
  kRequired,  // no mail before STARTTLS
  kImplicit,  // from the first byte, as on port 465
};

// Where in a conversation something happens to it.
enum class Point : std::uint8_t { kBanner, kEhlo, kMail, kRcpt, kData, kContent, kFinal };

// Happens to a share of the connections, instead of the reply of that point. At kContent the message is cut short and
// not counted; at kFinal it has been accepted and counted, and the client never learns of it.
struct Fault {
  enum class Kind : std::uint8_t {
    kReset,  // TCP RST, replies not yet sent are lost
    kClose,  // an orderly close
    kStall,  // silence; content is not even read
  };
  Kind kind = Kind::kReset;
  Point point = Point::kBanner;
  double share = 0;
  std::uint32_t nth_message = 1;  // of the connection
};

enum class RefuseAt : std::uint8_t { kRcpt, kContent, kMixed };
enum class DownMode : std::uint8_t {
  kRefuse,  // nobody listens: connection refused
  kClose,   // connections are accepted and closed at once
};

struct Behaviour {
  TlsMode tls = TlsMode::kStartTls;
  std::string auth_user, auth_password;  // empty: no AUTH
  bool auth_required = false;
  bool auth_without_tls = false;
  std::optional<bool> pipelining, chunking, eight_bit_mime, smtputf8;  // unset: as the personality does
  std::optional<std::uint64_t> size;                                   // 0: not announced
  std::chrono::milliseconds delay{0};  // before the replies to one batch of input leave: stands for a round trip
  double permanent_share = 0;          // of the recipients, for ever
  double temporary_share = 0;          // of the attempts
  RefuseAt refuse_at = RefuseAt::kRcpt;
  bool wild_replies = false;
  std::chrono::seconds greylist{0};
  std::uint32_t message_cap = 0;     // messages a connection may bring; 0: any number
  std::uint32_t connection_cap = 0;  // open at once, each core counting its own; 0: any number
  Limits limits;                     // of one client address, exact over all cores
  bool usual_limits = false;         // what `limits` and message_cap leave open is as the personality has it
  std::string provider;              // addresses of one provider count their clients together; empty: alone
  std::vector<Fault> faults;
  std::chrono::milliseconds down_for{0};
  DownMode down_mode = DownMode::kRefuse;
};

struct ListenOptions {
  SocketAddress address;
  std::string personality = "plain";
  Behaviour behaviour;
};

struct Options {
  std::vector<ListenOptions> listen;
  std::vector<std::string> host_names{"localhost", "127.0.0.1"};  // in the self-made certificate
  std::filesystem::path certificate_file, key_file;               // instead of a self-made one
  std::filesystem::path write_certificate_file;
  bool tls12_only = false;
  bool session_tickets = true;

  std::filesystem::path record_file;
  std::filesystem::path store_directory;
  std::filesystem::path summary_file;  // empty: standard output, at the end only
  std::filesystem::path port_file;

  std::uint64_t exit_after_messages = 0;
  std::chrono::seconds idle_exit{0};
  int cores = 1;
  std::uint64_t seed = 1;

  // Bounds, so that no client can take the machine's memory. Per core where they count things.
  std::size_t connections_max = 20'000;              // about 3 KB each, 40 with TLS
  std::uint32_t recipients_per_message_max = 1'000;  // RFC 5321 section 4.5.3.1.8 asks for at least 100
  std::uint64_t message_bytes_max = 256u << 20;      // where the personality's SIZE is switched off or larger
  std::size_t stored_bytes_max = 512u << 20;         // held in memory at once for --store
  std::size_t tracked_recipients_max = 200'000'000;  // 24 bytes each, and up to twice that while the table is sparse
};

}  // namespace postrider::sink
