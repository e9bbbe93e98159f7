"""Runs the sink and the daemon on loopback in a private directory, and looks at them from outside: shared by the
demonstration, the benchmarks and the tests with real programs. What goes wrong raises Failed with a sentence."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time


class Failed(Exception):
    pass


# A configuration whose directories lie beside it, and which sends from 127.0.0.1; {further} are other tables, {queue}
# and {log} more options of those two.
CONFIG = """\
host_name = "bench.postrider.example"

[[source]]
name = "loopback"
ipv4 = "127.0.0.1"
ehlo_name = "bench.postrider.example"

[spool]
directory = "spool"

[queue]
directory = "queue"
{queue}
[log]
directory = "log"
{log}
[admin]
listen = "127.0.0.1:0"

{further}"""


def configuration(further, queue="", log='rotate_bytes = "1GiB"\n'):
    """A log of one file can be read whole: closed ones are compressed."""
    return CONFIG.format(further=further, queue=queue, log=log)


def routes(domains, addresses, port):
    """Each domain's mail goes to the sink's address for it."""
    return "".join(f'[[route]]\nmatch = "{domain}"\nhosts = ["{address}:{port}"]\nallow_private = true\n'
                   for domain, address in zip(domains, addresses))


def wait_for(what, condition, process=None, seconds=30, step=0.05):
    """The first true value of condition(); Failed when the process ends before or the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        if process is not None and process.poll() is not None:
            raise Failed(f"{what}: the process ended with code {process.returncode}")
        time.sleep(step)
    raise Failed(f"{what}: not within {seconds} s")


