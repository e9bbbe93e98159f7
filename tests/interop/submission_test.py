"""Logging in at a real relay (Exim): AUTH PLAIN and LOGIN after STARTTLS as on port 587, and with TLS from the first
byte as on port 465, with the password in a file. A wrong password holds mail and bounces nobody."""

import os

import campaigns
import sending
from certificate import Certificate
from mail_servers import Exim, without_trace
from sending import loopback

ROUTE = """\
[[route]]
match = "{domain}"
hosts = ["{address}:{port}"]
transport = "{transport}"
auth_user = "{user}"
auth_secret_file = "{secret}"
auth_mechanism = "{mechanism}"
allow_private = true

"""
RULE = """\
[[rule]]
match = "*"
connections = 2
start_connections = "none"
connect_rate = "none"
tls = "required"

"""


class Submission(sending.InteropCase):
    WAYS = {"starttls-plain.test": ("starttls", "plain"), "starttls-login.test": ("starttls", "login"),
            "implicit-plain.test": ("implicit", "plain"), "implicit-login.test": ("implicit", "login")}
    WRONG = ["wrong-plain.test", "wrong-login.test"]

    @classmethod
    def prepare(cls):
        cls.relay = cls.started(Exim(cls.directory, Certificate(cls.directory, "mx.exim.test")))
        with open(cls.path("relay.secret"), "w", encoding="utf-8") as file:
            file.write(Exim.PASSWORD + "\n")
        with open(cls.path("wrong.secret"), "w", encoding="utf-8") as file:
            file.write("incorrect horse\n")
        for name in ("relay.secret", "wrong.secret"):
            os.chmod(cls.path(name), 0o600)

        def route(domain, transport, mechanism, secret):
            port = cls.relay.implicit_port if transport == "implicit" else cls.relay.submission_port
            return ROUTE.format(domain=domain, address=cls.relay.address, port=port, transport=transport,
                                user=Exim.USER, secret=secret, mechanism=mechanism)

        routes = [route(domain, *way, "relay.secret") for domain, way in cls.WAYS.items()]
        routes += [route(domain, "starttls", domain[6:-5], "wrong.secret") for domain in cls.WRONG]
        cls.sender = cls.start_sender(RULE + "".join(routes))
        campaign = campaigns.all_campaigns([*cls.WAYS, *cls.WRONG])[0]
        cls.good = [row for row in campaign.rows if row["to"].split("@")[1] in cls.WAYS]
        cls.held = [row for row in campaign.rows if row not in cls.good]
        cls.campaign = campaign
        cls.sender.submit(campaign.write(cls.directory))
        cls.sender.wait_for_totals("mail of those who may log in",
                                   lambda totals: totals["delivered"] >= len(cls.good))
        loopback.wait_for("every message stored", lambda: len(cls.relay.stored()) >= len(cls.good), seconds=30)
        loopback.wait_for("refused log-ins", lambda: "authenticator failed" in cls.relay.tail(400), seconds=30)

    def test_every_message_arrives_as_written(self):
        messages = {campaigns.row_key(message): message for message in map(without_trace, self.relay.stored())}
        self.assertEqual(sorted(map(self.campaign.key, self.good)), sorted(messages))
        for row in self.good:
            self.campaign.check(self, row, messages[self.campaign.key(row)])

    def test_the_relay_saw_who_logged_in_and_how(self):
        arrivals = [line for line in self.relay.tail(1000).split("\n") if " <= " in line]
        for mechanism in ("plain", "login"):
            self.assertEqual(len(self.good) // 2, sum(f"A={mechanism}:{Exim.USER}" in line for line in arrivals))
        for line in arrivals:
            self.assertIn(" P=esmtpsa ", line)

    def test_a_wrong_password_holds_mail_and_bounces_nobody(self):
        totals = self.sender.status()["totals"]
        self.assertEqual((len(self.held), 0, 0), (totals["queued"], totals["bounced"], totals["deferrals"]))
        sites = self.sender.command("queue", "--json", "--admin", self.sender.admin)
        self.assertEqual(2, sites.count("Incorrect authentication data"), "the queue shows why it waits")

    def test_the_password_is_shown_nowhere(self):
        texts = [loopback.read_text(self.sender.log_path), *loopback.log_lines(self.directory),
                 self.sender.ask("GET", "/metrics"), self.sender.ask("GET", "/api/v1/status")]
        for text in texts:
            self.assertNotIn(Exim.PASSWORD, text)


if __name__ == "__main__":
    sending.main()
