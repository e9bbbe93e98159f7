"""The campaigns that every real server receives, and what must arrive: each knows its text independently of the program
that sends it. Together they hold what goes wrong between mail programs: dots at line starts, 8-bit text, long headers,
names beyond ASCII, merge fields inside quoted-printable and base64 parts, an attachment, and addresses beyond ASCII."""

import base64
import email
import email.policy
import json
import os
import quopri
import re

ROWS = 24
NAMES = ["Ana", "Björn Åkesson", "Chloé d'Été", "Дмитрий", "O'Neil & Sons <ltd>", "Íñigo \"Nacho\" Ruiz", "愛子", "Eva"]
TRACKED = "X-Row: {{campaign}}/{{id}}\n"
DATED = "Date: Mon, 23 Nov 2026 09:05:00 +0000\nMessage-ID: <{{id}}.{{campaign}}@shop.test>\nMIME-Version: 1.0\n"
FROM = 'From: "The Shop" <news@shop.test>\n'


class Campaign:
    """manifest: further lines. text: the message with LF line ends. rows: dictionaries as in recipients.jsonl."""

    def __init__(self, name, text, rows, manifest="", smtputf8=False):
        self.name = name
        self.text = text
        self.rows = rows
        self.manifest = manifest
        self.smtputf8 = smtputf8

    def write(self, directory):
        folder = os.path.join(directory, self.name)
        os.makedirs(folder)
        with open(os.path.join(folder, "campaign.toml"), "w", encoding="utf-8") as file:
            file.write(f'format = 1\nclass = "bulk"\nenvelope_from = "bounces@shop.test"\n{self.manifest}'
                       f"recipients = {len(self.rows)}\n")
        with open(os.path.join(folder, "message.eml"), "w", encoding="utf-8", newline="") as file:
            file.write(self.text)
        with open(os.path.join(folder, "recipients.jsonl"), "w", encoding="utf-8") as file:
            for row in self.rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return folder

    def key(self, row):
        return f"{self.name}/{row['id']}"

    def merged(self, text, row):
        """Text with the plain values of a row in it."""
        values = {**row, "campaign": self.name}
        return re.sub(r"\{\{(\w+)(?:\|([^}]*))?\}\}",
                      lambda field: values.get(field.group(1), field.group(2)), text)

    def check(self, case, row, message):
        """message: the bytes that arrived, trace headers aside."""
        raise NotImplementedError


def row_key(message):
    """Which row of which campaign a stored message is."""
    found = re.search(rb"^X-Row: (\S+)\r$", message, re.MULTILINE)
    return found and found.group(1).decode()


def parsed(message):
    return email.message_from_bytes(message, policy=email.policy.default)


def lines_of(text):
    """A decoded part's lines, whatever its line ends are."""
    return text.replace("\r\n", "\n").split("\n")


class Verbatim(Campaign):
    """What needs no encoding arrives as the submitter wrote it, fields replaced, in CRLF lines."""

    def check(self, case, row, message):
        case.assertEqual(self.merged(self.text, row).replace("\n", "\r\n").encode(), message)


class Headers(Campaign):
    SUBJECT = ("News for {{name}} from the shop at the corner, about everything that came in since you were here last, "
               "and about what {{name}} will hardly find anywhere else before the end of the year")
    WORDS = " ".join(f"word{n}" for n in range(120))

    def check(self, case, row, message):
        head = message.split(b"\r\n\r\n")[0]
        for line in head.split(b"\r\n"):
            case.assertLessEqual(len(line), 78, line)
            case.assertTrue(line.isascii(), line)
        seen = parsed(message)
        case.assertEqual(self.merged(self.SUBJECT, row), seen["Subject"])
        case.assertEqual(self.merged(self.WORDS + " {{name}}", row), seen["X-Words"])
        to, = seen["To"].addresses
        case.assertEqual((row["name"], row["to"]), (to.display_name, to.addr_spec))
        case.assertEqual(f"<https://shop.test/leave?who={row['id']}>", seen["List-Unsubscribe"])


