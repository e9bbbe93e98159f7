#include "engine/message/template.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/message/rendering.h"

namespace postrider::message {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Plain(std::string_view headers, std::string_view body) {
  return "From: shop@example.com\nSubject: s\n" + std::string(headers) + "\n" + std::string(body);
}

TEST(Template, ListsTheFieldsARowShouldBring) {
  const TemplatePtr compiled = MustCompile(
      "From: a@example.com\nTo: {{name}} <{{to}}>\nSubject: {{b}} {{id}} {{campaign}}\n\n{{a|x}} {{name}} "
      "{{domain}}\n");
  EXPECT_THAT(compiled->fields(), testing::ElementsAre("name", "b", "a"));
  EXPECT_EQ(compiled->FindField("b"), 1u);
  EXPECT_EQ(compiled->FindField("to"), std::nullopt);
  EXPECT_EQ(compiled->FindField("zz"), std::nullopt);
  EXPECT_EQ(compiled->from_address(), "a@example.com");
}

TEST(Template, LeavesOutAByteOrderMark) {
  const std::string text = "Subject: {{name}}\nFrom: a@example.com\n\nhi {{name}}\n";
  EXPECT_EQ(MustRender(*MustCompile("\xef\xbb\xbf" + text), {{"name", "Ana"}}),
            MustRender(*MustCompile(text), {{"name", "Ana"}}));
}

TEST(Template, FillsBuiltInFields) {
  const TemplatePtr compiled = MustCompile(Plain("", "{{to}} {{id}} {{domain}} {{campaign}}\n"));
  EXPECT_EQ(PartText(MustRender(*compiled, {}), {}), "ana@example.org 4711 example.org offer\n");
}

TEST(Template, UsesADefaultForAMissingAndForAnEmptyValue) {
  const TemplatePtr compiled = MustCompile(Plain("", "[{{a|none}}] [{{b}}]\n"));
  EXPECT_EQ(PartText(MustRender(*compiled, {{"b", "x"}}), {}), "[none] [x]\n");
  EXPECT_EQ(PartText(MustRender(*compiled, {{"a", ""}, {"b", ""}}), {}), "[none] []\n");
  EXPECT_EQ(Refusal(*compiled, {{"a", "x"}}), "field \"b\" has no value in this row and no default in the message");
}

TEST(Template, EscapesInHtmlOnly) {
  const std::string body = "{{x}} {{{x}}} {{y|<i>&</i>}}";
  const std::string value = "<b>\"Tom\" & 'Ann'</b>";
  const std::string escaped = "&lt;b&gt;&quot;Tom&quot; &amp; &#39;Ann&#39;&lt;/b&gt;";
  const TemplatePtr html = MustCompile(Plain("Content-Type: text/html\n", body));
  EXPECT_EQ(PartText(MustRender(*html, {{"x", value}}), {}), escaped + " " + value + " <i>&</i>\n");
  const TemplatePtr text = MustCompile(Plain("", body));
  EXPECT_EQ(PartText(MustRender(*text, {{"x", value}}), {}), value + " " + value + " <i>&</i>\n");
}

TEST(Template, MakesWhatIsMissingAndTheSameEachTime) {
  const TemplatePtr compiled = MustCompile("From: a@example.com\n\nhi\n");
  const std::string first = MustRender(*compiled, {});
  EXPECT_EQ(MustRender(*compiled, {}), first);
  EXPECT_EQ(HeaderText(first, "Date"), "Mon, 23 Nov 2026 09:05:00 +0000");
  EXPECT_EQ(HeaderText(first, "To"), "ana@example.org");
  EXPECT_EQ(HeaderText(first, "MIME-Version"), "1.0");
  std::string id;
  compiled->AppendMessageId(SampleJob(""), id);
  EXPECT_EQ(HeaderText(first, "Message-ID"), id);
  EXPECT_THAT(id, testing::MatchesRegex("<[0-9a-f]{16}\\.7@out\\.example\\.com>"));

  RenderJob other = SampleJob("");
  other.row = 8;
  std::string other_id;
  compiled->AppendMessageId(other, other_id);
  EXPECT_NE(id.substr(0, 17), other_id.substr(0, 17));
  other.row = 7;
  other.accepted_at += std::chrono::milliseconds(1);
  other_id.clear();
  compiled->AppendMessageId(other, other_id);
  EXPECT_NE(id, other_id);
}

TEST(Template, KeepsTheSubmittersOwnMessageIdAndDate) {
  const TemplatePtr literal = MustCompile(Plain("Message-ID: <a@b>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n", "x\n"));
  std::string id;
  literal->AppendMessageId(SampleJob(""), id);
  EXPECT_EQ(id, "<a@b>");
  EXPECT_EQ(HeaderText(MustRender(*literal, {}), "Message-ID"), "<a@b>");

  const TemplatePtr merged = MustCompile(Plain("Message-ID: <{{id}}.{{n}}@b.example>\n", "x\n"));
  const std::string fields = Pack(*merged, {{"n", "9"}});
  id.clear();
  merged->AppendMessageId(SampleJob(fields), id);
  EXPECT_EQ(id, "<4711.9@b.example>");
  EXPECT_EQ(HeaderText(MustRender(*merged, {{"n", "9"}}), "Message-ID"), id);
}

TEST(Template, RemovesWhatIsNotForTheRecipient) {
  const std::string message =
      MustRender(*MustCompile(Plain(
                     "Bcc: b@example.com\nReturn-Path: <r@x>\nX-Sender: s@x\nX-Receiver: r@x\nX-Campaign: c\n", "x\n")),
                 {});
  for (const char* gone : {"Bcc", "Return-Path", "X-Sender", "X-Receiver", "X-Campaign"}) {
    EXPECT_EQ(HeaderText(message, gone), "(0 headers)") << gone;
  }
}

TEST(Template, SetsTheManifestsHeadersInPlaceOrAtTheEnd) {
  CompileOptions options;
  options.headers = {{"Subject", "Grüße {{n}}"}, {"X-Batch", "{{campaign}}"}};
  options.default_from = "Shop <shop@example.com>";
  const std::string message = MustRender(*MustCompile("Subject: old\nX-A: 1\n\nx\n", options), {{"n", "Zoë"}});
  EXPECT_EQ(message.substr(0, 9), "Subject: ");
  EXPECT_EQ(HeaderText(message, "Subject"), "Grüße Zoë");
  EXPECT_EQ(HeaderText(message, "X-Batch"), "offer");
  EXPECT_EQ(HeaderText(message, "From"), "Shop <shop@example.com>");

  options.headers = {{"X-A", "1\nX-B: 2"}, {"Content-Type", "text/html"}, {"Bad Name", "x"}, {"Subject", "{{open"}};
  const std::string errors = CompileErrors("\nx\n", options);
  EXPECT_THAT(errors, HasSubstr("header X-A of the manifest: its value must be one line"));
  EXPECT_THAT(errors, HasSubstr("header Content-Type of the manifest: it cannot be set there"));
  EXPECT_THAT(errors, HasSubstr("header Bad Name of the manifest: this cannot be a header's name"));
  EXPECT_THAT(errors, HasSubstr("does not close on its line (set in the manifest)"));
}

TEST(Template, SendsPlainAsciiAsItIs) {
  const std::string body = "line one\n\n  indented = sign\n" + std::string(998, 'x') + "\n";
  const std::string message = MustRender(*MustCompile(Plain("", body)), {});
  EXPECT_EQ(HeaderText(message, "Content-Transfer-Encoding"), "(0 headers)");
  EXPECT_EQ(PartText(message, {}), body);
  EXPECT_EQ(FormProblem(message), "");
}

TEST(Template, EncodesALineTooLongForSmtp) {
  const std::string body = std::string(5000, 'x') + "\n";
  const std::string message = MustRender(*MustCompile(Plain("", body)), {});
  EXPECT_EQ(HeaderText(message, "Content-Transfer-Encoding"), "quoted-printable");
  EXPECT_EQ(PartText(message, {}), body);
  EXPECT_EQ(FormProblem(message), "");
}

TEST(Template, TurnsEveryCharsetIntoUtf8) {
  struct Case {
    const char* charset;
    const char* bytes;
  };
  for (const Case& c : {Case{"iso-8859-1",
                             "Gr\xfc\xdf"
                             "e"},
                        Case{"windows-1252",
                             "Gr\xfc\xdf"
                             "e"},
                        Case{"utf-8", "Grüße"},
                        Case{"us-ascii",
                             "Gr\xfc\xdf"
                             "e"},
                        Case{"us-ascii", "Grüße"},
                        Case{"iso-8859-15",
                             "Gr\xfc\xdf"
                             "e"}}) {
    const std::string headers = std::string("Content-Type: text/plain; charset=") + c.charset + "\n";
    const std::string message =
        MustRender(*MustCompile(Plain(headers, std::string(c.bytes) + " {{x}}\n")), {{"x", "日"}});
    EXPECT_EQ(PartText(message, {}), "Grüße 日\n") << c.charset;
    EXPECT_EQ(HeaderText(message, "Content-Type"), "text/plain; charset=utf-8");
    EXPECT_EQ(FormProblem(message), "");
  }
}

TEST(Template, KeepsEightBitOnlyIfAsked) {
  const std::string text =
      Plain("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "Grüße {{x}}\n");
  EXPECT_FALSE(MustCompile(text)->needs_8bit());
  CompileOptions options;
  options.eight_bit = true;
  const TemplatePtr compiled = MustCompile(text, options);
  EXPECT_TRUE(compiled->needs_8bit());
  const std::string message = MustRender(*compiled, {{"x", "Zoë"}});
  EXPECT_THAT(message, HasSubstr("\r\n\r\nGrüße Zoë\r\n"));
  EXPECT_EQ(HeaderText(message, "Content-Transfer-Encoding"), "8bit");
  EXPECT_EQ(FormProblem(message, true), "");
  // Headers are encoded all the same, and what was encoded stays so.
  EXPECT_FALSE(MustCompile(Plain("Content-Transfer-Encoding: base64\n", "aGk=\n"), options)->needs_8bit());
}

TEST(Template, RefusesRowsWhoseEightBitLinesCannotBeSent) {
  CompileOptions options;
  options.eight_bit = true;
  const TemplatePtr compiled = MustCompile(
      "From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; "
      "charset=utf-8\n\n"
      "{{x}}{{y|}}\n{{x}}ü\n--b--\n",
      options);
  EXPECT_EQ(Refusal(*compiled, {{"x", "fine"}}), "");
  EXPECT_EQ(Refusal(*compiled, {{"x", std::string(996, 'x')}}), "");
  EXPECT_THAT(Refusal(*compiled, {{"x", std::string(997, 'x')}}), HasSubstr("a line has 999 octets"));
  EXPECT_THAT(Refusal(*compiled, {{"x", "--b"}}), HasSubstr("reads as a MIME boundary"));
  EXPECT_THAT(Refusal(*compiled, {{"x", "-"}, {"y", "-b--"}}), HasSubstr("reads as a MIME boundary"));
}

TEST(Template, NeverLetsAValueMakeABoundary) {
  for (const char* body : {"{{x}}\n", "{{x}}{{y|}}\n", "{{y|}}--b\n", "a{{x}}{{x}}{{x}}\n"}) {
    const TemplatePtr compiled = MustCompile(
        "From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n" + std::string(body) + "--b--\n");
    for (const std::string& value : {std::string("--b"), std::string("--b--"), std::string(72, 'x') + "--b",
                                     std::string(75, 'x') + "--b", std::string(76, 'x') + "--b--"}) {
      const std::string message = MustRender(*compiled, {{"x", value}});
      Findings findings("", message);
      EXPECT_EQ(ParseMessage(message, findings).parts.size(), 1u) << message;
    }
  }
}

// Every position of a header a value can stand in.
struct Position {
  const char* header;
  bool harmless_text_fits;  // else only an address or a token does
};
const Position kPositions[] = {
    {"Subject: {{x}}", true},
    {"X-Any: a {{x}} b", true},
    {"To: {{x}} <a@example.org>", true},
    {"To: \"{{x}}\" <a@b.example>", true},
    {"To: A {{x}} B <{{to}}>", true},
    {"Cc: {{x}}", false},
    {"Cc: a@b.example, {{x}}", false},
    {"Reply-To: <{{x}}>", false},
    {"Reply-To: r+{{x}}@example.com", false},
    {"List-Unsubscribe: <https://x/{{x}}>", true},
    {"Message-ID: <{{x}}@example.com>", false},
    {"References: <{{x}}@example.com>", false},
};

TEST(Template, RefusesLineEndsAndControlsInEveryHeaderPosition) {
  for (const Position& position : kPositions) {
    const TemplatePtr compiled = MustCompile("From: f@example.com\n" + std::string(position.header) + "\n\nx\n");
    ASSERT_NE(compiled, nullptr) << position.header;
    for (const std::string& bad :
         {std::string("a\r\nX-Evil: 1"), std::string("a\nb"), std::string("a\rb"), std::string("a\0b", 3),
          std::string("\x1b[0m"), std::string("\x7f"), std::string("a\xff"), std::string("12345678\n"),
          std::string("1234567\r"), std::string("\xed\xa0\x80")}) {
      EXPECT_NE(Refusal(*compiled, {{"x", bad}}), "") << position.header << " took " << bad;
    }
  }
}

TEST(Template, NeverLetsAValueAddAHeaderOrAnAddress) {
  for (const Position& position : kPositions) {
    const TemplatePtr compiled = MustCompile("From: f@example.com\n" + std::string(position.header) + "\n\nx\n");
    const std::string header(std::string_view(position.header).substr(0, std::string_view(position.header).find(':')));
    for (const std::string& value :
         {std::string("evil@example.com"), std::string("x>, <evil@example.com"), std::string("a, evil@example.com"),
          std::string("\" <evil@example.com>, \""), std::string("\\"), std::string("\"\\\""), std::string("a: b;"),
          std::string("(comment"), std::string("=?utf-8?q?=0D=0AX-Evil:_1?="),
          std::string("=?utf-8?q?_,_evil@example.com?="), std::string("ü, evil@example.com"), std::string(400, '"'),
          std::string(5000, 'x'), std::string("a ") + std::string(900, ' ') + "b", std::string("<"), std::string(">"),
          std::string("%0d%0a"), std::string("{{to}}"), std::string("日本, <e@example.com>")}) {
      const std::string fields = Pack(*compiled, {{"x", value}});
      const RenderJob job = SampleJob(fields);
      const bool passes = compiled->Check(job).has_value();
      std::string message;
      EXPECT_EQ(compiled->Render(job, message).has_value(), passes) << position.header << " with " << value;
      if (position.harmless_text_fits && value.size() < 300) {
        EXPECT_TRUE(passes) << position.header << " with " << value;
      }
      if (!passes) continue;
      EXPECT_EQ(FormProblem(message), "") << position.header << " with " << value;
      Findings findings("", message);
      const Entity entity = ParseMessage(message, findings);
      EXPECT_TRUE(findings.empty());
      EXPECT_EQ(entity.headers.size(), compiled->fields().size() + (header == "To" || header == "Message-ID" ? 4u : 5u))
          << message;
      // Read as a template, the rendered message has as many addresses in it as the first one.
      if (header == "To" || header == "Cc" || header == "Reply-To") {
        const std::string rendered = HeaderValues(message, header).front();
        std::size_t outside = 0;
        bool quoted = false;
        for (std::size_t i = 0; i < rendered.size(); ++i) {
          if (rendered[i] == '\\') {
            ++i;
          } else if (rendered[i] == '"') {
            quoted = !quoted;
          } else if (rendered[i] == ',' && !quoted) {
            ++outside;
          }
        }
        EXPECT_FALSE(quoted) << rendered;
        EXPECT_EQ(outside, std::string_view(position.header).find(',') == std::string_view::npos ? 0u : 1u) << rendered;
      }
    }
  }
}

TEST(Template, KeepsAValueWithinItsPartOfAUri) {
  struct Case {
    const char* uri;
    const char* value;
    const char* rendered;
  };
  for (const Case& one : {
           Case{"https://u.example/?e={{x}}&l=1", "ann+x@example.org", "https://u.example/?e=ann%2Bx@example.org&l=1"},
           Case{"https://u.example/?e={{x}}&l=1", "a&b#c@example.org",
                "https://u.example/?e=a%26b%23c@example.org&l=1"},
           Case{"https://u.example/{{x}}", "a/b?c=d%20;e", "https://u.example/a%2Fb%3Fc%3Dd%2520%3Be"},
           Case{"mailto:out@u.example?subject={{x}}", "Zo\u00eb -._~", "mailto:out@u.example?subject=Zo%C3%AB%20-._~"},
           Case{"https://u.example/{{{x}}}", "a/b?c=d%20+e f", "https://u.example/a/b?c=d%20+e%20f"},
           Case{"https://u.example/{{x|a/b?c=d}}", "", "https://u.example/a/b?c=d"},
           // The whole URI, or its front.
           Case{"{{x}}", "https://u.example/?a=b+c&d=%20 e", "https://u.example/?a=b+c&d=%20%20e"},
           Case{" {{x}}/u", "https://u.example:8080", " https://u.example:8080/u"},
       }) {
    const TemplatePtr compiled =
        MustCompile("From: f@example.com\nList-Unsubscribe: <" + std::string(one.uri) + ">\n\nx\n");
    ASSERT_NE(compiled, nullptr) << one.uri;
    EXPECT_EQ(HeaderText(MustRender(*compiled, {{"x", one.value}}), "List-Unsubscribe"),
              "<" + std::string(one.rendered) + ">");
  }
  const TemplatePtr compiled = MustCompile("From: f@example.com\nList-Unsubscribe: <{{a}}?e={{b}}>\n\nx\n");
  EXPECT_EQ(HeaderText(MustRender(*compiled, {{"a", "https://u.example/<"}, {"b", "+"}}), "List-Unsubscribe"),
            "<https://u.example/%3C?e=%2B>");
}

TEST(Template, ChecksAMergedAddress) {
  const TemplatePtr compiled = MustCompile("From: f@example.com\nReply-To: {{x}}\n\nx\n");
  for (const char* good : {"a@example.org", "a.b+c@sub.example.org", "\"a b\"@example.org", "a@[192.0.2.1]"}) {
    EXPECT_EQ(Refusal(*compiled, {{"x", good}}), "") << good;
    EXPECT_EQ(HeaderText(MustRender(*compiled, {{"x", good}}), "Reply-To"), good);
  }
  EXPECT_EQ(HeaderText(MustRender(*compiled, {{"x", "a@bücher.example"}}), "Reply-To"), "a@xn--bcher-kva.example");
  for (const char* bad : {"", "a", "@b", "a@", "a@b@c", "a b@c.example", "a@-b.example", "a..b@c.example",
                          "ü@example.org", "a@b,c@d.example", "A <a@b.example>", "a@b.example>"}) {
    EXPECT_NE(Refusal(*compiled, {{"x", bad}}), "") << bad;
  }
}

TEST(Template, BoundsWhatARowCanMakeOfIt) {
  CompileOptions options;
  options.size_max = 2000;
  const TemplatePtr compiled = MustCompile(Plain("", "{{x}}{{x}}{{x}}{{x}}\n"), options);
  EXPECT_EQ(Refusal(*compiled, {{"x", std::string(50, 'x')}}), "");
  EXPECT_THAT(Refusal(*compiled, {{"x", std::string(1000, 'x')}}), HasSubstr("at most 4000 are allowed"));
}

TEST(Template, RefusesPackedFieldsThatDoNotFit) {
  const TemplatePtr compiled = MustCompile(Plain("", "{{a|}}{{b|}}\n"));
  std::string out;
  for (const std::string& packed : {std::string(), std::string("\0", 1),
                                    std::string("\x09"
                                                "abc",
                                                4),
                                    std::string("\xff\xff\xff\xff\xff\xff", 6), std::string("\0\0\0", 3)}) {
    const RenderJob job = SampleJob(packed);
    EXPECT_EQ(compiled->Check(job).error().code, ErrorCode::kCorrupt);
    EXPECT_EQ(compiled->Render(job, out).error().code, ErrorCode::kCorrupt);
  }
}

TEST(Template, WritesTheSameTextInEveryEncoding) {
  // Random texts around random values: whatever the literals' encoding, decoding gives the expected text.
  std::mt19937 random(23);
  const std::vector<std::string> words = {"a",
                                          "word ",
                                          " ",
                                          "\n",
                                          "\n\n",
                                          "-",
                                          "--b",
                                          "=",
                                          "ü",
                                          "日本語",
                                          "😀",
                                          ".",
                                          "\t",
                                          std::string(60, 'z'),
                                          std::string(80, 'q'),
                                          "\nFrom ",
                                          "<&>",
                                          "ж"};
  const auto text = [&](std::size_t most) {
    std::string made;
    for (std::size_t i = random() % (most + 1); i > 0; --i) made += words[random() % words.size()];
    return made;
  };
  for (int round = 0; round < 2000; ++round) {
    std::string body;
    std::string expected;
    FieldMap values;
    std::string cjk = round % 3 == 0 ? "日本語日本語日本語日本語" : "";
    body += cjk;
    expected += cjk;
    for (std::size_t piece = random() % 6; piece > 0; --piece) {
      const std::string literal = text(12);
      body += literal;
      expected += literal;
      std::string value = text(6);
      std::erase(value, '\n');
      const std::string name = "f" + std::to_string(piece);
      values[name] = value;
      body += "{{" + name + "}}";
      expected += value;
    }
    const bool inner = round % 2 == 0;
    const std::string headers = "Content-Type: text/plain; charset=utf-8\n\n";
    const std::string whole = inner ? "From: a@b.example\nContent-Type: multipart/mixed; boundary=zz\n\n--zz\n" +
                                          headers + body + "\n--zz--\n"
                                    : "From: a@b.example\n" + headers + body + "\n";
    const TemplatePtr compiled = MustCompile(whole);
    ASSERT_NE(compiled, nullptr);
    const std::string message = MustRender(*compiled, values);
    ASSERT_EQ(FormProblem(message), "") << message;
    std::string decoded = PartText(message, inner ? std::vector<std::size_t>{0} : std::vector<std::size_t>{});
    if (!inner) {
      ASSERT_TRUE(decoded.ends_with('\n'));
      decoded.pop_back();
    }
    if (decoded.ends_with('\n') && !expected.ends_with('\n')) decoded.pop_back();
    ASSERT_EQ(decoded, expected) << message;
    for (std::size_t at = message.find("\r\n\r\n"); at != std::string::npos && at < message.size();) {
      const std::size_t end = message.find("\r\n", at);
      if (end == std::string::npos) break;
      if (HeaderText(message, "Content-Transfer-Encoding") != "(0 headers)") {
        ASSERT_LE(end - at, 76u);
      }
      at = end + 2;
    }
  }
}

TEST(Template, RendersABigMessageWhole) {
  std::string body;
  for (int i = 0; i < 200'000; ++i) body += "line " + std::to_string(i) + (i % 1000 == 0 ? " {{x}} ü\n" : " = plain\n");
  const TemplatePtr compiled = MustCompile(Plain("Content-Type: text/plain; charset=utf-8\n", body));
  const std::string message = MustRender(*compiled, {{"x", "Zoë"}});
  std::string expected = body;
  for (std::size_t at = 0; (at = expected.find("{{x}}", at)) != std::string::npos;) expected.replace(at, 5, "Zoë");
  EXPECT_EQ(PartText(message, {}), expected);
}

TEST(Template, AppendsBehindWhatIsThere) {
  const TemplatePtr compiled = MustCompile(Plain("", "{{x}}\n"));
  const std::string fields = Pack(*compiled, {{"x", "v"}});
  std::string out = "MAIL FROM ";
  ASSERT_TRUE(compiled->Render(SampleJob(fields), out));
  EXPECT_EQ(out, "MAIL FROM " + MustRender(*compiled, {{"x", "v"}}));
}

TEST(Template, TellsWhichAddressesNeedSmtputf8) {
  EXPECT_FALSE(MustCompile("From: ü <a@b.example>\n\nx\n")->needs_smtputf8());
  const TemplatePtr compiled = MustCompile("From: ü@b.example\n\nx\n");
  EXPECT_TRUE(compiled->needs_smtputf8());
  EXPECT_EQ(HeaderText(MustRender(*compiled, {}), "From"), "ü@b.example");
}

}  // namespace
}  // namespace postrider::message
