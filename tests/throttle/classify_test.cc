#include "throttle/classify.h"

#include <gtest/gtest.h>

#include <string>

namespace postrider {
namespace {

// As a server says it: "550 5.1.1 text".
Reply Said(std::string_view line) {
  Reply reply;
  reply.code = std::stoi(std::string(line.substr(0, 3)));
  reply.text = line.size() > 4 ? line.substr(4) : "";
  reply.enhanced = ParseEnhancedCode(reply.text);
  return reply;
}

struct Case {
  const char* said;
  Stage stage;
  Category category;
  Fate fate;
  Scope scope;
};

class Classified : public testing::TestWithParam<Case> {};

TEST_P(Classified, AsTheTableSays) {
  const Case& test = GetParam();
  const Verdict verdict = Classify(Said(test.said), test.stage);
  EXPECT_EQ(ToString(verdict.category), ToString(test.category)) << test.said;
  EXPECT_EQ(ToString(verdict.fate), ToString(test.fate)) << test.said;
  EXPECT_EQ(ToString(verdict.scope), ToString(test.scope)) << test.said;
}

constexpr auto kDelivered = Fate::kDelivered;
constexpr auto kDeferred = Fate::kDeferred;
constexpr auto kBounced = Fate::kBounced;
constexpr auto kRecipient = Scope::kRecipient;
constexpr auto kConnection = Scope::kConnection;
constexpr auto kHost = Scope::kHost;
constexpr auto kPath = Scope::kPath;

INSTANTIATE_TEST_SUITE_P(
    Delivered, Classified,
    testing::Values(Case{"250 2.0.0 OK", Stage::kContent, Category::kNone, kDelivered, kRecipient},
                    Case{"250 queued", Stage::kContent, Category::kNone, kDelivered, kRecipient},
                    // A yes in the wrong place is no delivery.
                    Case{"354 go on", Stage::kContent, Category::kProtocolErrors, kDeferred, kConnection},
                    Case{"250 ok", Stage::kData, Category::kProtocolErrors, kDeferred, kConnection}));

INSTANTIATE_TEST_SUITE_P(
    Temporary, Classified,
    testing::Values(Case{"450 4.2.1 receiving mail at a rate that prevents", Stage::kRcpt, Category::kThrottled,
                         kDeferred, kRecipient},
                    Case{"451 4.7.1 greylisted", Stage::kRcpt, Category::kThrottled, kDeferred, kRecipient},
                    Case{"451 try later", Stage::kContent, Category::kThrottled, kDeferred, kRecipient},
                    Case{"451 try later", Stage::kData, Category::kThrottled, kDeferred, kRecipient},
                    Case{"452 4.2.2 over quota", Stage::kRcpt, Category::kQuotaIssues, kDeferred, kRecipient},
                    Case{"450 4.4.1 host unreachable", Stage::kContent, Category::kRoutingErrors, kDeferred,
                         kRecipient},
                    Case{"451 5.7.3 contradicts itself", Stage::kRcpt, Category::kThrottled, kDeferred, kRecipient}));

INSTANTIATE_TEST_SUITE_P(
    AboutTheRecipient, Classified,
    testing::Values(Case{"550 5.1.1 NoSuchUser", Stage::kRcpt, Category::kBadMailbox, kBounced, kRecipient},
                    Case{"550 5.1.1 NoSuchUser", Stage::kContent, Category::kBadMailbox, kBounced, kRecipient},
                    Case{"550 5.1.1 sender, spam and policy are only words here", Stage::kRcpt, Category::kBadMailbox,
                         kBounced, kRecipient},
                    Case{"553 5.1.3 bad syntax", Stage::kRcpt, Category::kBadMailbox, kBounced, kRecipient},
                    Case{"550 5.1.2 no such domain", Stage::kRcpt, Category::kBadDomain, kBounced, kRecipient},
                    Case{"556 5.1.10 null MX", Stage::kRcpt, Category::kBadDomain, kBounced, kRecipient},
                    Case{"550 5.1.0 rejected", Stage::kRcpt, Category::kOther, kBounced, kRecipient},
                    Case{"550 5.2.1 DisabledUser", Stage::kRcpt, Category::kInactiveMailbox, kBounced, kRecipient},
                    Case{"552 5.2.2 over quota", Stage::kRcpt, Category::kQuotaIssues, kBounced, kRecipient},
                    Case{"552 5.2.3 too long", Stage::kContent, Category::kPolicyRelated, kBounced, kRecipient},
                    // Digits alone, or words that nobody knows, make no mailbox a bad one.
                    Case{"550", Stage::kRcpt, Category::kOther, kBounced, kRecipient},
                    Case{"553 5-7-5", Stage::kRcpt, Category::kOther, kBounced, kRecipient},
                    Case{"550 Requested action aborted", Stage::kContent, Category::kOther, kBounced, kRecipient},
                    Case{"550 no such user", Stage::kRcpt, Category::kBadMailbox, kBounced, kRecipient},
                    Case{"551 user not local", Stage::kRcpt, Category::kBadMailbox, kBounced, kRecipient},
                    Case{"553 mailbox name not allowed", Stage::kContent, Category::kBadMailbox, kBounced,
                         kRecipient}));

INSTANTIATE_TEST_SUITE_P(
    PermanentInDigitsAlone, Classified,
    testing::Values(Case{"550 5.2.1 https://support.google.com/mail/?p=ReceivingRatePerm", Stage::kRcpt,
                         Category::kThrottled, kDeferred, kRecipient},
                    Case{"550 5.2.1 The user you are trying to contact is receiving mail at a rate that", Stage::kRcpt,
                         Category::kThrottled, kDeferred, kRecipient},
                    Case{"554 5.2.121 the sender has exceeded the limit", Stage::kContent, Category::kThrottled,
                         kDeferred, kRecipient},
                    Case{"554 5.2.122 the recipient has exceeded the limit", Stage::kContent, Category::kThrottled,
                         kDeferred, kRecipient},
                    Case{"550 4.4.7 expired", Stage::kRcpt, Category::kThrottled, kDeferred, kRecipient}));

INSTANTIATE_TEST_SUITE_P(
    AboutUs, Classified,
    testing::Values(
        Case{"550 5.7.1 likely unsolicited mail", Stage::kContent, Category::kPolicyRelated, kDeferred, kPath},
        Case{"550 5.7.1 no such user", Stage::kRcpt, Category::kPolicyRelated, kDeferred, kPath},
        Case{"550 5.7.26 unauthenticated", Stage::kContent, Category::kPolicyRelated, kDeferred, kPath},
        Case{"553 5.7.1 [BL21]", Stage::kRcpt, Category::kPolicyRelated, kDeferred, kPath},
        Case{"550 5.1.8 sender address rejected: domain not found", Stage::kRcpt, Category::kInvalidSender, kDeferred,
             kPath},
        Case{"550 5.1.7 bad sender", Stage::kRcpt, Category::kInvalidSender, kDeferred, kPath},
        Case{"550 5.1.0 sender rejected", Stage::kRcpt, Category::kPolicyRelated, kDeferred, kPath},
        Case{"550 5.2.0 Message rejected due to DMARC", Stage::kContent, Category::kPolicyRelated, kDeferred, kPath},
        Case{"554 transaction failed", Stage::kRcpt, Category::kOther, kDeferred, kPath},
        Case{"554 5.5.1 no valid recipients", Stage::kData, Category::kOther, kDeferred, kPath},
        Case{"552 too much", Stage::kContent, Category::kOther, kDeferred, kPath},
        Case{"500 what", Stage::kRcpt, Category::kOther, kDeferred, kPath},
        Case{"550 Connection frequency limited", Stage::kRcpt, Category::kOther, kDeferred, kPath},
        Case{"550 192.0.2.1 is on our Block List", Stage::kRcpt, Category::kOther, kDeferred, kPath},
        Case{"553 Relaying disallowed", Stage::kRcpt, Category::kOther, kDeferred, kPath},
        Case{"550 SPAM message rejected", Stage::kContent, Category::kOther, kDeferred, kPath}));

INSTANTIATE_TEST_SUITE_P(
    ClosingTheChannel, Classified,
    testing::Values(Case{"421 4.7.28 unusual rate", Stage::kContent, Category::kThrottled, kDeferred, kConnection},
                    Case{"421 too many", Stage::kBanner, Category::kThrottled, kDeferred, kConnection},
                    Case{"421 4.7.0 [TSS04]", Stage::kMail, Category::kThrottled, kDeferred, kConnection},
                    Case{"421 bye", Stage::kIdle, Category::kThrottled, kDeferred, kConnection},
                    Case{"421 4.4.2 timeout exceeded", Stage::kRcpt, Category::kBadConnection, kDeferred,
                         kConnection}));

INSTANTIATE_TEST_SUITE_P(
    BeforeARecipient, Classified,
    testing::Values(Case{"554 5.7.1 your address is listed", Stage::kBanner, Category::kPolicyRelated, kDeferred,
                         kPath},
                    Case{"450 busy", Stage::kBanner, Category::kThrottled, kDeferred, kHost},
                    Case{"550 bad name", Stage::kEhlo, Category::kPolicyRelated, kDeferred, kPath},
                    Case{"454 4.7.0 TLS not available", Stage::kStartTls, Category::kTlsFailure, kDeferred, kHost},
                    Case{"501 no", Stage::kStartTls, Category::kTlsFailure, kDeferred, kHost},
                    Case{"535 5.7.8 credentials invalid", Stage::kAuth, Category::kAuthFailure, kDeferred, kPath},
                    Case{"454 4.7.0 later", Stage::kAuth, Category::kAuthFailure, kDeferred, kPath},
                    Case{"550 5.7.1 SPF", Stage::kMail, Category::kPolicyRelated, kDeferred, kPath},
                    // Not even with the code of a missing mailbox: MAIL names the sender.
                    Case{"550 5.1.1 no such user", Stage::kMail, Category::kInvalidSender, kDeferred, kPath},
                    Case{"550 no such user", Stage::kMail, Category::kPolicyRelated, kDeferred, kPath},
                    Case{"451 4.7.650 rate limited", Stage::kMail, Category::kThrottled, kDeferred, kPath}));

INSTANTIATE_TEST_SUITE_P(
    HiddenCodes, Classified,
    testing::Values(Case{"554 delivery failed (#5.1.1)", Stage::kRcpt, Category::kBadMailbox, kBounced, kRecipient},
                    Case{"550 #5.2.1 gone", Stage::kContent, Category::kInactiveMailbox, kBounced, kRecipient},
                    Case{"452 no room (#4.2.2)", Stage::kRcpt, Category::kQuotaIssues, kDeferred, kRecipient},
                    Case{"421 bye (#4.4.2)", Stage::kRcpt, Category::kBadConnection, kDeferred, kConnection},
                    // Words about us weigh more than a code behind them.
                    Case{"553 your sender address is not known (#5.1.1)", Stage::kRcpt, Category::kPolicyRelated,
                         kDeferred, kPath},
                    // A host's address and another server's code are no codes of this reply.
                    Case{"554 client [5.1.1.10] not welcome", Stage::kRcpt, Category::kOther, kDeferred, kPath},
                    Case{"554 host said: 450 4.2.2 full", Stage::kRcpt, Category::kOther, kDeferred, kPath}));

TEST(Classify, NoReplyIsAboutWhoDidNotAnswer) {
  const Reply none;
  EXPECT_EQ(Classify(none, Stage::kDns), (Verdict{Category::kDnsFailure, kDeferred, Scope::kDomain}));
  EXPECT_EQ(Classify(none, Stage::kConnect), (Verdict{Category::kNoAnswerFromHost, kDeferred, kHost}));
  EXPECT_EQ(Classify(none, Stage::kBanner), (Verdict{Category::kNoAnswerFromHost, kDeferred, kHost}));
  EXPECT_EQ(Classify(none, Stage::kTls), (Verdict{Category::kTlsFailure, kDeferred, kHost}));
  EXPECT_EQ(Classify(none, Stage::kRcpt), (Verdict{Category::kBadConnection, kDeferred, kConnection}));
  EXPECT_EQ(Classify(none, Stage::kContent), (Verdict{Category::kBadConnection, kDeferred, kConnection}));
}

TEST(Classify, OnlyAReplyToRcptOrContentMayBounceAndOnlyOneToContentDelivers) {
  for (int code = 200; code < 600; ++code) {
    for (int stage = 0; stage <= static_cast<int>(Stage::kQuit); ++stage) {
      for (const char* text : {"", "5.1.1 x", "5.2.1 x", "5.7.1 x", "4.2.1 x", "2.0.0 x"}) {
        const auto where = static_cast<Stage>(stage);
        const Verdict verdict = Classify({code, ParseEnhancedCode(text), text}, where);
        const bool named = where == Stage::kRcpt || where == Stage::kData || where == Stage::kContent;
        if (verdict.fate == Fate::kBounced) {
          EXPECT_TRUE(named && code >= 500) << code << text << ToString(where);
          EXPECT_EQ(verdict.scope, kRecipient);
        }
        EXPECT_EQ(verdict.fate == Fate::kDelivered, where == Stage::kContent && code < 300);
        if (code == 421) {
          EXPECT_EQ(verdict.scope, kConnection);
        } else if (code >= 400 && code < 500 && named) {
          EXPECT_EQ(verdict.scope, kRecipient);
        }
      }
    }
  }
}

}  // namespace
}  // namespace postrider
