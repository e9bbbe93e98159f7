"""Runs the sink and the daemon on loopback in a private directory, and looks at them from outside: shared by the
demonstration, the benchmarks and the tests with real programs. What goes wrong raises Failed with a sentence."""

import http.client
import json
import os
import re
import signal
import subprocess
import time


class Failed(Exception):
    pass


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
