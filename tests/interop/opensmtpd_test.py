"""OpenSMTPD receives a campaign of each kind; and, as Debian 12 ships it, plays a receiver whose STARTTLS is broken."""

import campaigns
import sending
from certificate import Certificate
from mail_servers import OpenSmtpd
from receiver_case import ReceiverCase
from sending import loopback


class OpenSmtpdReceives(ReceiverCase):
    SERVER = OpenSmtpd


# The common case is a base, not a test of its own.
del ReceiverCase


class OpenSmtpdBreaksTls(sending.InteropCase):
    CONFIG = """\
[[rule]]
match = "*"
start_connections = "none"
connect_rate = "none"

[[rule]]
match = "required.test"
tls = "required"

[[route]]
match = "*"
hosts = ["{address}:{port}"]
allow_private = true
"""

    @classmethod
    def prepare(cls):
        certificate = Certificate(cls.directory, "mx.opensmtpd.test")
        cls.server = cls.started(OpenSmtpd(cls.directory, certificate, legacy_keys=False))
        cls.sender = cls.start_sender(cls.CONFIG.format(address=cls.server.address, port=cls.server.port))

    def test_plaintext_only_after_two_broken_handshakes_and_never_where_tls_is_required(self):
        plain = campaigns.all_campaigns(["opportunistic.test"])[0]
        held = campaigns.all_campaigns(["required.test"])[1]
        self.sender.submit(held.write(self.directory), plain.write(self.directory))
        self.sender.wait_for_totals("mail in plaintext", lambda totals: totals["delivered"] == len(plain.rows))
        loopback.wait_for("every message stored", lambda: len(self.server.stored()) == len(plain.rows), seconds=30)
        status = self.sender.status()
        self.assertEqual(len(held.rows), status["totals"]["queued"])
        self.assertEqual(0, status["totals"]["deferrals"], "broken TLS charges nobody")
        self.assertGreaterEqual(status["handshakes"]["failed"], 2)
        for event in self.sender.events():
            self.assertNotIn("tls_version", event)
            self.assertEqual("opportunistic.test", event["domain"])


if __name__ == "__main__":
    sending.main()
