// The tables of the personalities. Texts are those seen in public bounces and in provider documentation; the
// hosts' numbers are made up.

#include "tools/sink/personality.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <chrono>
#include <utility>

namespace postrider::sink {
namespace {

Personality Plain() {
  Personality p;
  p.name = "plain";
  p.host = "sink.postrider.test";
  p.keywords = {"PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "STARTTLS"};
  p.banner = "220 {host} ESMTP postrider sink";
  p.hello = "250 {host} greets {hello}";
  p.mail_accepted = "250 2.1.0 Ok";
  p.rcpt_accepted = "250 2.1.5 Ok";
  p.data_go_ahead = "354 End data with <CR><LF>.<CR><LF>";
  p.message_accepted = "250 2.0.0 Ok: queued as {id}";
  p.quit = "221 2.0.0 Bye";
  p.permanent.at_rcpt = {"550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table",
                         "550 5.2.1 <{to}>: Recipient address rejected: mailbox disabled"};
  p.permanent.at_content = {"550 5.7.1 Message content rejected as spam", "554 5.6.0 Message is malformed"};
  p.permanent_wild.at_rcpt = {"550 <{to}>: no such user", "550 Administrative prohibition",
                              "554 5.7.1 <{to}>: Relay access denied"};
  p.permanent_wild.at_content = {"554 rejected due to content (#5.7.1)"};
  p.temporary.at_rcpt = {"450 4.2.1 <{to}>: Recipient address rejected: mailbox busy",
                         "452 4.2.2 <{to}>: Mailbox full"};
  p.temporary.at_content = {"451 4.3.0 Error: queue file write error"};
  p.temporary_wild.at_rcpt = {"451 Temporary local problem - please try later"};
  p.temporary_wild.at_content = {"421 4.3.2 Service shutting down"};
  p.greylisted = "450 4.2.0 <{to}>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/";
  p.message_cap = "421 4.7.0 Too many messages on this connection";
  p.too_many_connections = "421 4.7.0 {host} Error: too many connections from {client}";
  p.too_many_connects = "421 4.7.0 {host} Error: too many new connections from {client}";
  p.too_many_messages = "450 4.7.1 {client}: Client host rejected: too many messages, rate limit exceeded";
  p.usual_limits.connections = 8;
  p.usual_message_cap = 50;
  p.tls_required = "530 5.7.0 Must issue a STARTTLS command first";
  return p;
}

Personality Gmail() {
  Personality p;
  p.name = "gmail";
  p.host = "mx.google.com";
  p.keywords = {"SIZE 157286400", "8BITMIME", "STARTTLS", "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "SMTPUTF8"};
  p.banner = "220 {host} ESMTP {id} - gsmtp";
  p.hello = "250 {host} at your service, [{client}]";
  p.mail_accepted = "250 2.1.0 OK {id} - gsmtp";
  p.rcpt_accepted = "250 2.1.5 OK {id} - gsmtp";
  p.data_go_ahead = "354 Go ahead {id} - gsmtp";
  p.message_accepted = "250 2.0.0 OK {id} - gsmtp";
  p.quit = "221 2.0.0 closing connection {id} - gsmtp";
  p.permanent.at_rcpt = {
      "550-5.1.1 The email account that you tried to reach does not exist. Please try\n"
      "550-5.1.1 double-checking the recipient's email address for typos or\n"
      "550-5.1.1 unnecessary spaces. For more information, go to\n"
      "550 5.1.1  https://support.google.com/mail/?p=NoSuchUser {id} - gsmtp",
      "550-5.2.1 The email account that you tried to reach is inactive. For more\n"
      "550 5.2.1 information, go to https://support.google.com/mail/?p=DisabledUser {id} - gsmtp"};
  p.permanent.at_content = {
      "550-5.7.1 [{client} 12] Gmail has detected that this message is\n"
      "550-5.7.1 likely unsolicited mail. To reduce the amount of spam sent to Gmail,\n"
      "550-5.7.1 this message has been blocked. For more information, go to\n"
      "550 5.7.1  https://support.google.com/mail/?p=UnsolicitedMessageError {id} - gsmtp",
      "554 5.6.0 Mail message is malformed. Not accepted. {id} - gsmtp"};
  p.permanent_wild.at_rcpt = {
      "550-5.2.1 The user you are trying to contact is receiving mail at a rate that\n"
      "550-5.2.1 prevents additional messages from being delivered. For more\n"
      "550-5.2.1 information, please visit\n"
      "550 5.2.1  https://support.google.com/mail/?p=ReceivingRatePerm {id} - gsmtp",
      "552-5.2.2 The recipient's inbox is out of storage space and inactive. Please\n"
      "552-5.2.2 direct the recipient to\n"
      "552 5.2.2  https://support.google.com/mail/?p=OverQuotaPerm {id} - gsmtp"};
  p.permanent_wild.at_content = {
      "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n"
      "550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM. For\n"
      "550-5.7.26 instructions on setting up authentication, go to\n"
      "550 5.7.26  https://support.google.com/mail/answer/81126#authentication {id} - gsmtp"};
  p.temporary.at_rcpt = {
      "450-4.2.1 The user you are trying to contact is receiving mail at a rate that\n"
      "450-4.2.1 prevents additional messages from being delivered. Please resend your\n"
      "450-4.2.1 message at a later time. For more information, go to\n"
      "450 4.2.1  https://support.google.com/mail/?p=ReceivingRate {id} - gsmtp",
      "452-4.2.2 The recipient's inbox is out of storage space. Please direct the\n"
      "452-4.2.2 recipient to\n"
      "452 4.2.2  https://support.google.com/mail/?p=OverQuotaTemp {id} - gsmtp"};
  p.temporary.at_content = {"451 4.3.0 Mail server temporarily rejected message. {id} - gsmtp"};
  p.temporary_wild.at_rcpt = {"451 4.3.0 Multiple destination domains per transaction is unsupported. {id} - gsmtp"};
  p.temporary_wild.at_content = {
      "421-4.7.28 [{client} 15] Gmail has detected an unusual rate of\n"
      "421-4.7.28 unsolicited mail originating from your IP address. To protect our\n"
      "421-4.7.28 users from spam, mail sent from your IP address has been temporarily\n"
      "421-4.7.28 rate limited. For more information, go to\n"
      "421 4.7.28  https://support.google.com/mail/?p=UnsolicitedRateLimitError {id} - gsmtp"};
  p.greylisted = "450 4.2.1 The user you are trying to contact is receiving mail too quickly {id} - gsmtp";
  p.message_cap = "421 4.7.0 Try again later, closing connection. {id} - gsmtp";
  p.too_many_connections = "421 4.7.0 Too many connections from [{client}], closing connection. {id} - gsmtp";
  p.too_many_connects = "421 4.7.0 Too many new connections from [{client}], try again later. {id} - gsmtp";
  p.too_many_messages =
      "421-4.7.28 [{client} 15] Gmail has detected an unusual rate of\n"
      "421-4.7.28 unsolicited mail originating from your IP address. To protect our\n"
      "421-4.7.28 users from spam, mail sent from your IP address has been temporarily\n"
      "421-4.7.28 rate limited. For more information, go to\n"
      "421 4.7.28  https://support.google.com/mail/?p=UnsolicitedRateLimitError {id} - gsmtp";
  p.too_many_messages_at = Point::kFinal;
  p.usual_limits.connections = 5;
  p.usual_message_cap = 50;
  p.tls_required = "530 5.7.0 Must issue a STARTTLS command first. {id} - gsmtp";
  return p;
}

Personality Microsoft() {
  Personality p;
  p.name = "microsoft";
  p.host = "BN8NAM11FT042.mail.protection.outlook.com";
  p.keywords = {"SIZE 49283072", "PIPELINING", "DSN",     "ENHANCEDSTATUSCODES", "STARTTLS", "8BITMIME",
                "BINARYMIME",    "CHUNKING",   "SMTPUTF8"};
  p.banner = "220 {host} Microsoft ESMTP MAIL Service ready at {date}";
  p.hello = "250 {host} Hello [{client}]";
  p.mail_accepted = "250 2.1.0 Sender OK";
  p.rcpt_accepted = "250 2.1.5 Recipient OK";
  p.data_go_ahead = "354 Start mail input; end with <CRLF>.<CRLF>";
  p.message_accepted = "250 2.6.0 [InternalId={id}, Hostname={host}] {bytes} bytes Queued mail for delivery";
  p.quit = "221 2.0.0 Service closing transmission channel";
  p.permanent.at_rcpt = {
      "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {to} not found by SMTP address lookup [{host}]"};
  p.permanent.at_content = {
      "550 5.7.1 Unfortunately, messages from [{client}] weren't sent. Please contact your Internet service provider "
      "since part of their network is on our block list (S3140). [{host}]"};
  p.permanent_wild.at_rcpt = {"550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [{host}]",
                              "550 5.4.1 Recipient address rejected: Access denied. For more information see "
                              "https://aka.ms/EXOSmtpErrors [{host}]"};
  p.permanent_wild.at_content = {
      "550 5.7.515 Access denied, sending domain does not meet the required authentication level. [{host}]",
      "554 5.2.122 The recipient has exceeded their limit for the number of messages they can receive per hour. "
      "[{host}]"};
  p.temporary.at_rcpt = {"452 4.2.2 STOREDRV.Deliver; mailbox full <{to}> [{host}]"};
  p.temporary.at_content = {"451 4.3.2 Temporary server error. Please try again later ATTR17 [{host}]"};
  p.temporary_wild.at_rcpt = {
      "451 4.7.500 Server busy. Please try again later from [{client}]. (AS77712) [{host}]",
      "450 4.7.3 Organization queue quota exceeded. [{host}]",
      "451 4.7.650 The mail server [{client}] has been temporarily rate limited due to IP reputation. For e-mail "
      "delivery information, see https://postmaster.live.com (S843) [{host}]"};
  p.temporary_wild.at_content = {"432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded [{host}]"};
  p.greylisted = "451 4.7.500 Server busy. Please try again later from [{client}]. (S77714) [{host}]";
  p.message_cap = "421 4.3.2 Service not available, closing transmission channel [{host}]";
  p.too_many_connections =
      "421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing transmission channel "
      "[{host}]";
  p.too_many_connects = "421 4.3.2 Service not available: too many new connections from [{client}] [{host}]";
  p.too_many_messages = "451 4.7.500 Server busy. Please try again later from [{client}]. (S77714) [{host}]";
  p.usual_limits.connections = 50;
  p.usual_limits.site_connections = 3;
  p.usual_limits.connects = {{20, std::chrono::seconds(1)}};
  p.usual_message_cap = 50;
  p.tls_required = "451 5.7.3 STARTTLS is required to send mail [{host}]";
  return p;
}

Personality Yahoo() {
  Personality p;
  p.name = "yahoo";
  p.host = "mtaproxy401.free.mail.ne1.yahoo.com";
  p.keywords = {"PIPELINING", "SIZE 41943040", "8BITMIME", "STARTTLS"};
  p.banner = "220 {host} ESMTP ready";
  p.hello = "250 {host}";
  p.mail_accepted = "250 sender <{from}> ok";
  p.rcpt_accepted = "250 recipient <{to}> ok";
  p.data_go_ahead = "354 go ahead";
  p.message_accepted = "250 ok dirdel";
  p.quit = "221 {host}";
  p.permanent.at_rcpt = {"550 5.1.1 <{to}> recipient unknown"};
  p.permanent.at_content = {
      "554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes"};
  p.permanent_wild.at_rcpt = {
      "554 30 Sorry, your message to {to} cannot be delivered. This mailbox is disabled "
      "(554.30)"};
  p.permanent_wild.at_content = {
      "554 delivery error: dd This user doesn't have a yahoo.com account ({to}) [-9] - {host}",
      "554 Message not allowed - Headers are not RFC compliant[291]"};
  p.temporary.at_rcpt = {"450 User is receiving mail too quickly"};
  p.temporary.at_content = {"451 4.3.2 Internal server error"};
  p.temporary_wild.at_rcpt = {"452 temporary domain failure <{to}>"};
  p.temporary_wild.at_content = {
      "421 4.7.0 [TSS04] Messages from {client} temporarily deferred due to unexpected volume or user complaints - "
      "4.16.55.1; see https://postmaster.yahooinc.com/error-codes"};
  p.greylisted = "451 4.3.2 Internal error, please try again later";
  p.message_cap = "421 Max message per connection reached, closing transmission channel";
  p.too_many_connections =
      "421 4.7.0 [TSS04] Messages from {client} temporarily deferred due to unexpected volume or user complaints - "
      "4.16.55.1; see https://postmaster.yahooinc.com/error-codes";
  p.too_many_connects = p.too_many_connections;
  p.too_many_messages = p.too_many_connections;
  p.too_many_messages_at = Point::kMail;
  p.usual_limits.connections = 10;
  p.usual_limits.penalty = std::chrono::minutes(5);
  p.usual_message_cap = 20;
  p.tls_required = "530 5.7.0 Must issue a STARTTLS command first";
  return p;
}

Personality Comcast() {
  Personality p;
  p.name = "comcast";
  p.host = "resimta-a1p-077040.sys.comcast.net";
  p.keywords = {"SIZE 36700160", "8BITMIME", "STARTTLS", "ENHANCEDSTATUSCODES"};
  p.banner = "220 {host} {host} ESMTP server ready";
  p.hello = "250 {host} hello [{client}], pleased to meet you";
  p.mail_accepted = "250 2.1.0 <{from}> sender ok";
  p.rcpt_accepted = "250 2.1.5 <{to}> recipient ok";
  p.data_go_ahead = "354 enter mail, end with \".\" on a line by itself";
  p.message_accepted = "250 2.0.0 {id} mail accepted for delivery";
  p.quit = "221 2.0.0 {host} comcast closing connection";
  p.permanent.at_rcpt = {"550 5.1.1 <{to}> recipient mailbox unallocated", "550 5.2.0 <{to}> - Recipient unavailable"};
  p.permanent.at_content = {
      "550 5.2.0 Message rejected due to DMARC. Please see "
      "http://postmaster.comcast.net/smtp-error-codes.php#DM000001"};
  p.permanent_wild.at_rcpt = {"552 5.1.1 <{to}> recipient rejected - extended quota violation"};
  p.permanent_wild.at_content = {
      "554 {host} comcast {client} Comcast block for spam. Please see "
      "http://postmaster.comcast.net/smtp-error-codes.php#BL000000"};
  p.temporary.at_rcpt = {"450 4.2.0 <{to}> - Recipient temporarily unavailable", "452 4.1.1 <{to}> user over quota"};
  p.temporary.at_content = {"451 4.3.0 temporary failure, please try again"};
  p.temporary_wild.at_rcpt = {"452 4.1.1 <{to}> too many recent messages; Try again later"};
  p.temporary_wild.at_content = {
      "421 4.1.0 {client} Throttled - too many messages. Please see "
      "http://postmaster.comcast.net/smtp-error-codes.php#RL000003"};
  p.greylisted = "450 4.2.0 <{to}> - Recipient temporarily unavailable";
  p.message_cap = "421 4.4.0 {host} Too many messages on this connection";
  p.too_many_connections = "421 {host} comcast Too many sessions opened by {client}";
  p.too_many_connects = "421 {host} comcast Too many sessions opened too quickly by {client}";
  p.too_many_messages =
      "421 4.1.0 {client} Throttled - try again later. Please see "
      "http://postmaster.comcast.net/smtp-error-codes.php#RL000001";
  p.usual_limits.connections = 25;
  p.usual_message_cap = 1000;
  p.tls_required = "530 5.7.0 Must issue a STARTTLS command first";
  return p;
}

Personality Orange() {
  Personality p;
  p.name = "orange";
  p.host = "mwinf5c21.orange.fr";
  p.keywords = {"PIPELINING", "SIZE 44000000", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS"};
  p.banner = "220 {host} ME ESMTP server ready";
  p.hello = "250 {host} hello [{client}], pleased to meet you";
  p.mail_accepted = "250 2.1.0 <{from}> sender ok";
  p.rcpt_accepted = "250 2.1.5 <{to}> recipient ok";
  p.data_go_ahead = "354 enter mail, end with \".\" on a line by itself";
  p.message_accepted = "250 2.0.0 {id} mail accepted for delivery";
  p.quit = "221 2.0.0 {host} ME closing connection";
  p.permanent.at_rcpt = {
      "550 5.1.1 <{to}> Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]"};
  p.permanent.at_content = {"550 5.2.0 Mail rejete pour son contenu. Mail rejected. OFR_506 [506]"};
  p.permanent_wild.at_rcpt = {"552 5.1.1 <{to}> Boite pleine. Recipient overquota. OFR_417 [417]"};
  p.permanent_wild.at_content = {"550 {host} ME Adresse IP source {client} bloquee pour spam. OFR006_102 [102]"};
  p.temporary.at_rcpt = {"450 4.2.1 <{to}> Boite momentanement indisponible. Mailbox busy"};
  p.temporary.at_content = {"451 4.3.0 Erreur temporaire. Temporary failure"};
  p.temporary_wild.at_rcpt = {"421 4.2.0 Service refuse a {client}. Veuillez essayer plus tard. OFR005_505 [505]"};
  p.temporary_wild.at_content = {"451 4.3.2 Erreur du systeme, veuillez essayer plus tard"};
  p.greylisted = "450 4.2.0 <{to}> Veuillez essayer plus tard. Greylisted";
  p.message_cap = "421 4.7.0 {host} ME Too many messages on this connection, closing connection";
  p.too_many_connections =
      "421 {host} ME Trop de connexions de {client}, veuillez verifier votre configuration. OFR005_104 [104]";
  p.too_many_connects = p.too_many_connections;
  p.too_many_messages = "421 4.7.0 {host} ME Trop de messages de {client}. Too many messages, slow down";
  p.too_many_messages_at = Point::kMail;
  p.usual_limits.connections = 2;
  p.usual_message_cap = 100;
  p.tls_required = "530 5.7.0 Must issue a STARTTLS command first";
  return p;
}

// Says with 5xx that mail comes too often.
Personality Qq() {
  Personality p;
  p.name = "qq";
  p.host = "newxmmxszb6-3.qq.com";
  p.keywords = {"PIPELINING", "SIZE 73400320", "STARTTLS", "8BITMIME"};
  p.banner = "220 {host} MX QQ Mail Server.";
  p.hello = "250 {host}";
  p.mail_accepted = "250 OK.";
  p.rcpt_accepted = "250 OK";
  p.data_go_ahead = "354 End data with <CR><LF>.<CR><LF>.";
  p.message_accepted = "250 OK: queued as {id}.";
  p.quit = "221 Bye.";
  p.permanent.at_rcpt = {"550 Mailbox not found [{to}]. https://service.mail.qq.com/detail/122/169"};
  p.permanent.at_content = {"550 Mail content denied [{id} IP: {client}]. https://service.mail.qq.com/detail/122/171"};
  p.permanent_wild.at_rcpt = {"550 Mailbox unavailable or access denied [{to}]"};
  p.permanent_wild.at_content = {"550 Domain frequency limited [{id} IP: {client}]"};
  p.temporary.at_rcpt = {"451 Mailbox busy [{to}]"};
  p.temporary.at_content = {"451 Requested action aborted: error in processing [{id}]"};
  p.temporary_wild.at_rcpt = {"450 Mail is deferred [{to}]"};
  p.temporary_wild.at_content = {"452 Insufficient system resources [{id}]"};
  p.greylisted = "450 Mail is deferred, try again later [{to}]";
  p.message_cap = "421 Too many messages on this connection [{client}]";
  p.too_many_connections = "421 Connection count limited [{id} IP: {client}]";
  p.too_many_connects = "550 Connection frequency limited [{id} IP: {client}]";
  p.too_many_messages = "550 Ip frequency limited [{id} IP: {client}]. https://service.mail.qq.com/detail/122/172";
  p.too_many_messages_at = Point::kFinal;
  p.usual_limits.connections = 4;
  p.usual_message_cap = 8;
  p.tls_required = "530 Must issue a STARTTLS command first";
  return p;
}

struct Entry {
  std::string_view name;
  Personality (*make)();
};
constexpr std::array<Entry, 7> kEntries{{{"plain", &Plain},
                                         {"gmail", &Gmail},
                                         {"microsoft", &Microsoft},
                                         {"yahoo", &Yahoo},
                                         {"comcast", &Comcast},
                                         {"orange", &Orange},
                                         {"qq", &Qq}}};

}  // namespace

Result<Personality> MakePersonality(std::string_view name) {
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.make();
  }
  return Fail(ErrorCode::kInvalid,
              fmt::format("no personality is named \"{}\"; known are: {}", name, fmt::join(PersonalityNames(), ", ")));
}

std::vector<std::string_view> PersonalityNames() {
  std::vector<std::string_view> names;
  for (const Entry& entry : kEntries) names.push_back(entry.name);
  return names;
}

}  // namespace postrider::sink
