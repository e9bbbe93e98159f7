#pragma once
// What became of a message, and what a failure says about whom: turns results into verdicts and verdicts into outcomes
// for the store, jobs that go back into line, back-off of hosts and paths, and path events (one per change of state).
// Single-threaded.

#include <cstdint>
#include <string>
#include <string_view>

#include "config/reply.h"
#include "config/time.h"
#include "config/verdict.h"
#include "engine/delivery/connection.h"
#include "engine/delivery/window.h"
#include "engine/message/template.h"
#include "queue/event.h"
#include "throttle/guard.h"
#include "throttle/reply_classifier.h"

namespace postrider::delivery {

struct CampaignEntry;
struct CampaignPart;
struct Destination;
struct Domain;
struct Parts;
struct Site;
struct SiteHost;

class Settlement {
 public:
  explicit Settlement(Parts& parts) : parts_(parts) {}

  // -- About messages (settlement.cc)
  void MessageDone(Connection& connection, Flight& flight, const smtp::MessageResult& result);
  // A job that admission handed out but whose template cannot be used: deferred, so that nothing is lost.
  void CannotRender(WindowJob& job, Path& path, std::string_view problem);
  // A job ends without an attempt: cancelled, expired, or bounced with its domain.
  void EndWithoutAttempt(WindowJob& job, LaneEnd end);
  [[nodiscard]] message::RenderJob RenderJobOf(const WindowJob& job, const CompiledTemplate& compiled) const;

  // -- About connections, hosts and paths (trouble.cc)
  [[nodiscard]] TlsDemand TlsDemandOf(const Path& path, std::size_t host) const;
  void TlsWorked(Connection& connection);
  void TlsFailed(Connection& connection);
  void Opened(Connection& connection);
  void ConnectionEnded(Connection& connection, const smtp::ConversationEnd& end);
  // Before any mail: this host could not be reached, or did not let us in (reply.code 0: it said nothing, and text is
  // our sentence). Failures of attempts begun before one already known say nothing new.
  void HostFailed(Path& path, std::size_t host, Stage stage, Category category, const Reply& reply, Monotonic began,
                  std::string_view address);
  // What is to be known about a source's account there.
  void DestinationEvent(const Destination& destination, std::string_view source, std::string_view sentence);
  // What is to be known about a source as such.
  void SourceEvent(std::string_view source, std::string_view sentence);
  // An alarm of a guard changed; no alarm: it is over.
  void GuardEvent(Stage stage, Scope scope, const Finding& finding, const Site* site = nullptr);
  // A TCP connection stands, or could not be made.
  void ConnectTried(const Site& site, bool connected);
  // What the configuration lacks for a site.
  void SiteEvent(const Site& site, Stage stage, Category category, std::string_view sentence);
  // From a domain's home: it cannot be routed now.
  void DomainEvent(std::string_view domain, Stage stage, Category category, std::string_view sentence, Wall until);

 private:
  struct Facts;  // what an outcome says beside the job
  void Replied(Facts& facts, WindowJob& job, Path& path, const smtp::MessageResult& result);
  [[nodiscard]] bool SaysBadMailboxAgain(const WindowJob& job, const Verdict& verdict, const Reply& reply) const;
  void Unknown(Facts& facts, WindowJob& job, Path& path);
  void Defer(Facts& facts, WindowJob& job);
  [[nodiscard]] static std::string WhyNeverAttempted(Facts& facts, const Domain& domain);
  void Return(Facts& facts, WindowJob& job);
  void Write(WindowJob& job, const Facts& facts);
  void FillWhere(queue::Event& event, const Lane& lane, const Facts& facts) const;
  [[nodiscard]] Wall NextDue(const WindowJob& job, Wall not_before) const;

  [[nodiscard]] bool TlsFailureIsForgiven(const Connection& connection) const;
  // What a connection that sends in flights tells of its host.
  void FlightBroke(SiteHost& host, bool beyond_doubt);
  static void FlightAnswered(SiteHost& host);
  // A reply about a recipient or its message came: host and path are open. recovered: the path was in trouble.
  void PathAnswered(const Connection& connection, bool recovered);
  // A refusal that is not about a recipient.
  void PathRefused(Path& path, std::size_t host, Stage stage, const Judgement& judgement, const Reply& reply);

  // -- What replies ask for (reaction.cc)
  [[nodiscard]] Judgement Judge(const Site& site, const Reply& reply, Stage stage);
  // The action of the rule that decided, if its threshold is reached. job may be null.
  void React(Connection& connection, WindowJob* job, const Judgement& judgement, Stage stage, const Reply& reply);
  void Reconnect(Connection& connection, const WindowJob* job, const Judgement& judgement, Stage stage,
                 const Reply& reply);
  [[nodiscard]] static bool ResolvedInVain(const Domain& domain);
  // May change the verdict: in a bounce storm nobody is given up.
  void CountForGuards(const WindowJob& job, Path& path, Verdict& verdict);
  void GuardEvent(const CampaignPart& part, const CampaignEntry& campaign, const Path& path, std::string_view reply);
  void KeepStop(const CampaignPart& part, const CampaignEntry& campaign, const Destination& at);
  void StopCanary(const CampaignPart& part, const CampaignEntry& campaign, const Destination& at);
  void PauseSender(WindowJob& job, Path& path, const ReplyRule& rule, const Reply& reply);
  void PathEvent(const Path& path, std::string_view host, std::string_view address, Stage stage, Category category,
                 Scope scope, const Reply& reply, Monotonic until);
  queue::Event& BeginEvent(Stage stage, Category category, Scope scope, std::string_view text);
  [[nodiscard]] Wall WallOf(Monotonic moment) const;

  Parts& parts_;
};

}  // namespace postrider::delivery
