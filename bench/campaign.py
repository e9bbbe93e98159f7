#!/usr/bin/env python3
"""One large campaign through the whole program on loopback, phase by phase: the list into the paused queue, a kill and a
start with everything queued, then delivery over STARTTLS to one sink. Says what each phase cost and checks that nothing
was lost or doubled."""

import argparse
import glob
import json
import os
import signal
import subprocess
import sys
import time

import workload
from loopback import (Daemon, Failed, Sink, add_arguments, configuration, cpu_seconds, log_lines, peak_resident_bytes,
                      routes, run_privately, submit, thread_cpu_seconds, wait_for)

FURTHER = """\
[[rule]]
match = "*"
connections = {connections}
start_connections = "none"
connect_rate = "none"
messages_per_connection = {messages_per_connection}
tls = "{tls}"
{routes}
[engine]
cores = {cores}
"""

# What a million recipients may cost, each with its unit; a message's CPU in few domains, where connections are reused.
EXPECTED = {
    "intake_cpu_us_per_recipient": 6,
    "delivery_cpu_us_per_message": 60,
    "peak_rss_mb": 400,
    "disk_bytes_per_recipient_beyond_merge_data": 250,
    "start_seconds": 2,
}
STUCK_AFTER_SECONDS = 60


def disk_bytes(directory):
    """The sizes of all files; what RocksDB reserves ahead for its log of writes is not counted."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                continue  # compacted away meanwhile
    return total


def difference(after, before, per):
    """Of CPU seconds by thread name: microseconds per unit, the largest first, without what rounds to nothing."""
    parts = {name: (seconds - before.get(name, 0)) * 1e6 / per for name, seconds in after.items()}
    return {name: round(us, 2) for name, us in sorted(parts.items(), key=lambda part: -part[1]) if us >= 0.005}


class Profile:
    """perf over one phase of one process, if asked for."""

    def __init__(self, directory, name, pid):
        self.process = None
        if directory:
            os.makedirs(directory, exist_ok=True)
            output = os.path.join(directory, name + ".perf")
            self.process = subprocess.Popen(["perf", "record", "-q", "-F", "997", "-p", str(pid), "-o", output],
                                            stderr=subprocess.DEVNULL)

    def end(self):
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


class Run:
    def __init__(self, arguments, directory):
        self.arguments = arguments
        self.directory = directory
        self.postrider = arguments.postrider
        self.daemon = Daemon(self.postrider, directory)
        self.sink = None
        self.names = None
        self.result = {"recipients": arguments.recipients, "domains": arguments.domains}
        self.by_thread = {}

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def say(self, text):
        print(f"[{time.monotonic() - self.begun:6.1f} s] {text}", file=sys.stderr, flush=True)

    def start_receivers(self):
        """Returns the routes to them."""
        few = self.arguments.domains <= workload.FIXED_DOMAINS_MAX
        addresses = ([f"127.0.0.{20 + n}" for n in range(self.arguments.domains)] if few
                     else workload.LONG_TAIL_ADDRESSES)
        port = workload.free_port(addresses)
        listen = [word for address in addresses for word in ("--listen", f"{address}:{port}")]
        self.sink = Sink(self.postrider, self.directory,
                         ["--cores", "1", "--max-connections", "20000",
                          "--delay", self.arguments.delay, *listen])
        self.sink.ports()
        if few:
            return routes(workload.few_domains(self.arguments.domains), addresses, port)
        self.names = workload.NameServer(self.directory)
        self.names.start()
        return (f'[[route]]\nmatch = "*.{workload.LONG_TAIL_ZONE}"\nport = {port}\nallow_private = true\n'
                f'[dns]\nservers = ["{workload.NAME_SERVER_ADDRESS}:{self.names.port}"]\n')

    def configure(self, receivers):
        further = FURTHER.format(routes=receivers, cores=self.arguments.cores, tls=self.arguments.tls,
                                 connections=self.arguments.connections,
                                 messages_per_connection=self.arguments.messages_per_connection)
        self.daemon.configure(configuration(further, log='rotate_bytes = "256MiB"\n'))

    def check_alive(self):
        if self.daemon.process.poll() is not None:
            raise Failed(f"the daemon ended with code {self.daemon.process.returncode}")

    def watch(self, name, left, done):
        """Until done(metrics); left(metrics) must go on falling. Each look costs a scrape, so there are few while the end
        is far away."""
        moved = shown = time.monotonic()
        last, step = -1, 0.1
        while True:
            self.check_alive()
            metrics = self.daemon.metrics()
            if done(metrics):
                return metrics
            now = time.monotonic()
            if left(metrics) != last:
                rate = (last - left(metrics)) / (now - moved) if last > 0 else 0
                last, moved = left(metrics), now
                step = min(2, max(0.1, last / rate / 4)) if rate > 0 else 0.1
            if now - moved > STUCK_AFTER_SECONDS:
                raise Failed(f"{name}: nothing moved for {STUCK_AFTER_SECONDS} s, {last:.0f} left; status: "
                             f"{json.dumps(self.daemon.status())[:4000]}")
            if now - self.begun > self.arguments.time_limit:
                raise Failed(f"{name}: {last:.0f} left when the {self.arguments.time_limit} s were over")
            if now - shown > 5:
                shown = now
                self.say(f"{name}: {last:.0f} left")
            time.sleep(step)

    def intake(self):
        n = self.arguments.recipients
        domains = (workload.few_domains if self.arguments.domains <= workload.FIXED_DOMAINS_MAX
                   else workload.many_domains)(self.arguments.domains)
        rows = workload.spread(n, self.arguments.domains, self.arguments.seed)
        merge_bytes = workload.write_campaign(self.path("campaign"), n, domains, rows, self.arguments.size)
        del rows
        self.say(f"wrote a list of {n}")
        self.daemon.start()
        self.daemon.ask("POST", "/api/v1/pause", {"all": True})
        empty = disk_bytes(self.path("queue"))
        before, before_all = thread_cpu_seconds(self.daemon.pid), cpu_seconds(self.daemon.pid)
        profile = Profile(self.arguments.profile, "intake", self.daemon.pid)
        begun = time.monotonic()
        submit(self.directory, self.path("campaign"))
        metrics = self.watch("intake", lambda m: n - m["postrider_rows_total"],
                             lambda m: m["postrider_rows_total"] >= n
                             and m.get('postrider_campaigns{state="running"}', 0) >= 1)
        seconds = time.monotonic() - begun
        time.sleep(1)  # background flushes belong to the phase
        after, after_all = thread_cpu_seconds(self.daemon.pid), cpu_seconds(self.daemon.pid)
        profile.end()
        if metrics["postrider_accepted_total"] != n:
            raise Failed(f"{n} rows were submitted, {metrics['postrider_accepted_total']:.0f} accepted; see "
                         f"{self.path('spool')}")
        threads = difference(after, before, n)
        self.by_thread["intake"] = threads
        work = threads.get("intake", 0) + threads.get("store", 0)
        self.result.update({
            "intake_seconds": round(seconds, 2),
            "intake_cpu_us_per_recipient": round(work, 2),
            "intake_cpu_us_per_recipient_whole_process": round((after_all - before_all) * 1e6 / n, 2),
            "intake_batches": int(metrics.get("postrider_intake_batches_total", 0)),
            "intake_peak_rss_mb": round(peak_resident_bytes(self.daemon.pid) / 1e6, 1),
            "merge_bytes_per_recipient": round(merge_bytes / n, 1),
            "disk_bytes_per_recipient_before_kill": round((disk_bytes(self.path("queue")) - empty) / n, 1),
        })
        self.empty_bytes = empty
        self.merge_bytes = merge_bytes
        self.say(f"took the list in within {seconds:.1f} s")

    def restart(self):
        """Killed with everything queued and sending allowed; the receiver stands still meanwhile, so nothing left."""
        self.sink.process.send_signal(signal.SIGSTOP)
        self.daemon.ask("POST", "/api/v1/resume", {"all": True})
        self.daemon.kill()
        self.sink.process.send_signal(signal.SIGCONT)
        self.started_wall = time.time()
        started = time.monotonic()
        self.daemon.start(60)
        wait_for("the admin", lambda: self.daemon.request("GET", "/healthz")[0] == 200, self.daemon.process, step=0.005)
        answered = time.monotonic() - started
        start_cpu = cpu_seconds(self.daemon.pid)
        # A start replays the log of writes and flushes it, so this is what the tables alone take.
        queued_bytes = disk_bytes(self.path("queue")) - self.empty_bytes
        n = self.arguments.recipients
        self.result.update({
            "start_seconds": round(answered, 2),
            "start_cpu_seconds": round(start_cpu, 2),
            "disk_bytes_per_recipient": round(queued_bytes / n, 1),
            "disk_bytes_per_recipient_beyond_merge_data": round((queued_bytes - self.merge_bytes) / n, 1),
        })
        self.say(f"started again within {answered:.2f} s")

    def deliver(self):
        n = self.arguments.recipients
        before, sink_before = thread_cpu_seconds(self.daemon.pid), cpu_seconds(self.sink.pid)
        first = self.daemon.metrics()
        delivered_before = first["postrider_delivered_total"]
        profile = Profile(self.arguments.profile, "delivery", self.daemon.pid)
        sink_profile = Profile(self.arguments.profile, "sink", self.sink.pid)
        begun = time.monotonic()
        metrics = self.watch("delivery", lambda m: m["postrider_queued"], lambda m: m["postrider_queued"] == 0)
        seconds = time.monotonic() - begun
        after, sink_after = thread_cpu_seconds(self.daemon.pid), cpu_seconds(self.sink.pid)
        profile.end()
        sink_profile.end()
        delivered = metrics["postrider_delivered_total"] - delivered_before
        threads = difference(after, before, max(1, delivered))
        self.by_thread["delivery"] = threads
        connections = metrics["postrider_connects_total"]

        def per_second(name):
            return metrics.get(f"postrider_{name}", 0)

        self.result.update({
            "delivery_seconds": round(seconds, 2),
            "messages_per_second": round(delivered / seconds),
            "delivery_cpu_us_per_message": round(sum(threads.values()), 2),
            "sink_cpu_us_per_message": round((sink_after - sink_before) * 1e6 / max(1, delivered), 2),
            "delivery_peak_rss_mb": round(peak_resident_bytes(self.daemon.pid) / 1e6, 1),
            "connections": int(connections),
            "connect_failures": int(metrics["postrider_connect_failures_total"]),
            "messages_per_connection": round(n / max(1, connections), 1),
            "handshakes_full": int(metrics['postrider_tls_handshakes_total{result="full"}']),
            "handshakes_resumed": int(metrics['postrider_tls_handshakes_total{result="resumed"}']),
            "handshakes_failed": int(metrics['postrider_tls_handshakes_total{result="failed"}']),
            "dns_queries": int(metrics["postrider_dns_queries_total"]),
            "dns_cache_hits": int(metrics["postrider_dns_cache_hits_total"]),
            "store_commits": int(per_second("store_commits_total")),
            "outcomes_per_commit": round(n / max(1, per_second("store_commits_total")), 1),
            "loop_completions_per_wait": round(per_second("loop_completions_total") /
                                               max(1, per_second("loop_waits_total")), 1),
            "delivered": int(metrics["postrider_delivered_total"]),
            "deferred": int(metrics["postrider_deferred_total"]),
            "bounced": int(metrics["postrider_bounced_total"]),
            "unknown": int(metrics["postrider_unknown_total"]),
            "conservation_intake": metrics["postrider_conservation_intake_difference"],
            "conservation_queue": metrics["postrider_conservation_queue_difference"],
        })
        self.result["peak_rss_mb"] = max(self.result["delivery_peak_rss_mb"], self.result["intake_peak_rss_mb"])
        if self.names:
            self.result["name_server_cpu_us_per_message"] = round(cpu_seconds(self.names.process.pid) * 1e6 / n, 2)
        self.say(f"delivered within {seconds:.1f} s")

    def read_log(self):
        """The open file's lines say how long a line is; closed files are compressed."""
        lines, sizes, first = 0, 0, None
        for line in log_lines(self.directory):
            lines += 1
            sizes += len(line)
            if first is None and '"event":"delivered"' in line:
                first = json.loads(line)
        self.result["log_bytes_per_line"] = round(sizes / max(1, lines), 1)
        self.result["log_disk_bytes_per_message"] = round(disk_bytes(self.path("log")) / self.arguments.recipients, 1)
        self.result["log_files"] = len(glob.glob(self.path("log", "*")))

    def stop(self):
        for program in (self.daemon, self.sink, self.names):
            if program is not None:
                program.stop()

    def run(self):
        self.begun = time.monotonic()
        try:
            self.configure(self.start_receivers())
            self.intake()
            self.restart()
            self.deliver()
            asked = time.monotonic()
            self.daemon.stop_well()
            self.result["stop_seconds"] = round(time.monotonic() - asked, 2)
        finally:
            self.stop()
        received = self.sink.summary()["total"]
        self.result.update({"received_unique": received["unique_recipients"], "received_repeats": received["repeats"],
                            "wire_bytes_per_message": round(received["bytes"] / max(1, received["messages"]))})
        self.read_log()


