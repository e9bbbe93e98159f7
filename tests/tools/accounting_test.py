"""The accounting file of the whole program, read back by Python's csv module: one d or b for each accepted recipient, as
the delivery log and the receiver have it."""

import collections
import csv
import glob
import json
import os
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
POSTRIDER = os.environ.get("POSTRIDER", os.path.join(ROOT, "build", "release", "bin", "postrider"))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import loopback  # noqa: E402 (the folder is known only now)

RECIPIENTS = 300
HEADER = ("type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType,"
          "dlvSourceIp,dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId,queue,vmtaPool").split(",")
FURTHER = """\
[[rule]]
match = "*"
start_connections = "none"
connect_rate = "none"
adaptive = false

[retry.bulk]
schedule = ["1s"]

[accounting]
enabled = true
directory = "accounting"
deferrals = true

# A nearly full disk is another test's matter.
[disk]
stop_intake_below = 0.002
stop_sending_below = 0.001

{routes}"""


class Accounting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.private = tempfile.TemporaryDirectory(prefix="postrider-accounting-")
        cls.directory = cls.private.name
        cls.addClassCleanup(cls.private.cleanup)
        sink = loopback.Sink(POSTRIDER, cls.directory, ["--listen", "127.0.0.31:0=plain,permanent=20%,temporary=20%"])
        daemon = loopback.Daemon(POSTRIDER, cls.directory)
        with loopback.stopping(daemon, sink):
            port = sink.ports()["127.0.0.31"]
            daemon.configure(loopback.configuration(
                FURTHER.format(routes=loopback.routes(["one.example"], ["127.0.0.31"], port))))
            campaign = os.path.join(cls.directory, "the-offer")
            os.mkdir(campaign)
            with open(os.path.join(campaign, "campaign.toml"), "w", encoding="utf-8") as file:
                file.write('format = 1\nclass = "bulk"\nenvelope_from = "bounces@shop.example"\n')
            with open(os.path.join(campaign, "message.eml"), "w", encoding="utf-8") as file:
                file.write("From: news@shop.example\nTo: <{{to}}>\nSubject: hello\n\nhello\n")
            with open(os.path.join(campaign, "recipients.jsonl"), "w", encoding="utf-8") as file:
                for number in range(RECIPIENTS):
                    # Ids that want quotes, and one that a spreadsheet would take for a formula.
                    row_id = f'=1+{number}, "é"' if number % 3 == 0 else str(number)
                    file.write(json.dumps({"to": f"r{number}@one.example", "id": row_id}) + "\n")
            daemon.start()
            loopback.submit(cls.directory, campaign)
            daemon.watch_totals("the campaign", lambda totals: totals["rows"] == RECIPIENTS and totals["queued"] == 0, 60)
            cls.totals = daemon.status()["totals"]
            daemon.stop_well()
        cls.names = glob.glob(os.path.join(cls.directory, "accounting", "acct-*.csv"))
        with open(cls.names[0], encoding="utf-8", newline="") as file:
            cls.text = file.read()
        reader = csv.reader(cls.text.splitlines(keepends=True), strict=True)
        cls.header, *rows = list(reader)
        cls.records = [dict(zip(cls.header, row)) for row in rows]
        cls.widths = {len(row) for row in rows}
        cls.events = list(loopback.recipient_events(cls.directory))

    def test_it_is_one_csv_file_with_powermtas_default_header_and_lines_that_end_in_crlf(self):
        self.assertEqual(1, len(self.names))
        self.assertEqual(HEADER, self.header)
        self.assertEqual({len(HEADER)}, self.widths)
        lines = self.text.split("\n")
        self.assertEqual("", lines.pop())
        self.assertTrue(all(line.endswith("\r") and line.count("\r") == 1 for line in lines))
        self.assertEqual(len(self.records) + 1, len(lines))

    def test_every_recipient_has_exactly_one_end(self):
        ends = collections.Counter(record["rcpt"] for record in self.records if record["type"] in ("d", "b"))
        self.assertEqual({f"r{number}@one.example": 1 for number in range(RECIPIENTS)}, dict(ends))
        types = collections.Counter(record["type"] for record in self.records)
        self.assertEqual(self.totals["delivered"], types["d"])
        self.assertEqual(self.totals["bounced"], types["b"])
        self.assertEqual(self.totals["deferrals"], types["t"])
        self.assertGreater(min(types["d"], types["b"], types["t"]), 5, "or the receiver refused nobody")

    def test_it_says_what_the_log_says_in_the_same_order(self):
        self.assertEqual(len(self.events), len(self.records))
        for record, event in zip(self.records, self.events):
            self.assertEqual(event["recipient"], record["rcpt"])
            self.assertEqual(event["row_id"], record["envId"])
            self.assertEqual("bounces@shop.example", record["orig"])
            self.assertEqual("the-offer", record["jobId"])
            self.assertEqual("loopback", record["vmta"])
            self.assertEqual("127.0.0.1", record["dlvSourceIp"])
            self.assertEqual("127.0.0.31", record["dlvDestinationIp"])
            self.assertEqual("one.example/loopback", record["queue"])
            self.assertEqual(f'smtp;{event["code"]} ' + event["reply"].replace("\n", " "), record["dsnDiag"])
            self.assertRegex(record["timeLogged"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0000$")
            self.assertLessEqual(record["timeQueued"], record["timeLogged"])
            expected = {"d": ("relayed", "2.0.0 (success)"), "b": ("failed", None), "t": ("delayed", None)}
            action, status = expected[record["type"]]
            self.assertEqual(action, record["dsnAction"])
            if status:
                self.assertEqual((status, "success"), (record["dsnStatus"], record["bounceCat"]))
            else:
                self.assertRegex(record["dsnStatus"], r"^[45]\.\d+\.\d+ \([a-z' ]+\)$")
                self.assertNotEqual("success", record["bounceCat"])


if __name__ == "__main__":
    unittest.main()