def stop(process, seconds=45):
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_cpu_seconds(pid):
    """CPU seconds of a process by the names of its threads; threads of one name are added up."""
    sums = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read().strip()
            # In nanoseconds, where stat counts ticks of 10 ms.
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as file:
                seconds = int(file.read().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        sums[name] = sums.get(name, 0.0) + seconds
    return sums


def peak_resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def spawn(command, log_path):
    """Standard output and standard error go to the end of one file."""
    with open(log_path, "ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


@contextlib.contextmanager
def stopping(*programs):
    """Whatever happens inside, these are stopped in the end, the first first."""
    try:
        yield
    finally:
        for program in programs:
            program.stop()


def add_arguments(parser, postrider):
    """Those that run_privately needs."""
    parser.add_argument("--keep", action="store_true", help="keep the private directory")
    parser.add_argument("--postrider", default=postrider, metavar="FILE", help="the program (default %(default)s)")


def run_privately(program, arguments, work, tell=None):
    """work(directory) in a directory of its own gives its result and the sentences about what is wrong with it. The
    result is told (tell(result), or as one JSON object), the sentences go to standard error. The directory stays if
    something went wrong, or if that was asked for. The exit code: 0 if nothing is wrong."""
    arguments.postrider = os.path.abspath(arguments.postrider)
    name = os.path.splitext(os.path.basename(program))[0].replace("_", "-")
    directory = tempfile.mkdtemp(prefix=f"postrider-{name}-")
    code = 1
    try:
        result, wrong = work(directory)
        (tell or (lambda told: print(json.dumps(told))))(result)
        for sentence in wrong[:20]:
            print(f"{program}: {sentence}", file=sys.stderr)
        code = 1 if wrong else 0
    except Failed as failure:
        print(f"{program}: {failure}", file=sys.stderr)
    if arguments.keep or code != 0:
        print(f"Kept: {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory)
    return code


class Sink:
    def __init__(self, postrider, directory, arguments, log="sink.log"):
        """arguments: of `postrider sink`, listen addresses included."""
        self.ports_path = os.path.join(directory, "ports")
        self.summary_path = os.path.join(directory, "sink.json")
        self.process = spawn([postrider, "sink", "--port-file", self.ports_path, "--summary", self.summary_path,
                              *arguments], os.path.join(directory, log))

    @property
    def pid(self):
        return self.process.pid

    def ports(self):
        """Address -> port, once all are listened on."""
        lines = wait_for("the receiver", lambda: read_text(self.ports_path).split(), self.process)
        return dict(line.rsplit(":", 1) for line in lines)

    def stop(self):
        stop(self.process)

    def summary(self):
        """After stop."""
        with open(self.summary_path, encoding="utf-8") as file:
            return json.load(file)


class Daemon:
    """`postrider run` with directory/postrider.toml, which must say admin.listen = "127.0.0.1:0"."""

    def __init__(self, postrider, directory, log="daemon.log"):
        self.postrider = postrider
        self.log_path = os.path.join(directory, log)
        self.config_path = os.path.join(directory, "postrider.toml")
        self.process = None
        self.admin = None

    @property
    def pid(self):
        return self.process.pid

    def configure(self, text):
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, seconds=30):
        """Until the admin's address is known. Seconds from the start of the program."""
        begun = time.monotonic()
        said_before = len(read_text(self.log_path))
        self.process = spawn([self.postrider, "run", "--config", self.config_path], self.log_path)

        def admin_port():
            match = re.search(r"admin on port (\d+)", read_text(self.log_path)[said_before:])
            return match and match.group(1)

        self.admin = "127.0.0.1:" + wait_for("the daemon", admin_port, self.process, seconds, step=0.005)
        return time.monotonic() - begun

    def stop(self):
        stop(self.process)

    def stop_well(self):
        """As stop, but Failed if it did not end as it should."""
        self.stop()
        if self.process.returncode != 0:
            raise Failed(f"the daemon stopped with code {self.process.returncode}, not 0")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def command(self, *arguments):
        """What `postrider ARGUMENTS` says on standard output."""
        result = subprocess.run([self.postrider, *arguments], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise Failed(f"postrider {arguments[0]}: " + (result.stderr.strip() or result.stdout.strip()))
        return result.stdout

    def request(self, method, path, body=None):
        """Status and text of the admin's answer."""
        connection = http.client.HTTPConnection(self.admin, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {path}: {error}") from error
        finally:
            connection.close()

    def ask(self, method, path, body=None):
        status, text = self.request(method, path, body)
        if status != 200:
            raise Failed(f"{method} {path}: {status} {text.strip()}")
        return text

    def status(self):
        return json.loads(self.ask("GET", "/api/v1/status"))

    def watch_totals(self, what, done, seconds=None, stuck_after=None):
        """The totals of its status, once done(totals). Failed when the seconds are over, or when for so long no
        recipient more has left the queue."""
        begun = moved = time.monotonic()
        queued = -1
        while True:
            totals = self.status()["totals"]
            if done(totals):
                return totals
            now = time.monotonic()
            if totals["queued"] != queued:
                moved, queued = now, totals["queued"]
            if stuck_after is not None and now - moved > stuck_after:
                raise Failed(f"{what}: nothing moved for {stuck_after} s: {json.dumps(self.status())[:4000]}")
            if seconds is not None and now - begun > seconds:
                raise Failed(f"{what}: not within {seconds} s: {json.dumps(self.status())[:4000]}")
            time.sleep(0.2)

    def metrics(self):
        """Name with labels, as /metrics writes them -> value."""
        samples = (line.rpartition(" ") for line in self.ask("GET", "/metrics").splitlines()
                   if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}


def submit(directory, campaign, name=None):
    """Hands a campaign directory in by renaming it into the spool of directory, as `postrider submit` does."""
    target = os.path.join(directory, "spool", "new", name or os.path.basename(campaign))
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    os.rename(campaign, target)


def log_lines(directory):
    """The lines of all closed and open delivery logs that are not compressed, oldest first."""
    for name in sorted(os.listdir(os.path.join(directory, "log"))):
        if name.endswith(".jsonl"):
            with open(os.path.join(directory, "log", name), encoding="utf-8") as file:
                yield from file


def recipient_events(directory):
    for line in log_lines(directory):
        event = json.loads(line)
        if "recipient" in event:
            yield event