def problems(result):
    if result["conservation_intake"] != 0 or result["conservation_queue"] != 0:
        yield (f"recipients are not conserved: intake {result['conservation_intake']:.0f}, "
               f"queue {result['conservation_queue']:.0f}")
    if result["delivered"] != result["recipients"]:
        yield f"{result['recipients']} recipients, {result['delivered']} delivered"
    if result["received_unique"] != result["delivered"]:
        yield f"{result['delivered']} delivered, the receiver counted {result['received_unique']}"
    if result["received_repeats"] != 0:
        yield f"{result['received_repeats']} messages arrived twice"


def print_table(run):
    for name, value in run.result.items():
        note = ""
        few_only = name == "delivery_cpu_us_per_message" and run.arguments.domains > workload.FIXED_DOMAINS_MAX
        if name in EXPECTED and not few_only:
            note = f"   expected at most {EXPECTED[name]}: " + ("yes" if value <= EXPECTED[name] else "NO")
        print(f"{name:46} {value:>12}{note}")
    for phase, threads in run.by_thread.items():
        print(f"CPU us each in {phase}, by thread: " + ", ".join(f"{name} {us}" for name, us in threads.items()))


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected a number from 1")
    return value


def main():
    parser = argparse.ArgumentParser(
        prog="bench/campaign.py", description=__doc__,
        epilog="Exit codes: 0 nothing lost and nothing doubled, whatever it cost; 1 something was, or could not run.")
    parser.add_argument("--recipients", type=positive, default=1000000, metavar="N", help="default %(default)s")
    parser.add_argument("--domains", type=positive, default=20, metavar="N",
                        help=f"default %(default)s; more than {workload.FIXED_DOMAINS_MAX} are a long tail with "
                             f"{workload.MX_SETS} MX sets in a real name server (needs root to unpack it)")
    parser.add_argument("--size", type=positive, default=10240, help="bytes of a message, about (default %(default)s)")
    parser.add_argument("--cores", type=int, default=0, help="engine.cores (default: the processors less one)")
    parser.add_argument("--connections", type=positive, default=10, help="of each path (default %(default)s)")
    parser.add_argument("--messages-per-connection", type=positive, default=100, help="default %(default)s")
    parser.add_argument("--tls", choices=["required", "none"], default="required", help="default %(default)s")
    parser.add_argument("--delay", default="0ms", help="of the receiver's replies (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the list's order")
    parser.add_argument("--time-limit", type=positive, default=600, metavar="SECONDS", help="default %(default)s")
    parser.add_argument("--profile", metavar="DIRECTORY", help="perf of each phase, as intake.perf, delivery.perf, "
                                                              "sink.perf; adds to what is measured")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    add_arguments(parser, os.path.join(workload.ROOT, "build/release/bin/postrider"))
    arguments = parser.parse_args()

    workload.allow_many_files()

    def work(directory):
        run = Run(arguments, directory)
        try:
            run.run()
            wrong = list(problems(run.result))
        finally:
            print_table(run)  # as far as it came
        return {**run.result, "by_thread": run.by_thread}, wrong

    return run_privately(parser.prog, arguments, work,
                         lambda result: print(json.dumps(result)) if arguments.json else None)


if __name__ == "__main__":
    sys.exit(main())