class Encoded(Campaign):
    """A quoted-printable text, a base64 HTML text and a base64 attachment: fields are replaced inside the encodings."""

    TEXT = ("Dear {{name}},\n\n.a dot begins this line, and = and =3D are not codes here.\n"
            "Grüße – this line is longer than seventy-six characters, and so it needs soft breaks: {{name}} {{name}}.\n"
            "trailing space \nFrom the shop\n..\n{{name|nobody}}\n")
    HTML = ("<html><body>\n<p>Dear <b>{{name}}</b>,</p>\n<p>.Ärger &amp; Öl, number {{id}}</p>\n" +
            "<p>" + "Здравствуйте, " * 60 + "</p>\n</body></html>\n")
    ATTACHED = bytes(range(256)) * 9

    @classmethod
    def template(cls):
        attached = base64.encodebytes(cls.ATTACHED).decode()
        return (FROM + 'To: {{name}} <{{to}}>\nSubject: encoded parts\n' + DATED + TRACKED +
                'Content-Type: multipart/mixed; boundary="outer"\n\n--outer\n'
                'Content-Type: multipart/alternative; boundary="inner"\n\n--inner\n'
                "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" +
                quopri.encodestring(cls.TEXT.encode()).decode() +
                "\n--inner\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n" +
                base64.encodebytes(cls.HTML.encode()).decode() +
                "\n--inner--\n--outer\nContent-Type: application/octet-stream\n"
                'Content-Disposition: attachment; filename="all.bin"\nContent-Transfer-Encoding: base64\n\n' +
                attached + "\n--outer--\n")

    def check(self, case, row, message):
        case.assertTrue(message.isascii())
        for line in message.split(b"\r\n"):
            case.assertLessEqual(len(line), 78, line)
        seen = parsed(message)
        escaped = {**row, "name": row["name"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
                                             .replace('"', "&quot;").replace("'", "&#39;")}
        text = seen.get_body(("plain",))
        html = seen.get_body(("html",))
        case.assertEqual("quoted-printable", text["Content-Transfer-Encoding"])
        case.assertEqual("base64", html["Content-Transfer-Encoding"])
        case.assertEqual(lines_of(self.merged(self.TEXT, row)), lines_of(text.get_content()))
        case.assertEqual(lines_of(self.merged(self.HTML, escaped)), lines_of(html.get_content()))
        attached, = seen.iter_attachments()
        case.assertEqual(self.ATTACHED, attached.get_content())


class Made(Campaign):
    """A message with next to no headers and 8-bit text: what is missing is made, and 8-bit text becomes 7-bit."""

    BODY = "Grüße an {{name}}.\n.\nEnde.\n"

    def check(self, case, row, message):
        case.assertTrue(message.isascii())
        seen = parsed(message)
        for name in ["Date", "Message-ID", "MIME-Version", "From", "To", "Subject"]:
            case.assertEqual(1, len(seen.get_all(name, [])), name)
        case.assertNotIn("Bcc", seen)
        case.assertRegex(seen["Message-ID"], r"^<\S+@sender\.test>$")
        case.assertEqual(row["to"], seen["To"].addresses[0].addr_spec)
        case.assertEqual(lines_of(self.merged(self.BODY, row)), lines_of(seen.get_content()))


# The fields of the first stand in its headers alone: a text part with fields may need more than ASCII, and is encoded.
DOTS = ("..\n.\n...\n. \n.hidden\n\n.\nin the middle . of a line\n" + "x" * 997 + "\n." + "y" * 996 + "\n" +
        "\n".join("." * n for n in range(1, 75)) + "\n\n\n.\n")
EIGHT_BIT = ("Grüße, {{name}}!\n.Ärger\n{{quote}}\n{{quote}} in the middle {{quote}}\n.{{id}}\n"
             "Čeština, Ελληνικά, Русский, 日本語, 🙂\n{{name}}\n" + "ü" * 490 + "\n.\nEnde\n")


def all_campaigns(domains):
    """For recipients in these domains, in turn."""

    def rows(prefix, local=lambda n: f"reader{n}", **more):
        return [{"to": f"{local(n)}@{domains[n % len(domains)]}", "id": f"{prefix}{n}", "name": NAMES[n % len(NAMES)],
                 **{key: value(n) for key, value in more.items()}} for n in range(ROWS)]

    plain = FROM + "To: {{to}}\nSubject: {}\n" + DATED + TRACKED
    return [
        Verbatim("dots", plain.replace("{}", "dots") + "Content-Type: text/plain; charset=us-ascii\n"
                 "Content-Transfer-Encoding: 7bit\n\n" + DOTS,
                 rows("d")),
        Verbatim("eight-bit", plain.replace("{}", "eight bits") + "Content-Type: text/plain; charset=utf-8\n"
                 "Content-Transfer-Encoding: 8bit\n\n" + EIGHT_BIT,
                 rows("e", quote=lambda n: [".", "..", ".start", "plain"][n % 4]), manifest="eight_bit = true\n"),
        Headers("long-headers", FROM + "To: {{name}} <{{to}}>\n" + f"Subject: {Headers.SUBJECT}\n" + DATED + TRACKED +
                "List-Unsubscribe: <https://shop.test/leave?who={{id}}>\n" + f"X-Words: {Headers.WORDS} {{{{name}}}}\n"
                "\nHello.\n", rows("h")),
        Encoded("encoded", Encoded.template(), rows("q")),
        Made("made", FROM + "Bcc: boss@shop.test\nSubject: made\n" + TRACKED + "\n" + Made.BODY, rows("m")),
        Verbatim("beyond-ascii", plain.replace("{}", "an address beyond ASCII").replace("{{to}}", "readers@shop.test")
                 + "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n\nHello.\n",
                 rows("u", local=lambda n: f"jürgen.{n}"), smtputf8=True),
    ]
