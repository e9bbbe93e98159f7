#!/usr/bin/env python3
"""Sends a demonstration campaign on loopback: a sink that plays several receivers, the daemon with a private directory,
one personalised multipart message to N recipients in 20 domains. Shows progress, a table per site, and checks that every
recipient the daemon accepted arrived exactly once or was refused for good."""

import argparse
import collections
import json
import os
import shutil
import sys
import tempfile
import time

from loopback import Daemon, Failed, Sink, cpu_seconds, recipient_events

# Who is played, at which address, and what share of recipients it refuses for good and for now. Four domains each.
RECEIVERS = [
    ("gmail", "127.0.0.11", "0.5%", "1%"),
    ("microsoft", "127.0.0.12", "0.5%", "1%"),
    ("yahoo", "127.0.0.13", "1%", "2%"),
    ("comcast", "127.0.0.14", "0.5%", "1%"),
    ("plain", "127.0.0.15", "1%", "1%"),
]
DOMAINS_EACH = 4
# Loopback answers at once, so what takes longer than this to move on is stuck.
STUCK_AFTER_SECONDS = 120
STEP_SECONDS = 0.2

CONFIG = """\
host_name = "demonstration.postrider.example"

[[source]]
name = "loopback"
ipv4 = "127.0.0.1"
ehlo_name = "demonstration.postrider.example"

[[rule]]
match = "*"
connections = 8
start_connections = "none"
connect_rate = "none"
messages_per_connection = 1000
tls = "required"
{routes}
[retry.bulk]
schedule = ["1s", "2s"]

[spool]
directory = "spool"

[queue]
directory = "queue"

[log]
directory = "log"

[admin]
listen = "127.0.0.1:0"
"""

ROUTE = """
[[route]]
match = "*.{name}.example"
hosts = ["{address}:{port}"]
allow_private = true
"""

MANIFEST = """\
format = 1
class = "bulk"
envelope_from = "bounces@shop.example"
"""

FILLER = ("We picked this week's articles for you by hand: what is in season, what our readers liked best, and what will "
          "be gone by Sunday. As always, nothing here needs a code, and delivery is free of charge. ")


def message():
    text = "Dear {{name|reader}},\r\n\r\n" + "\r\n".join([FILLER.strip()[i:i + 70] for i in range(0, 210, 70)])
    text += "\r\n\r\nYour city: {{city|your city}}. Your number: {{id}}.\r\n"
    rows = "".join(f"<tr><td>Article {n}</td><td>{FILLER}</td></tr>\n" for n in range(36))
    html = f"<html><body><p>Dear <b>{{{{name|reader}}}}</b> in {{{{city|your city}}}},</p>\n<table>\n{rows}</table>\n" \
           "<p>Number {{id}}</p></body></html>\n"
    return ("From: \"The Shop\" <news@shop.example>\r\n"
            "To: {{name|reader}} <{{to}}>\r\n"
            "Subject: {{name|Reader}}, the news of the week\r\n"
            "List-Unsubscribe: <https://shop.example/unsubscribe/{{id}}>\r\n"
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/alternative; boundary=\"part\"\r\n"
            "\r\n"
            "--part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text +
            "\r\n--part\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + html +
            "\r\n--part--\r\n")


NAMES = ["Ana", "Björn", "Chloé", "Dmitri", "Eva", "Farid", "Grace", "Hiro", "Íñigo", "Jana"]
CITIES = ["Lisbon", "Malmö", "Lyon", "Tbilisi", "Vienna", "Tunis", "Dublin", "Osaka", "Bilbao", "Brno"]


