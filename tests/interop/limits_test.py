"""The shipped profiles and an operator's rates against receivers that enforce them (the sink's personalities), found by
their MX names through a real name server: no limit is broken, everybody is accounted for. Then the same receivers
bear half as much: they say so, and no address pays for it."""

import collections
import json
import os

import addresses
import sending
from name_server import Knot
from sending import loopback

# Messages a second, by the rule of each provider; orange has its two connections, and 0.1 s for each answer.
RATES = {"google": 40, "yahoo": 30, "microsoft365": 40, "qq": 2}
SECONDS = 6  # of mail at those rates
ORANGE_RECIPIENTS = 80
TENANTS = 6
UNKNOWN = "1%"
# What a receiver's clock sees of two messages may lie closer together than what the sender's did, by as long as a loop
# of either is kept waiting on a busy machine: its windows have room for the messages of so many seconds.
ROOM_SECONDS = 1.0
# The connections and messages of a connection are those of config/providers.toml.
SHIPPED = {
    "google": ("gmail", "client-connections=5,message-cap=50,client-connects=200/1m"),
    "yahoo": ("yahoo", "client-connections=10,message-cap=20"),
    "microsoft365": ("microsoft", "client-connections=50,client-site-connections=3,message-cap=50"),
    "orange": ("orange", "client-connections=2,message-cap=100,delay=100ms"),
    "qq": ("qq", "client-connections=4,message-cap=8"),
}

CONFIG = """\
[dns]
servers = ["{dns}"]

[[route]]
match = "*"
port = {port}
allow_private = true

# Those of its replies that ask for a pause of minutes or hours would outlast a test.
[retry.bulk]
schedule = ["1s"]

{providers}"""
PROVIDER = """\
[[provider]]
name = "{name}"
mx = [".{name}.test"]

[[rule]]
match = "provider:{name}"
{limits}

"""
MESSAGE = "From: news@shop.test\nTo: {{to}}\nSubject: an offer\n\nHello.\n"


class Receivers(sending.InteropCase):
    """One campaign to all of them."""
    REAL_SHARE = 1  # they bear so much of the messages that our rules allow

    @classmethod
    def prepare(cls):
        cls.sites = {name: [f"{name}{n}" for n in range(TENANTS if name == "microsoft365" else 1)] for name in SHIPPED}
        cls.provider_of = {site: name for name, sites in cls.sites.items() for site in sites}
        own = {site: addresses.fresh() for site in cls.provider_of}
        port = addresses.free_port(*own.values())
        listen = []
        for site, address in own.items():
            name = cls.provider_of[site]
            listen += ["--listen", f"{address}:{port}={cls.listen(name)}"]
        cls.sink = cls.started(loopback.Sink(sending.POSTRIDER, cls.directory, ["--permanent", UNKNOWN, *listen]))
        cls.sink.ports()
        mx_of = {site: f"mx.{site}.{name}" for site, name in cls.provider_of.items()}
        dns = cls.started(Knot(cls.directory, "".join(f"{site} MX 10 {mx_of[site]}\n{mx_of[site]} A {address}\n"
                                                      for site, address in own.items())))
        limits = {name: f'message_rate = "{rate}/s"' for name, rate in RATES.items()}
        providers = "".join(PROVIDER.format(name=name, limits=limits.get(name, "")) for name in SHIPPED)
        cls.sender = cls.start_sender(CONFIG.format(dns=dns.endpoint, port=port, providers=providers))
        folder = cls.path("the-offer")
        cls.rows = cls.write(folder)
        cls.sender.submit(folder)
        cls.wait()
        cls.totals = cls.sender.status()["totals"]
        cls.metrics = cls.sender.metrics()
        cls.sender.stop_well()
        cls.sink.stop()
        cls.summary = cls.sink.summary()
        cls.seen = collections.defaultdict(list)
        for site, listener in zip(own, cls.summary["listeners"]):
            cls.seen[cls.provider_of[site]].append(listener)
        cls.events = cls.sender.events()

    @classmethod
    def listen(cls, name):
        personality, settings = SHIPPED[name]
        if name in RATES:
            rate = RATES[name] * cls.REAL_SHARE
            for seconds in (1, 5):  # and the burst is a second's worth
                settings += f",client-messages={int(rate * (seconds + 1 + ROOM_SECONDS))}/{seconds}s"
        return f"{personality},provider={name},{settings}"

    @classmethod
    def write(cls, folder):
        os.mkdir(folder)
        with open(os.path.join(folder, "campaign.toml"), "w", encoding="utf-8") as file:
            file.write('format = 1\nclass = "bulk"\nenvelope_from = "bounces@shop.test"\n')
        with open(os.path.join(folder, "message.eml"), "w", encoding="utf-8") as file:
            file.write(MESSAGE)
        rows = 0
        with open(os.path.join(folder, "recipients.jsonl"), "w", encoding="utf-8") as file:
            for name, sites in cls.sites.items():
                count = RATES[name] * SECONDS if name in RATES else ORANGE_RECIPIENTS
                for number in range(count):
                    file.write(f'{{"to":"r{number}@{sites[number % len(sites)]}.test"}}\n')
                rows += count
        return rows

    @classmethod
    def wait(cls):
        """Until there is nothing more to see."""

    def over_limit(self):
        return {name: sum(one[key] for one in listeners for key in one
                          if key.endswith("_over_limit") or key == "message_caps_reached")
                for name, listeners in self.seen.items()}

    def check_only_the_unknown_were_given_up(self):
        given_up = [event for event in self.events if event["final"] and event["event"] != "delivered"]
        self.assertLessEqual({event["category"] for event in given_up}, {"bad-mailbox", "inactive-mailbox"})
        self.assertEqual(self.summary["total"]["refused_5xx"], len(given_up))
        suppressed = self.metrics.get('postrider_suppression_changes_total{change="added by rule"}', 0)
        self.assertLessEqual(suppressed, len(given_up))


