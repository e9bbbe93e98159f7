#!/usr/bin/env python3
"""A site that is dead for a while: its mail must wait in the queue unattempted, uncharged and in order, cost next to
nothing meanwhile, keep nobody else's mail waiting, and be delivered in list order when the site returns."""

import argparse
import json
import os
import sys
import time

import workload
from loopback import (Daemon, Sink, add_arguments, configuration, cpu_seconds, log_lines, routes, run_privately,
                      stopping, submit)

FURTHER = """\
[[rule]]
match = "*"
connections = {connections}
start_connections = "none"
connect_rate = "none"
messages_per_connection = 1000
{routes}"""
DEAD, ALIVE = "mail0.example", "mail1.example"


def run(arguments, directory):
    dead, alive = "127.0.0.20", "127.0.0.21"
    port = workload.free_port([dead, alive])
    record = os.path.join(directory, "received.jsonl")
    sink = Sink(arguments.postrider, directory,
                ["--record", record, "--listen", f"{dead}:{port}=plain,down-for={arguments.down}s:{arguments.mode}",
                 "--listen", f"{alive}:{port}"])
    daemon = Daemon(arguments.postrider, directory)
    result = {"recipients": arguments.recipients, "down_seconds": arguments.down}
    with stopping(daemon, sink):
        sink.ports()
        returns = time.monotonic() + arguments.down
        daemon.configure(configuration(FURTHER.format(connections=arguments.connections,
                                                      routes=routes([DEAD, ALIVE], [dead, alive], port))))
        # Every other recipient is at the living site.
        n = 2 * arguments.recipients
        workload.write_campaign(os.path.join(directory, "campaign"), n, [DEAD, ALIVE], [row % 2 for row in range(n)],
                                arguments.size)
        daemon.start()
        submit(directory, os.path.join(directory, "campaign"))
        begun = time.monotonic()
        daemon.watch_totals("the living site", lambda totals: totals["delivered"] >= arguments.recipients, 120)
        result["living_site_seconds"] = round(time.monotonic() - begun, 2)
        cpu, waiting = cpu_seconds(daemon.pid), time.monotonic()
        if returns > waiting:
            time.sleep(returns - waiting)
            result["cpu_share_while_waiting"] = round((cpu_seconds(daemon.pid) - cpu) / (returns - waiting), 5)
        totals = daemon.status()["totals"]
        result["delivered_before_return"] = totals["delivered"]
        daemon.watch_totals("the dead site", lambda totals: totals["queued"] == 0, arguments.time_limit)
        result["seconds_from_return_to_end"] = round(time.monotonic() - returns, 2)
        result["deferrals"] = daemon.status()["totals"]["deferrals"]
        daemon.stop_well()
    return result, record


def judge(arguments, directory, result, record):
    wrong = []
    path_events, events, charged = [], 0, 0
    for line in log_lines(directory):
        event = json.loads(line)
        if event["event"] == "path":
            path_events.append(event)
        if event.get("domain") == DEAD and "recipient" in event:
            events += 1
            charged += event["event"] != "delivered" or event["attempt"] != 1
    order = []
    with open(record, encoding="utf-8") as file:
        for line in file:
            name, _, domain = json.loads(line)["recipient"].partition("@")
            if domain == DEAD:
                order.append(int(name.removeprefix("reader")))
    # How far a message came before one that stands before it in the list: as many as there are in flight, no more.
    ranks = {row: rank for rank, row in enumerate(sorted(order))}
    displaced = max((abs(ranks[row] - place) for place, row in enumerate(order)), default=0)
    result.update({"path_events": len(path_events), "events": events, "charged": charged, "arrived": len(order),
                   "displaced_at_most": displaced})
    if len(order) != arguments.recipients or len(set(order)) != len(order):
        wrong.append(f"{arguments.recipients} recipients, {len(order)} arrivals of {len(set(order))}")
    if result["delivered_before_return"] > arguments.recipients:
        wrong.append("the dead site was not dead")
    if charged or events != arguments.recipients or result["deferrals"]:
        wrong.append(f"{charged} of {events} events charge a job; {result['deferrals']} deferrals")
    if not path_events:
        wrong.append("no path event tells of the back-off")
    if displaced > 2 * arguments.connections and displaced > 0 and arguments.connections > 1 or (
            arguments.connections == 1 and displaced > 0):
        wrong.append(f"a message arrived {displaced} places from where the list has it")
    return result, wrong


def main():
    parser = argparse.ArgumentParser(prog="bench/dead_site.py", description=__doc__,
                                     epilog="Exit codes: 0 all as promised; 1 not, or could not run.")
    parser.add_argument("--recipients", type=int, default=20000, help="at the dead site; as many at a living one")
    parser.add_argument("--down", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--mode", choices=["refuse", "close"], default="refuse", help="connections, or right after them")
    parser.add_argument("--connections", type=int, default=1, help="of each path; with one the order is strict")
    parser.add_argument("--size", type=int, default=4096, help="bytes of a message, about")
    parser.add_argument("--time-limit", type=int, default=600, metavar="SECONDS", help="after the site's return")
    add_arguments(parser, os.path.join(workload.ROOT, "build/release/bin/postrider"))
    arguments = parser.parse_args()
    return run_privately(parser.prog, arguments,
                         lambda directory: judge(arguments, directory, *run(arguments, directory)))


if __name__ == "__main__":
    sys.exit(main())
