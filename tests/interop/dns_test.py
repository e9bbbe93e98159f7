"""Where mail goes by a real name server (Knot): MX order with a dead first host, equal preferences, answers too long
for a datagram, null MX, a domain without MX, an alias, and names that do not exist."""

import collections
import json
import os

import addresses
import sending
from name_server import Knot
from sending import loopback

CONFIG = """\
[dns]
servers = ["{dns}"]

[[rule]]
match = "*"
connections = 2
start_connections = "none"
connect_rate = "none"
messages_per_connection = 5
tls = "required"

[[route]]
match = "*"
port = {port}
allow_private = true

[timeouts]
connect = "2s"
"""
EACH = 20
MESSAGE = "From: news@shop.test\nTo: {{to}}\nSubject: where to?\n\nHello.\n"


class Dns(sending.InteropCase):
    @classmethod
    def prepare(cls):
        cls.first, cls.second, cls.dead = (addresses.fresh() for _ in range(3))
        port = addresses.free_port(cls.first, cls.second, cls.dead)
        cls.record = cls.path("received.jsonl")
        cls.sink = cls.started(loopback.Sink(sending.POSTRIDER, cls.directory,
                                             ["--listen", f"{cls.first}:{port}", "--listen", f"{cls.second}:{port}",
                                              "--record", cls.record]))
        cls.sink.ports()
        crowd = "".join(f"crowded MX {n} a-mail-host-with-a-rather-long-name-{n:02}\n"
                        f"a-mail-host-with-a-rather-long-name-{n:02} A {cls.second}\n" for n in range(1, 40))
        dns = cls.started(Knot(cls.directory, f"""\
first.mx A {cls.first}
second.mx A {cls.second}
dead.mx A {cls.dead}
deadfirst MX 10 dead.mx
deadfirst MX 20 second.mx
ordered MX 30 dead.mx
ordered MX 20 second.mx
ordered MX 10 first.mx
spread MX 10 first.mx
spread MX 10 second.mx
dangling MX 10 nowhere.mx
dangling MX 20 second.mx
manyaddresses MX 10 several.mx
several.mx A {cls.dead}
several.mx A {cls.first}
implicit A {cls.first}
alias CNAME ordered
null MX 0 .
silent TXT "neither MX nor address"
{crowd}"""))
        cls.sender = cls.start_sender(CONFIG.format(dns=dns.endpoint, port=port))
        cls.served = ["deadfirst", "ordered", "spread", "dangling", "manyaddresses", "implicit", "alias", "crowded"]
        cls.held = ["absent", "silent"]
        cls.refused = ["null"]
        folder = cls.path("where-to")
        cls.write(folder, cls.served + cls.held + cls.refused)
        cls.sender.submit(folder)
        cls.totals = cls.sender.wait_for_totals(
            "mail to all that can be reached", lambda totals: totals["bounced"] >= EACH * len(cls.refused) and
            totals["delivered"] >= EACH * len(cls.served))
        cls.events = cls.sender.events()

    @staticmethod
    def write(folder, domains):
        os.makedirs(folder)
        rows = [{"to": f"reader{n}@{domain}.test", "id": f"{domain}-{n}"} for n in range(EACH) for domain in domains]
        with open(os.path.join(folder, "campaign.toml"), "w", encoding="utf-8") as file:
            file.write(f'format = 1\nenvelope_from = "bounces@shop.test"\nrecipients = {len(rows)}\n')
        with open(os.path.join(folder, "message.eml"), "w", encoding="utf-8") as file:
            file.write(MESSAGE)
        with open(os.path.join(folder, "recipients.jsonl"), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)

    def addresses_of(self, domain):
        """MX address -> deliveries, of a domain's mail."""
        return collections.Counter(event["mx_address"].rsplit(":", 1)[0].strip("[]") for event in self.events
                                   if event["domain"] == f"{domain}.test" and event["event"] == "delivered")

    def test_a_dead_first_host_gives_way_to_the_second(self):
        self.assertEqual({self.second: EACH}, self.addresses_of("deadfirst"))

    def test_the_lowest_preference_is_taken(self):
        self.assertEqual({self.first: EACH}, self.addresses_of("ordered"))

    def test_hosts_of_equal_preference_share(self):
        shares = self.addresses_of("spread")
        self.assertEqual(EACH, sum(shares.values()))
        self.assertEqual({self.first, self.second}, set(shares))

    def test_a_host_without_address_gives_way_to_the_next(self):
        self.assertEqual({self.second: EACH}, self.addresses_of("dangling"))

    def test_a_dead_address_gives_way_to_the_hosts_next(self):
        self.assertEqual({self.first: EACH}, self.addresses_of("manyaddresses"))

    def test_a_domain_without_mx_is_its_own_host(self):
        self.assertEqual({self.first: EACH}, self.addresses_of("implicit"))

    def test_an_alias_is_followed(self):
        self.assertEqual({self.first: EACH}, self.addresses_of("alias"))

    def test_an_answer_too_long_for_a_datagram_comes_over_tcp(self):
        self.assertEqual({self.second: EACH}, self.addresses_of("crowded"))

    def test_null_mx_bounces_without_a_connection(self):
        bounced = [event for event in self.events if event["domain"] == "null.test" and event.get("final")]
        self.assertEqual(EACH, len(bounced))
        for event in bounced:
            self.assertEqual("bounced", event["event"])
            self.assertNotIn("mx_address", event)

    def test_names_that_do_not_exist_hold_their_mail_uncharged(self):
        totals = self.sender.status()["totals"]
        self.assertEqual(EACH * len(self.held), totals["queued"])
        self.assertEqual(EACH * len(self.refused), totals["bounced"])
        self.assertEqual(0, totals["deferrals"])
        found = json.loads(self.sender.command("find", "--json", "--admin", self.sender.admin, "reader0@absent.test"))
        self.assertEqual([0], [job["attempts"] for job in found["jobs"]])

    def test_the_receiver_saw_each_recipient_once(self):
        with open(self.record, encoding="utf-8") as file:
            received = collections.Counter(json.loads(line)["recipient"] for line in file)
        self.assertEqual({f"reader{n}@{domain}.test": 1 for domain in self.served for n in range(EACH)}, received)


if __name__ == "__main__":
    sending.main()