def write_campaign(directory, recipients):
    os.mkdir(directory)
    with open(os.path.join(directory, "campaign.toml"), "w", encoding="utf-8") as file:
        file.write(MANIFEST + f"recipients = {recipients}\n")
    with open(os.path.join(directory, "message.eml"), "w", encoding="utf-8", newline="") as file:
        file.write(message())
    domains = [f"mail{n}.{name}.example" for n in range(1, DOMAINS_EACH + 1) for name, *_ in RECEIVERS]
    with open(os.path.join(directory, "recipients.jsonl"), "w", encoding="utf-8") as file:
        for row in range(recipients):
            file.write(json.dumps({"to": f"reader{row}@{domains[row % len(domains)]}", "id": str(row + 1),
                                   "name": NAMES[row % len(NAMES)], "city": CITIES[row // 7 % len(CITIES)]},
                                  ensure_ascii=False) + "\n")


class Terminal:
    """Progress redrawn in place on a terminal, and nothing but milestones elsewhere. Always on standard error."""

    def __init__(self):
        self.live = sys.stderr.isatty()
        self.drawn = False

    def say(self, text):
        self.clear()
        print(text, file=sys.stderr, flush=True)

    def clear(self):
        if self.drawn:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self.drawn = False

    def progress(self, done, total, rate):
        if not self.live:
            return
        width = 40
        filled = width * done // max(1, total)
        left = f", {(total - done) / rate:.0f} s left" if rate > 0 else ""
        print(f"\r\033[K[{'#' * filled}{'.' * (width - filled)}] {done}/{total}  {rate:.0f}/s{left}", end="",
              file=sys.stderr, flush=True)
        self.drawn = True


class Demonstration:
    def __init__(self, postrider, directory, terminal):
        self.postrider = postrider
        self.directory = directory
        self.terminal = terminal
        self.sink = None
        self.daemon = Daemon(postrider, directory)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def start_sink(self):
        arguments = []
        for name, address, permanent, temporary in RECEIVERS:
            arguments += ["--listen", f"{address}:0={name},permanent={permanent},temporary={temporary}"]
        self.sink = Sink(self.postrider, self.directory, arguments)
        return self.sink.ports()

    def start_daemon(self, ports):
        routes = "".join(ROUTE.format(name=name, address=address, port=ports[address])
                         for name, address, *_ in RECEIVERS)
        with open(self.path("postrider.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.format(routes=routes))
        self.daemon.start()

    def status(self):
        return json.loads(self.daemon.command("status", "--json", "--admin", self.daemon.admin))

    def submit(self):
        self.daemon.command("submit", "--config", self.path("postrider.toml"), self.path("demonstration"))

    def watch(self, recipients):
        """Until every recipient has its final event; the seconds from submission to the last."""
        begun = moved = time.monotonic()
        done = 0
        while True:
            if self.daemon.process.poll() is not None:
                raise Failed(f"the daemon ended with code {self.daemon.process.returncode}")
            totals = self.status()["totals"]
            now_done = totals["rows"] - totals["queued"]
            if now_done != done:
                done, moved = now_done, time.monotonic()
            self.terminal.progress(done, recipients, done / max(0.001, time.monotonic() - begun))
            if totals["rows"] >= recipients and totals["queued"] == 0:
                self.terminal.clear()
                return totals, time.monotonic() - begun
            if time.monotonic() - moved > STUCK_AFTER_SECONDS:
                raise Failed(f"nothing moved for {STUCK_AFTER_SECONDS} s; {totals['queued']} are still queued")
            time.sleep(STEP_SECONDS)

    def stop(self):
        if self.daemon.process:
            self.daemon.stop()
        if self.sink:
            self.sink.stop()


def tabulate(events, seconds):
    """Rows of site, accepted, delivered, deferred, bounced, messages/s, and the sums."""
    sites = collections.defaultdict(collections.Counter)
    sums = collections.Counter()
    for event in events:
        site = event.get("site", "-")
        sites[site][event["event"]] += 1
        sums[event["event"]] += 1
        if event.get("final"):
            sites[site]["accepted"] += 1
            sums["accepted"] += 1
    for site in sorted(sites):
        counts = sites[site]
        yield (site, counts["accepted"], counts["delivered"], counts["deferred"], counts["bounced"],
               counts["delivered"] / seconds)
    yield ("all", sums["accepted"], sums["delivered"], sums["deferred"], sums["bounced"], sums["delivered"] / seconds)


def run(arguments, directory, terminal):
    demonstration = Demonstration(os.path.abspath(arguments.postrider), directory, terminal)
    try:
        ports = demonstration.start_sink()
        demonstration.start_daemon(ports)
        write_campaign(demonstration.path("demonstration"), arguments.recipients)
        terminal.say(f"Sending {arguments.recipients} messages to {DOMAINS_EACH * len(RECEIVERS)} domains at "
                     f"{len(RECEIVERS)} receivers on loopback")
        cpu_before = cpu_seconds(demonstration.daemon.pid)
        demonstration.submit()
        totals, seconds = demonstration.watch(arguments.recipients)
        cpu = cpu_seconds(demonstration.daemon.pid) - cpu_before
    finally:
        terminal.clear()
        demonstration.stop()
    if demonstration.daemon.process.returncode != 0:
        raise Failed(f"the daemon stopped with code {demonstration.daemon.process.returncode}, not 0")
    received = demonstration.sink.summary()["total"]
    result = {
        "accepted": totals["accepted"],
        "delivered": totals["delivered"],
        "deferred": totals["deferrals"],
        "bounced": totals["bounced"],
        "queued": totals["queued"],
        "rejected": totals["rejected"],
        "received_unique": received["unique_recipients"],
        "received_repeats": received["repeats"],
        "seconds": round(seconds, 3),
        "messages_per_second": round(totals["delivered"] / seconds, 1),
        "cpu_us_per_message": round(cpu * 1e6 / max(1, totals["delivered"]), 1),
        "sink_cpu_us_per_message": received["cpu_us_per_message"],
    }
    return result, list(tabulate(recipient_events(directory), seconds))


def problems(result, recipients):
    if result["accepted"] + result["rejected"] != recipients:
        yield f"{recipients} rows were submitted, but {result['accepted']} accepted and {result['rejected']} rejected"
    if result["accepted"] != result["delivered"] + result["bounced"] + result["queued"]:
        yield "accepted is not delivered + bounced + queued"
    if result["received_unique"] != result["delivered"]:
        yield f"the log says {result['delivered']} delivered, the receiver counted {result['received_unique']}"
    if result["received_repeats"] != 0:
        yield f"{result['received_repeats']} messages arrived twice"


def print_table(rows):
    print(f"{'site':24} {'accepted':>9} {'delivered':>9} {'deferred':>9} {'bounced':>8} {'messages/s':>11}")
    for site, accepted, delivered, deferred, bounced, rate in rows:
        print(f"{site:24} {accepted:9} {delivered:9} {deferred:9} {bounced:8} {rate:11.0f}")


def print_report(result, rows, directory, keep):
    print_table(rows)
    print(f"\nThe receiver counted {result['received_unique']} recipients, {result['received_repeats']} of them twice.")
    print(f"{result['messages_per_second']:.0f} messages/s over {result['seconds']:.1f} s, retries of deferred mail "
          f"included; {result['cpu_us_per_message']:.0f} us CPU a message, intake included "
          f"(the receiver's own: {result['sink_cpu_us_per_message']:.0f}).")
    if keep:
        print(f"\nKept in {directory}: postrider.toml, the campaign, spool, queue, and log/*.jsonl, one line an event.")
    else:
        print("\n--keep leaves configuration, campaign, queue and delivery log to look at.")
    print("Next: README.md, `build/release/bin/postrider --help`, `build/release/bin/postrider config --explain`.")


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected a number from 1")
    return value


def main():
    parser = argparse.ArgumentParser(
        prog="tools/quickstart", description=__doc__,
        epilog="Exit codes: 0 nothing lost and nothing doubled; 1 something was, or could not run; 2 wrong arguments.")
    parser.add_argument("--recipients", type=positive, default=10000, metavar="N", help="default 10000")
    parser.add_argument("--keep", action="store_true", help="keep the private directory")
    parser.add_argument("--json", action="store_true", help="print the totals as one JSON object on the last line")
    parser.add_argument("--postrider", default="build/release/bin/postrider", help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    terminal = Terminal()
    directory = tempfile.mkdtemp(prefix="postrider-demonstration-")
    code = 1
    told_where = False
    try:
        result, rows = run(arguments, directory, terminal)
        found = list(problems(result, arguments.recipients))
        if arguments.json:
            print_table(rows)
            print(json.dumps(result))
        else:
            print_report(result, rows, directory, arguments.keep)
            told_where = arguments.keep
        for problem in found:
            print("tools/quickstart: " + problem, file=sys.stderr)
        code = 1 if found else 0
    except Failed as failure:
        print(f"tools/quickstart: {failure}", file=sys.stderr)
        for log in ("daemon.log", "sink.log"):
            for line in open(os.path.join(directory, log), encoding="utf-8", errors="replace").readlines()[-10:] \
                    if os.path.exists(os.path.join(directory, log)) else []:
                print(f"  {log}: {line.rstrip()}", file=sys.stderr)
    if not arguments.keep and code == 0:
        shutil.rmtree(directory)
    elif not told_where:
        print(f"Kept: {directory}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
