"""A campaign of each kind, sent to one real server over STARTTLS with a verified certificate, found through a real name
server; what was stored is compared with what was written."""

import campaigns
from certificate import Certificate
from mail_servers import without_trace
from name_server import Knot
from sending import InteropCase, loopback

CONFIG = """\
[dns]
servers = ["{dns}"]

[tls]
ca_file = "{certificate}"

[[rule]]
match = "*"
connections = 3
start_connections = "none"
connect_rate = "none"
messages_per_connection = 20
tls = "verified"

[[route]]
match = "*"
port = {port}
allow_private = true
"""
STORED_SECONDS = 60


class ReceiverCase(InteropCase):
    SERVER = None  # a class of mail_servers

    @classmethod
    def prepare(cls):
        name = f"mx.{cls.SERVER.__name__.lower()}.test"
        certificate = Certificate(cls.directory, name)
        cls.server = cls.started(cls.SERVER(cls.directory, certificate))
        domains = ["one.test", "two.test", "three.test"]
        records = "".join(f"{domain}. MX 10 {name}.\n" for domain in domains) + f"{name}. A {cls.server.address}\n"
        dns = cls.started(Knot(cls.directory, records))
        cls.campaigns = [campaign for campaign in campaigns.all_campaigns(domains)
                         if cls.server.SMTPUTF8 or not campaign.smtputf8]
        cls.rows = {campaign.key(row): (campaign, row) for campaign in cls.campaigns for row in campaign.rows}
        cls.sender = cls.start_sender(CONFIG.format(dns=dns.endpoint, certificate=certificate.chain_file,
                                                    port=cls.server.port))
        cls.folders = {campaign.name: campaign.write(cls.path()) for campaign in cls.campaigns}
        cls.sender.submit(*cls.folders.values())
        cls.totals = cls.sender.wait_until_sent(len(cls.rows))
        loopback.wait_for("every message stored", lambda: len(cls.server.stored()) >= len(cls.rows),
                          cls.server.process, STORED_SECONDS, step=0.1)
        cls.sender.stop()
        cls.messages = {}
        cls.strangers = []
        for stored in cls.server.stored():
            message = without_trace(stored)
            key = campaigns.row_key(message)
            if key in cls.rows and key not in cls.messages:
                cls.messages[key] = message
            else:
                cls.strangers.append(message)

    def test_every_recipient_receives_one_message(self):
        self.assertEqual([], self.strangers)
        self.assertEqual(sorted(self.rows), sorted(self.messages))
        self.assertEqual(len(self.rows), self.totals["delivered"])

    def test_messages_are_what_was_written(self):
        for key, (campaign, row) in self.rows.items():
            with self.subTest(key):
                campaign.check(self, row, self.messages[key])

    def test_messages_are_the_bytes_that_render_shows(self):
        for campaign in self.campaigns:
            if isinstance(campaign, campaigns.Made):
                continue  # its Date and Message-ID are of the moment of acceptance
            for number, row in enumerate(campaign.rows, 1):
                with self.subTest(campaign.key(row)):
                    shown = self.sender.render(self.folders[campaign.name], number)
                    self.assertEqual(shown, self.messages.get(campaign.key(row)))

    def test_the_log_tells_one_verified_delivery_each(self):
        finals = self.sender.finals()
        self.assertEqual(len(self.rows), sum(len(events) for events in finals.values()))
        for events in finals.values():
            for event in events:
                self.assertEqual("delivered", event["event"], event)
                self.assertRegex(event["tls_version"], r"1\.[23]")
                self.assertEqual(self.server.name, event["mx_host"])

    def test_a_made_message_id_is_the_one_in_the_log(self):
        logged = {event["row_id"]: event["message_id"] for events in self.sender.finals().values() for event in events}
        made = next(campaign for campaign in self.campaigns if isinstance(campaign, campaigns.Made))
        for row in made.rows:
            message = campaigns.parsed(self.messages[made.key(row)])
            self.assertEqual(logged[row["id"]], message["Message-ID"])

    def test_connections_are_used_again(self):
        uses = [event["connection_message"] for events in self.sender.finals().values() for event in events]
        self.assertGreater(max(uses), 1)
        self.assertLessEqual(max(uses), 20, "more than the rule allows")

    def test_the_daemon_stops_in_order(self):
        self.assertEqual(0, self.sender.process.returncode)
