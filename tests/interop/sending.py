"""Postrider in a private directory, with the configuration of a test."""

import collections
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(PROJECT, "tools")]

import loopback  # noqa: E402  (of tools/)

POSTRIDER = os.environ.get("POSTRIDER", os.path.join(PROJECT, "build", "release", "bin", "postrider"))
DONE_SECONDS = 40

CONFIG = """\
host_name = "sender.test"
allow_short_timeouts = true

[[source]]
name = "loopback"
ipv4 = "127.0.0.1"
ehlo_name = "sender.test"

[spool]
directory = "spool"

[queue]
directory = "queue"

[log]
directory = "log"

[admin]
listen = "127.0.0.1:0"

# A nearly full disk is another test's matter.
[disk]
stop_intake_below = 0.002
stop_sending_below = 0.001

"""


class Sender(loopback.Daemon):
    """further: configuration behind what all tests share."""

    def __init__(self, directory, further, shared=CONFIG):
        super().__init__(POSTRIDER, directory)
        self.directory = directory
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(shared + further)

    def submit(self, *folders):
        return self.command("submit", "--config", self.config_path, *folders)

    def render(self, folder, row):
        """The exact message of one row, as `postrider render` shows it."""
        command = [POSTRIDER, "render", "--config", self.config_path, folder, "--row", str(row)]
        return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout

    def wait_for_totals(self, what, condition, seconds=DONE_SECONDS):
        """The totals once condition holds of them."""
        seen = {}

        def look():
            seen.update(self.status()["totals"])
            return condition(seen)

        try:
            loopback.wait_for(what, look, self.process, seconds, step=0.1)
        except loopback.Failed as error:
            raise loopback.Failed(f"{error}; totals: {seen}") from error
        return seen

    def wait_until_sent(self, rows, seconds=DONE_SECONDS):
        """Until every one of so many recipients has its final event."""
        return self.wait_for_totals(f"{rows} recipients sent", lambda totals: totals["rows"] >= rows and
                                    totals["queued"] == 0, seconds)

    def events(self):
        return list(loopback.recipient_events(self.directory))

    def finals(self):
        """Recipient -> its final events. A line that a crash repeated has the same id and is left out."""
        finals = collections.defaultdict(dict)
        for event in self.events():
            if event["final"]:
                finals[event["recipient"]][event["id"]] = event
        return {recipient: list(events.values()) for recipient, events in finals.items()}

    def tail(self, lines=40):
        return "--- " + os.path.basename(self.log_path) + "\n" + \
            "\n".join(loopback.read_text(self.log_path).split("\n")[-lines:])


class InteropCase(unittest.TestCase):
    """A private directory; what runs in it is stopped in the end, and says its last lines when a test fails."""

    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.told = False
        cls.running = []  # each with stop() and, if it keeps a log, tail()
        cls.directory = tempfile.mkdtemp(prefix="postrider-interop-")
        try:
            cls.prepare()
        except BaseException:
            cls.tell()
            cls.tearDownClass()
            raise

    @classmethod
    def prepare(cls):
        """Starts what the tests of this class look at."""

    @classmethod
    def started(cls, program):
        cls.running.append(program)
        return program

    @classmethod
    def tell(cls):
        """Once: every test of a class looks at the same run."""
        if cls.told:
            return
        cls.told = True
        for program in cls.running:
            if hasattr(program, "tail"):
                print(program.tail(), file=sys.stderr, flush=True)

    @classmethod
    def tearDownClass(cls):
        for program in reversed(cls.running):
            program.stop()
        shutil.rmtree(cls.directory, ignore_errors=True)

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            self.tell()

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.directory, *names)

    @classmethod
    def start_sender(cls, further, **more):
        sender = Sender(cls.directory, further, **more)
        cls.started(sender)
        sender.start()
        return sender


def main():
    """Runs the tests of the calling file."""
    if os.geteuid() != 0:
        print("The interop tests need root: they give each real server a mount namespace of its own. Run them as root.",
              file=sys.stderr)
        sys.exit(1)
    if not os.access(POSTRIDER, os.X_OK):
        print(f"{POSTRIDER} is not a program; tools/build makes it, and the variable POSTRIDER names another.",
              file=sys.stderr)
        sys.exit(1)
    unittest.main(module="__main__", verbosity=2)
