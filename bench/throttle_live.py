#!/usr/bin/env python3
"""Changes a domain's rate with `postrider throttle set` while a campaign runs, and looks at the receiver's own
timestamps: how soon each change held, and that no connection was dropped for it. Then kills the daemon (SIGKILL) and
starts it again: back-off, daily counters, due times and what was set must be what they were."""

import argparse
import calendar
import collections
import json
import os
import sys
import time

import workload
from loopback import (Daemon, Sink, add_arguments, configuration, routes, run_privately, stopping, submit, wait_for)

FURTHER = """\
[[rule]]
match = "*"
message_rate = "{rate}/s"
connections = {connections}
start_connections = "none"
connect_rate = "none"
messages_per_connection = 100000
idle = "1min"
[[rule]]
match = "quota.example"
daily_quota = {quota}
{routes}"""
# What each receiver of the second part does; a hundredth of a day's quota an hour is far more than goes.
STOPS, COUNTS, GREY = "stop.example", "quota.example", "grey.example"
SETTINGS = {STOPS: "=yahoo,client-messages=20/1h,penalty=1h", COUNTS: "", GREY: "=plain,greylist=1h"}
QUOTA = 200_000
SMALL = 300  # recipients of each of these
# Messages that are under way, or whose timer came late, when a rate is measured by when they arrived.
SLACK = 3
SPAN = 0.5  # over which a raised rate is measured


