// Broken messages: what is said, and where.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/message/rendering.h"

namespace postrider::message {
namespace {

using testing::HasSubstr;

struct Case {
  const char* name;
  std::string message;
  const char* expected;  // part of what is said
};

class BrokenMessage : public testing::TestWithParam<Case> {};

TEST_P(BrokenMessage, IsToldWithItsPlace) {
  const std::string errors = CompileErrors(GetParam().message);
  EXPECT_THAT(errors, HasSubstr(GetParam().expected));
  // CRLF changes neither the finding nor its line.
  std::string crlf;
  for (std::size_t i = 0; i < GetParam().message.size(); ++i) {
    const char c = GetParam().message[i];
    if (c == '\n' && (i == 0 || GetParam().message[i - 1] != '\r')) crlf += '\r';
    crlf += c;
  }
  EXPECT_THAT(CompileErrors(crlf), HasSubstr(GetParam().expected));
}

const std::string kFrom = "From: a@b.example\n";
const std::string kLong(999, 'x');

std::string Nested(int depth) {
  std::string message = kFrom;
  for (int i = 0; i < depth; ++i) {
    message += "Content-Type: multipart/mixed; boundary=b" + std::to_string(i) + "\n\n--b" + std::to_string(i) + "\n";
  }
  message += "\nx\n";
  for (int i = depth - 1; i >= 0; --i) message += "--b" + std::to_string(i) + "--\n";
  return message;
}

std::string Parts(int count) {
  std::string message = kFrom + "Content-Type: multipart/mixed; boundary=b\n\n";
  for (int i = 0; i < count; ++i) message += "--b\n\nx\n";
  return message + "--b--\n";
}

std::string ManyFields(int count) {
  std::string message = kFrom + "\n";
  for (int i = 0; i < count; ++i) message += "{{f" + std::to_string(i) + "}}\n";
  return message;
}

INSTANTIATE_TEST_SUITE_P(
    Compile, BrokenMessage,
    testing::Values(
        Case{"Empty", "", "message.eml: the message is empty"},
        Case{"NoHeaders", "\nbody\n", "message.eml:1:1: the message has no From header"},
        Case{"Mbox", "From a@b Mon\n" + kFrom + "\nx", "message.eml:1:1: the first line is an mbox separator"},
        Case{"NotAHeader", kFrom + "hello there\n\nx", "message.eml:2:1: expected a header"},
        Case{"BlankBeforeColon", kFrom + "Subject : x\n\nx", "message.eml:2:1: expected a header"},
        Case{"BeginsFolded", " x\n" + kFrom + "\nx", "message.eml:1:1: the message begins with a blank"},
        Case{"Nul", kFrom + "\na" + std::string("\0", 1) + "b\n", "message.eml:3:2: a NUL"},
        Case{"BareCr", kFrom + "\nab\rc\n", "message.eml:3:3: a CR without LF"},
        Case{"TwoSubjects", kFrom + "Subject: a\nsubject: b\n\nx",
             "message.eml:3:10: header subject: it may stand only once"},
        Case{"TwoFromHeaders", kFrom + kFrom + "\nx", "message.eml:2:7: header From: it may stand only once"},
        Case{"TwoFromAddresses", "From: a@b.example, c@d.example\n\nx",
             "1:7: header From: expected one address, found 2"},
        Case{"BadFrom", "From: nobody\n\nx", "message.eml:1:7: header From: \"nobody\" is not an address"},
        Case{"OpenAngle", kFrom + "To: A <a@b.example\n\nx", "message.eml:2:5: header To: a \"<\" is not closed"},
        Case{"OpenQuote", kFrom + "To: \"A <a@b.example>\n\nx", "message.eml:2:5: header To: a quote is not closed"},
        Case{"FieldInDate", kFrom + "Date: {{d}}\n\nx", "message.eml:2:7: header Date: merge fields cannot stand here"},
        Case{"FieldInContentType", kFrom + "Content-Type: text/{{x}}\n\nx", "2:20: header Content-Type: merge fields"},
        Case{"FieldOutsideAngles", kFrom + "List-Unsubscribe: {{u}}\n\nx", "must stand between \"<\" and \">\""},
        Case{"OpenField", kFrom + "Subject: a\n b {{c\n\nx",
             "message.eml:3:4: header Subject: a merge field opens here"},
        Case{"BadFieldInBody", kFrom + "\nok {{fine}}\nab {{#if x}}\n",
             "message.eml:4:4: \"#if x\" is not a field name"},
        Case{"BadFieldInQuotedPrintable",
             kFrom + "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\na=\nb\nc {=7Bno no}}\n",
             "message.eml:7: \"no no\" is not a field name"},
        Case{"LineEndsThatAreNoneInTheirOctets",
             kFrom + "Content-Type: text/plain; charset=utf-7\nContent-Transfer-Encoding: quoted-printable\n\n" +
                 "ab\n+AAoACgAKAAoACgAKAAoACg-{{open\n",
             "message.eml:7: a merge field opens here"},
        Case{"BadQuotedPrintable", kFrom + "Content-Transfer-Encoding: quoted-printable\n\nab\n100 = 100\n",
             "message.eml:5:5: in quoted"},
        Case{"BadBase64", kFrom + "Content-Transfer-Encoding: base64\n\nQUJD\nQ#==\n", "message.eml:5:2: octet 0x23"},
        Case{"CutBase64", kFrom + "Content-Transfer-Encoding: base64\n\nQUJ\n", "base64 ends within a group"},
        Case{"UnknownEncoding", kFrom + "Content-Transfer-Encoding: uuencode\n\nx",
             "2:1: unknown Content-Transfer-Encoding"},
        Case{"UnknownCharset", kFrom + "Content-Type: text/plain; charset=klingon\n\nx",
             "charset klingon is not known"},
        Case{"NotUtf8", kFrom + "Content-Type: text/plain; charset=utf-8\n\nab\xff",
             "octet 3 is not valid in charset utf-8"},
        Case{"NoBoundary", kFrom + "Content-Type: multipart/mixed\n\nx",
             "message.eml:2:1: a multipart Content-Type must name"},
        Case{"BadBoundary", kFrom + "Content-Type: multipart/mixed; boundary=\"a\\\"b\"\n\nx",
             "2:1: the boundary is not one"},
        Case{"CutMultipart", kFrom + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n",
             "2:1: the multipart's last boundary"},
        Case{"EmptyMultipart", kFrom + "Content-Type: multipart/mixed; boundary=b\n\n--b--\n",
             "message.eml:4:1: the multipart has no part"},
        Case{
            "EncodedMultipart",
            kFrom + "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n",
            "a multipart cannot itself be quoted-printable or base64"},
        Case{"BadContentType", kFrom + "Content-Type: text\n\nx", "message.eml:2:1: Content-Type cannot be read"},
        Case{"LongHeader", kFrom + "X-A: " + kLong + "\n\nx", "header X-A: a line would pass 998 octets"},
        Case{"LongLineInBase64",
             kFrom + "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n" + kLong + "\n",
             "message.eml:6:1: a line is longer than 998"},
        Case{"EightBitInAMessagePart", kFrom + "Content-Type: message/rfc822\n\nFrom: ü\n",
             "message.eml:4:7: message/rfc822 holds octets outside"},
        Case{"FieldInASignedPart", kFrom + "Content-Type: multipart/signed; boundary=b\n\n--b\n\n{{x}}\n--b--\n",
             "message.eml:6:1: merge fields cannot stand in multipart/signed"},
        Case{"BadMessageId", kFrom + "Message-ID: abc\n\nx",
             "message.eml:2:13: header Message-ID: expected \"<left@right>\""},
        Case{"ControlInHeader", kFrom + "Subject: a\x01\n\nx", "header Subject: it holds a control character"},
        Case{"EncodedLineEndInHeader", kFrom + "Subject: {{x}} =?utf-8?q?a=0D=0Ab?=\n\nx",
             "decoded, it holds a control character"},
        Case{"NestedTooDeep", Nested(22), "parts are nested deeper than 20 levels"},
        Case{"TooManyParts", Parts(1001), "more than 1000 parts"},
        Case{"TooManyFields", ManyFields(1001), "more than 1000 different merge fields"}),
    [](const testing::TestParamInfo<Case>& tested) { return tested.param.name; });

TEST(Compile, TakesWhatIsJustWithinTheLimits) {
  EXPECT_EQ(CompileErrors(Nested(20)), "");
  EXPECT_EQ(CompileErrors(Parts(990)), "");
  EXPECT_EQ(CompileErrors(ManyFields(1000)), "");
  EXPECT_EQ(CompileErrors(kFrom + "X-A: " + kLong.substr(0, 993) + "\n\nx"), "");
}

TEST(Compile, ReportsEverythingAtOnceButNotWithoutEnd) {
  const std::string errors = CompileErrors("To: nobody\nDate: {{x}}\nMessage-ID: x\n\n{{a b}}\n{{open\n");
  for (const char* expected : {"message.eml:1:5:", "message.eml:2:7:", "message.eml:3:13:", "message.eml:5:1:",
                               "message.eml:6:1:", "no From header"}) {
    EXPECT_THAT(errors, HasSubstr(expected));
  }
  std::string many = kFrom + "\n";
  for (int i = 0; i < 5000; ++i) many += "{{!}}\n";
  const std::string bounded = CompileErrors(many);
  EXPECT_EQ(std::count(bounded.begin(), bounded.end(), '\n'), 101);
  EXPECT_THAT(bounded, HasSubstr("more problems follow"));
}

TEST(Compile, RefusesAMessageBeyondItsLimit) {
  CompileOptions options;
  options.size_max = 20;
  EXPECT_THAT(CompileErrors(kFrom + "\nlong enough", options), HasSubstr("at most 20 are allowed"));
}

TEST(Compile, SurvivesDamage) {
  // Cut and changed everywhere, it either compiles into something that renders, or says why not.
  const std::string whole =
      "From: =?utf-8?q?=C3=BC?= <a@b.example>\nTo: \"{{n}}\" <{{to}}>\nSubject: {{s|d}}\nContent-Type: "
      "multipart/mixed; boundary=\"b\"\n\n"
      "pre\n--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n=FC "
      "{{x}} =\nend\n"
      "--b\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\ne3t4fX08Yj4=\n--b--\n";
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char c : {'\0', '\n', '{', '"', '\xff', '-', '=', '<'}) {
      std::string damaged = whole;
      damaged[i] = c;
      for (const std::string& message : {damaged, damaged.substr(0, i + 1)}) {
        const auto compiled = Template::Compile(message, {});
        if (!compiled) {
          EXPECT_FALSE(compiled.error().empty());
          continue;
        }
        FieldMap values;
        for (const std::string& name : (*compiled)->fields()) values[name] = "v";
        const std::string fields = Pack(**compiled, values);
        std::string out;
        const bool rendered = (*compiled)->Render(SampleJob(fields), out).has_value();
        EXPECT_EQ(rendered, (*compiled)->Check(SampleJob(fields)).has_value()) << message;
        if (rendered) {
          EXPECT_EQ(FormProblem(out, (*compiled)->needs_smtputf8()), "") << out;
        }
      }
    }
  }
}

}  // namespace
}  // namespace postrider::message