class ReceiversAsWeKnowThem(Receivers):
    @classmethod
    def wait(cls):
        cls.sender.wait_until_sent(cls.rows)

    def test_no_limit_is_broken(self):
        self.assertEqual(dict.fromkeys(SHIPPED, 0), self.over_limit())
        self.assertEqual(0, self.summary["total"]["protocol_errors"])

    def test_each_rate_binds(self):
        for name, rate in RATES.items():
            taken = sum(one["messages"] for one in self.seen[name])
            self.assertGreater(taken, 0.9 * rate * SECONDS, name)
            # All but the burst of the first second take their time.
            self.assertGreater(max(one["seconds"] for one in self.seen[name]), 0.9 * (taken - rate) / rate, name)

    def test_everybody_is_accounted_for(self):
        self.assertEqual(self.rows, self.totals["rows"])
        self.assertEqual(self.totals["rows"], self.totals["delivered"] + self.totals["bounced"])
        self.assertEqual(self.totals["delivered"], self.summary["total"]["unique_recipients"])
        self.assertEqual(0, self.summary["total"]["repeats"])

    def test_only_who_is_unknown_bounces_or_is_suppressed(self):
        self.check_only_the_unknown_were_given_up()


class ReceiversThatBearHalf(Receivers):
    REAL_SHARE = 0.5

    @classmethod
    def wait(cls):
        def in_trouble():
            events = [json.loads(line) for line in loopback.log_lines(cls.directory) if line.endswith("\n")]
            return {event["provider"] for event in events if event["event"] == "path"} >= set(RATES)

        # Most of the mail waits for minutes or hours from then on.
        loopback.wait_for("an action at each provider that has a rate", in_trouble, cls.sender.process,
                          sending.DONE_SECONDS, step=0.2)

    def test_they_see_it_or_this_measures_nothing(self):
        over = self.over_limit()
        self.assertEqual(0, over.pop("orange"))
        self.assertGreater(min(over.values()), 0, over)

    def test_everybody_is_accounted_for(self):
        ends = ["delivered", "bounced", "expired", "suppressed", "cancelled", "unknown", "queued"]
        self.assertEqual(self.totals["rows"], sum(self.totals[end] for end in ends))
        self.assertGreater(self.totals["queued"], 0)
        self.assertEqual(0, self.summary["total"]["repeats"])

    def test_nobody_is_given_up_for_what_a_receiver_says_of_us(self):
        self.check_only_the_unknown_were_given_up()


if __name__ == "__main__":
    sending.main()
