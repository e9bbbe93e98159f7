#!/usr/bin/env python3
"""Kills the daemon (SIGKILL) at random moments of a campaign and starts it again each time, some kills while the list is
taken in, most while mail is in flight. Then every recipient must have arrived, repeats be within what may be unsynced
and in flight, each repeat be byte for byte the same message, and the log tell what happened."""

import argparse
import collections
import json
import os
import random
import sys
import time

import workload
from loopback import (Daemon, Sink, add_arguments, configuration, recipient_events, routes, run_privately, stopping,
                      submit)

FURTHER = """\
[[rule]]
match = "*"
connections = {connections}
start_connections = "none"
connect_rate = "none"
messages_per_connection = 100
[retry.bulk]
schedule = ["1s", "2s"]
[unknown]
retry_after = "1s"
{routes}"""
STUCK_AFTER_SECONDS = 60


def say(text):
    print(text, file=sys.stderr, flush=True)


def crash(arguments, directory):
    domains = workload.few_domains(arguments.domains)
    addresses = [f"127.0.0.{20 + n}" for n in range(arguments.domains)]
    port = workload.free_port(addresses)
    record = os.path.join(directory, "received.jsonl")
    sink = Sink(arguments.postrider, directory,
                ["--delay", arguments.delay, "--record", record, "--max-connections", "20000",
                 *[word for address in addresses for word in ("--listen", f"{address}:{port}")]])
    daemon = Daemon(arguments.postrider, directory)
    with stopping(daemon, sink):
        sink.ports()
        further = FURTHER.format(connections=arguments.connections, routes=routes(domains, addresses, port))
        daemon.configure(configuration(further, queue=f"unsynced_outcomes_max = {arguments.unsynced}\n"))
        n = arguments.recipients
        workload.write_campaign(os.path.join(directory, "campaign"), n, domains, workload.spread(n, len(domains), 1),
                                arguments.size)
        moments = random.Random(arguments.seed)
        daemon.start()
        submit(directory, os.path.join(directory, "campaign"))
        for kill in range(arguments.kills):
            # The first fall into intake, some right after a start.
            time.sleep(moments.uniform(0, 0.3 if kill < 3 else arguments.run_seconds))
            totals = daemon.status()["totals"]
            daemon.kill()
            say(f"kill {kill + 1}: {totals['rows']} rows, {totals['accepted']} accepted, "
                f"{totals['delivered']} delivered")
            daemon.start()
        daemon.watch_totals("delivery", lambda totals: totals["rows"] >= n and totals["queued"] == 0,
                            stuck_after=STUCK_AFTER_SECONDS)
        metrics = daemon.metrics()
        daemon.stop_well()
    return metrics, record


def judge(arguments, directory, metrics, record):
    """What was seen, and what is wrong with it."""
    arrivals = collections.defaultdict(list)
    with open(record, encoding="utf-8") as file:
        for line in file:
            one = json.loads(line)
            arrivals[one["recipient"]].append((one["message_id"], one["size"]))
    ends, delivered, ids = collections.Counter(), collections.Counter(), collections.Counter()
    last_run = {}
    for event in recipient_events(directory):
        ids[event["id"]] += 1
        ends[event["recipient"]] += bool(event.get("final"))
        if event["event"] == "delivered":
            delivered[event["recipient"]] += 1
            last_run[event["recipient"]] = event["run"]
    repeats = {who: len(all_of_one) - 1 for who, all_of_one in arrivals.items() if len(all_of_one) > 1}
    allowed = arguments.kills * (arguments.unsynced + arguments.connections * arguments.domains)
    result = {"recipients": arguments.recipients, "kills": arguments.kills, "received_unique": len(arrivals),
              "repeats": sum(repeats.values()), "repeats_allowed": allowed,
              "repeats_logged_twice": sum(1 for who in repeats if delivered[who] > 1),
              "events_repeated_under_one_id": sum(1 for count in ids.values() if count > 1)}
    wrong = []
    if len(arrivals) != arguments.recipients:
        wrong.append(f"{arguments.recipients} recipients, {len(arrivals)} arrived")
    if result["repeats"] > allowed:
        wrong.append(f"{result['repeats']} repeats, at most {allowed} may be")
    for who in repeats:
        if len(set(arrivals[who])) != 1:
            wrong.append(f"{who}: a repeat is not the same message: {arrivals[who]}")
        if last_run.get(who, 0) < 2:
            wrong.append(f"{who}: arrived {len(arrivals[who])} times, and no run after a kill says why")
    for who in arrivals:
        if ends[who] == 0:
            wrong.append(f"{who}: no final event")
    for name in ("intake", "queue"):
        if metrics[f"postrider_conservation_{name}_difference"] != 0:
            wrong.append(f"the {name} equation is off by {metrics[f'postrider_conservation_{name}_difference']:.0f}")
    if metrics["postrider_delivered_total"] != arguments.recipients:
        wrong.append(f"{metrics['postrider_delivered_total']:.0f} counted as delivered")
    return result, wrong


def main():
    parser = argparse.ArgumentParser(prog="bench/crash.py", description=__doc__,
                                     epilog="Exit codes: 0 all as promised; 1 not, or could not run.")
    parser.add_argument("--recipients", type=int, default=50000)
    parser.add_argument("--domains", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--run-seconds", type=float, default=2, help="the longest between a start and the next kill")
    parser.add_argument("--size", type=int, default=10240, help="bytes of a message, about")
    parser.add_argument("--connections", type=int, default=10, help="of each path")
    parser.add_argument("--unsynced", type=int, default=4096, help="queue.unsynced_outcomes_max")
    parser.add_argument("--delay", default="20ms", help="of the receiver's replies, so that mail is in flight")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    add_arguments(parser, os.path.join(workload.ROOT, "build/release/bin/postrider"))
    arguments = parser.parse_args()
    workload.allow_many_files()
    return run_privately(parser.prog, arguments,
                         lambda directory: judge(arguments, directory, *crash(arguments, directory)))


if __name__ == "__main__":
    sys.exit(main())