def say(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    def __init__(self, arguments, directory):
        self.arguments = arguments
        self.directory = directory
        self.record = os.path.join(directory, "received.jsonl")
        self.domains = workload.few_domains(arguments.domains) + list(SETTINGS)
        addresses = [f"127.0.0.{20 + n}" for n in range(len(self.domains))]
        port = workload.free_port(addresses)
        listen = [word for domain, address in zip(self.domains, addresses)
                  for word in ("--listen", f"{address}:{port}{SETTINGS.get(domain, '')}")]
        self.sink = Sink(arguments.postrider, directory,
                         ["--record", self.record, "--max-connections", "20000", "--delay", arguments.delay, *listen])
        self.daemon = Daemon(arguments.postrider, directory)
        further = FURTHER.format(rate=arguments.rate, connections=arguments.connections, quota=QUOTA,
                                 routes=routes(self.domains, addresses, port))
        self.daemon.configure(configuration(further))
        self.changes = []  # (domain, rate, when the command began, how long it took)
        self.disturbed = []  # changes for which a connection was closed or another one opened

    def submit(self, name, recipients, domains):
        path = os.path.join(self.directory, name)
        workload.write_campaign(path, recipients, domains, workload.spread(recipients, len(domains), 1), 2000)
        submit(self.directory, path)

    def throttle(self, domain, rate, *arguments):
        """Sets it, or takes it back."""
        words = (["set", domain, f"message_rate={rate}/s"] if rate else ["unset", domain])
        begun = time.time()
        self.daemon.command("throttle", *words, *arguments, "--admin", self.daemon.admin)
        self.changes.append((domain, rate or self.arguments.rate, begun, time.time() - begun))
        say(f"throttle {' '.join(words)}: {(time.time() - begun) * 1000:.0f} ms")

    def change(self, domain, rate, *arguments):
        """The same, and looks whether connections stay as they are."""
        def connections():
            open_ones = [one["connections"] for one in self.show(domain)["allowances"]]
            return open_ones, self.daemon.metrics()["postrider_connects_total"]

        before = connections()
        self.throttle(domain, rate, *arguments)
        time.sleep(self.arguments.hold)
        after = connections()
        if before != after or sum(before[0]) == 0:
            self.disturbed.append(f"{domain}, {self.changes[-1][1]}/s: {before[0]} connections were open and are "
                                  f"{after[0]}, {after[1] - before[1]:.0f} were opened")

    def show(self, domain):
        return json.loads(self.daemon.command("throttle", "show", domain, "--json", "--admin", self.daemon.admin))

    def state(self):
        """What must outlive a kill."""
        stopped = [one for one in self.show(STOPS)["allowances"] if one["mode"] == "stopped"]
        counted = [one for one in self.show(COUNTS)["allowances"] if "quota_used" in one]
        dues = {}
        for row in range(SMALL):
            jobs = json.loads(self.daemon.ask("GET", f"/api/v1/find?events=1&address=reader{row}@{GREY}"))["jobs"]
            dues.update({row: job["next_due"] for job in jobs if "next_due" in job})
            if len(dues) >= 20:
                break
        listed = json.loads(self.daemon.command("throttle", "list", "--json", "--admin", self.daemon.admin))
        return {"stopped_until": stopped[0].get("blocked_until") if stopped else None,
                "stop_reason": stopped[0].get("reason") if stopped else None,
                "quota_used": counted[0]["quota_used"] if counted else 0, "dues": dues,
                "overrides": listed["overrides"]}

    def go(self):
        arguments = self.arguments
        busy = self.domains[:arguments.domains]
        with stopping(self.daemon, self.sink):
            self.sink.ports()
            self.daemon.start()
            for domain in SETTINGS:
                self.submit(domain, SMALL, [domain])
            self.submit("campaign", arguments.recipients, busy)
            wait_for("the campaign", lambda: self.daemon.status()["messages_per_second"] > arguments.rate / 4)
            time.sleep(arguments.hold)
            self.change(busy[0], arguments.low)
            self.change(busy[0], arguments.high)
            self.change(busy[0], None)
            self.change(busy[1], arguments.low, "--for", "2h")
            wait_for("the stop and the retries", lambda: self.state()["stopped_until"] and self.state()["dues"])
            time.sleep(1.2)  # within a second of a change it is saved
            before = self.state()
            killed = time.time()
            self.daemon.kill()
            restart = self.daemon.start()
            after = self.state()
            restarted = time.time()
            say(f"killed and started again in {restart:.2f} s")
            time.sleep(arguments.hold)
            self.throttle(busy[1], None)
            if not arguments.short:
                self.daemon.watch_totals("delivery", lambda totals: totals["delivered"] >= arguments.recipients,
                                         stuck_after=60)
            self.daemon.stop_well()
        return before, after, killed, restarted


def seconds_of(text):
    """Of "2026-11-24T10:00:00.123Z"."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float(text[19:-1])


def settled(times, rate):
    """The last of these arrivals after which more came, in some span, than the rate and SLACK allow; None: none."""
    most = 0.0  # of all spans that begin here: what came in it, less what the rate allows
    for index in range(len(times) - 1, -1, -1):
        if index + 1 < len(times):
            most = max(0.0, most - (times[index + 1] - times[index]) * rate)
        most += 1
        if most > SLACK + 1:
            return times[index]
    return None


def judge(run, before, after, killed, restarted):
    arguments = run.arguments
    arrivals = collections.defaultdict(list)
    connections = collections.defaultdict(list)
    with open(run.record, encoding="utf-8") as file:
        for line in file:
            one = json.loads(line)
            domain = one["recipient"].rpartition("@")[2]
            moment = seconds_of(one["time"])
            arrivals[domain].append(moment)
            connections[domain].append((moment, one["connection"]))
    summary = run.sink.summary()
    wrong = []
    figures = []
    changes = run.changes
    for index, (domain, rate, begun, took) in enumerate(changes):
        ends = [change[2] for change in changes[index + 1:] if change[0] == domain] + [killed, begun + arguments.hold]
        end = min(moment for moment in ends if moment > begun)
        times = sorted(moment for moment in arrivals[domain] if begun < moment < end)
        earlier = [change[1] for change in changes[:index] if change[0] == domain]
        was = earlier[-1] if earlier else arguments.rate
        if begun > killed:
            continue  # the daemon was a new one
        if rate < was:
            late = settled(times, rate)
            effect = (late - begun) if late else 0.0
        else:
            effect = next((times[n] - begun for n in range(len(times) - 1)
                           if sum(1 for moment in times[n:] if moment < times[n] + SPAN) >= 0.9 * rate * SPAN), None)
        after_second = [moment for moment in times if moment >= begun + 1]
        seen = len(after_second) / (times[-1] - begun - 1) if after_second and times[-1] > begun + 1 else 0
        figures.append({"domain": domain, "from": was, "to": rate, "command_ms": round(took * 1000),
                        "effect_ms": None if effect is None else round(effect * 1000),
                        "rate_from_then_on": round(seen, 1)})
        if effect is None or effect > 1:
            wrong.append(f"{domain}: {was}/s to {rate}/s took effect after {effect} s, expected within 1 s")
        if not 0.9 * rate - 1 <= seen <= 1.03 * rate + 1:
            wrong.append(f"{domain}: {seen:.1f}/s came where {rate}/s was set")
    used = {domain: len({connection for moment, connection in connections[domain] if moment < killed})
            for domain in {change[0] for change in changes}}
    for domain, count in used.items():
        if count > arguments.connections:
            wrong.append(f"{domain}: mail came over {count} connections, {arguments.connections} may be open: "
                         "some were dropped")
    wrong += run.disturbed
    if summary["total"].get("protocol_errors"):
        wrong.append(f"the receiver saw {summary['total']['protocol_errors']} protocol errors")
    # The kill.
    # Kept by the wall clock and shown from the monotonic one: a few milliseconds may lie between.
    moved = (abs(seconds_of(before["stopped_until"]) - seconds_of(after["stopped_until"]))
             if before["stopped_until"] and after["stopped_until"] else 3600)
    if moved > 0.1:
        wrong.append(f"a stop ended at {before['stopped_until']} before the kill, at {after['stopped_until']} after it")
    for name, what in (("stop_reason", "the reason of a stop"), ("dues", "due times"), ("overrides", "what was set")):
        if not before[name]:
            wrong.append(f"{what}: there was none before the kill")
        if before[name] != after[name]:
            wrong.append(f"{what} was {before[name]} before the kill and is {after[name]}")
    counted = sum(1 for moment in arrivals[COUNTS] if moment <= killed)
    if after["quota_used"] < counted:
        wrong.append(f"{counted} of the day's quota were sent, but {after['quota_used']} are counted after the kill")
    if after["quota_used"] > counted + QUOTA / 50:
        wrong.append(f"{counted} of the day's quota were sent, and {after['quota_used']} are counted after the kill")
    low_again = [moment for moment in arrivals[run.domains[1]] if restarted + 1 < moment < restarted + arguments.hold]
    result = {"recipients": arguments.recipients, "changes": figures,
              "connections_used": used, "delivered": sum(len(times) for times in arrivals.values()),
              "quota_sent_before_kill": counted, "quota_used_before_kill": before["quota_used"],
              "quota_used_after_kill": after["quota_used"], "stop": before["stop_reason"],
              "stopped_until": [before["stopped_until"], after["stopped_until"]],
              "due_times_compared": len(before["dues"]), "overrides": len(after["overrides"]),
              "rate_of_an_override_after_the_kill": round(len(low_again) / max(0.1, arguments.hold - 1), 1)}
    if len(low_again) > 1.05 * arguments.low * (arguments.hold - 1) + SLACK:
        wrong.append(f"after the kill {len(low_again)} came in {arguments.hold - 1} s where {arguments.low}/s is set")
    return result, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, default=100_000, metavar="N")
    parser.add_argument("--domains", type=int, default=10, metavar="N", help="at least 2 (default %(default)s)")
    parser.add_argument("--rate", type=int, default=150, metavar="N", help="a second and domain (default %(default)s)")
    parser.add_argument("--low", type=int, default=20, metavar="N", help="what it is lowered to (default %(default)s)")
    parser.add_argument("--high", type=int, default=400, metavar="N", help="what it is raised to (default %(default)s)")
    parser.add_argument("--hold", type=float, default=6, metavar="SECONDS",
                        help="between changes (default %(default)s)")
    parser.add_argument("--connections", type=int, default=5, metavar="N", help="to a domain (default %(default)s)")
    parser.add_argument("--short", action="store_true", help="end when all is seen, not when all is delivered")
    parser.add_argument("--delay", default="5ms", metavar="TIME",
                        help="of the receiver's replies (default %(default)s)")
    add_arguments(parser, os.path.join(workload.ROOT, "build/release/bin/postrider"))
    arguments = parser.parse_args()
    if arguments.domains < 2:
        parser.error("two domains at least")

    def work(directory):
        run = Run(arguments, directory)
        return judge(run, *run.go())

    return run_privately("throttle_live.py", arguments, work)


if __name__ == "__main__":
    sys.exit(main())
