#!/usr/bin/env python3
"""Holds README.md to its word: every command in its code blocks exists with the options shown, every file it links to
is there, and the sequence of a campaign, taken from the README as it stands, works against a daemon and a sink.

The variable POSTRIDER names the program, POSTRIDER_BUILD the build that `cmake --install` is tried with."""

import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(PROJECT, "tools"))

import loopback  # noqa: E402 (the folder is known only now)

BUILD = os.environ.get("POSTRIDER_BUILD", os.path.join(PROJECT, "build", "release"))
POSTRIDER = os.environ.get("POSTRIDER", os.path.join(BUILD, "bin", "postrider"))
CAMPAIGN = "2026-11-23-offer"
NEEDS_DAEMON = {"status", "queue", "trace", "find", "pause", "resume", "cancel", "export", "reload"}
SECONDS = 60

CONFIG = """\
host_name = "readme.test"
[[source]]
name = "loopback"
ipv4 = "127.0.0.1"
ehlo_name = "readme.test"
[spool]
directory = "spool"
[queue]
directory = "queue"
[log]
directory = "log"
[admin]
listen = "127.0.0.1:0"
[disk]
stop_intake_below = 0.002
stop_sending_below = 0.001
"""


def readme(name="README.md"):
    with open(os.path.join(PROJECT, name), encoding="utf-8") as file:
        return file.read()


def example(name):
    """What the README shows as a campaign's file of that name."""
    return re.search(rf"`{re.escape(name)}`[^`\n]*(?:`[^`\n]+`[^`\n]*)*\n```\w*\n(.*?)^```", readme(),
                     re.MULTILINE | re.DOTALL).group(1)


def readmes():
    """Of the folders too."""
    found = [os.path.relpath(os.path.join(folder, name), PROJECT)
             for top in ("bench", "config", "engine", "queue", "tests", "throttle", "tools")
             for folder, _, names in os.walk(os.path.join(PROJECT, top)) for name in names if name == "README.md"]
    return ["README.md", *sorted(found)]


def commands(name="README.md"):
    """Every line of a README's sh blocks as words, and the `code` of its prose. Comments and redirections are left
    out, and so is whose rights a command needs."""
    found = []
    for block in re.findall(r"^```sh\n(.*?)^```", readme(name), re.MULTILINE | re.DOTALL):
        found += [line.split(">")[0] for line in block.splitlines()]
    found += [code for code in re.findall(r"`([^`\n]+)`", readme(name)) if code.startswith(("postrider ", "tools/"))]
    found = [re.sub(r"^sudo (-u \w+ )?", "", line) for line in found]
    return [words for words in (shlex.split(line, comments=True) for line in found) if words]


def run(words, directory=None, expect=0):
    result = subprocess.run(words, cwd=directory, capture_output=True, text=True, check=False, timeout=SECONDS)
    if result.returncode != expect:
        raise AssertionError(f"{shlex.join(words)} ended with {result.returncode}, not {expect}:\n"
                             f"{result.stdout}{result.stderr}")
    return result.stdout


class Readme(unittest.TestCase):
    def test_it_shows_commands_at_all(self):
        self.assertGreater(len([words for words in commands() if words[0] == "postrider"]), 10)

    def test_every_subcommand_exists_with_the_options_shown(self):
        for name in readmes():
            for words in commands(name):
                if words[0] != "postrider":
                    continue
                with self.subTest(name + ": " + shlex.join(words)):
                    subcommands = list(itertools.takewhile(lambda word: re.fullmatch("[a-z-]+", word) and
                                                           not word.startswith("-"), words[1:]))
                    # Of `suppress add ADDRESS` the help of the inner command, of `find ana@example.org` its own.
                    help_text = run([POSTRIDER, *subcommands, "--help"])
                    for option in words[1:]:
                        if option.startswith("--"):
                            self.assertRegex(help_text, rf"(^|[\s,]){re.escape(option)}\b")

    def test_every_subcommand_has_help_with_an_example(self):
        listed = re.search(r"^Subcommands:\n(.*?)(^\S|\Z)", run([POSTRIDER, "--help"]), re.MULTILINE | re.DOTALL)
        names = re.findall(r"^  ([a-z]+)", listed.group(1), re.MULTILINE)
        self.assertGreaterEqual(set(names), NEEDS_DAEMON | {"run", "submit", "check", "render", "config", "sink"})
        for name in names:
            with self.subTest(name):
                self.assertIn(f"postrider {name}", run([POSTRIDER, name, "--help"]).partition("\n")[2])

    def test_every_tool_exists_and_takes_the_options_shown(self):
        for words in commands():
            if not words[0].startswith("tools/"):
                continue
            with self.subTest(shlex.join(words)):
                path = os.path.join(PROJECT, words[0])
                self.assertTrue(os.access(path, os.X_OK), f"{path} is not a program")
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                for option in words[1:]:
                    if option.startswith("--") and option != "--help":
                        self.assertIn(option, text)

    def test_every_link_and_every_folder_of_the_house_is_there(self):
        names = re.findall(r"\]\(([^):#]+)\)", readme())
        house = re.search(r"^## The house\n\n```\n(.*?)^```", readme(), re.MULTILINE | re.DOTALL).group(1)
        parent = ""
        for indent, folder in re.findall(r"^( *)(\w+/)", house, re.MULTILINE):
            parent = parent if indent else folder
            names.append(parent + folder if indent else folder)
        self.assertGreater(len(names), 15)
        for name in names:
            with self.subTest(name):
                self.assertTrue(os.path.exists(os.path.join(PROJECT, name)))

    def test_every_link_and_every_file_that_a_readme_names_is_there(self):
        names = 0
        for readme_name in readmes():
            folder = os.path.dirname(readme_name)
            text = readme(readme_name)
            links = [os.path.normpath(os.path.join(folder, link)) for link in re.findall(r"\]\(([^):#]+)\)", text)]
            files = re.findall(r"`((?:bench|config|engine|queue|tests|throttle|tools)/[\w./-]+)`", text)
            for name in links + files:
                names += 1
                with self.subTest(f"{readme_name}: {name}"):
                    # A program of bench/ is named as it is built.
                    self.assertTrue(any(os.path.exists(os.path.join(PROJECT, name + end)) for end in ("", ".cc")))
        self.assertGreater(names, 10)

    def test_the_table_of_campaign_toml_has_the_keys_that_the_program_knows(self):
        table = re.search(r"^### campaign.toml\n(.*?)\n\n", readme("engine/intake/README.md"), re.MULTILINE | re.DOTALL)
        told = [key for cell in re.findall(r"^\|([^|]*)\|", table.group(1), re.MULTILINE)
                for key in re.findall(r"`([^`]+)`", cell)]
        with tempfile.TemporaryDirectory(prefix="postrider-readme-") as directory:
            with open(os.path.join(directory, "campaign.toml"), "w", encoding="utf-8") as file:
                file.write("format = 1\nno_such_key = 1\n")
            with open(os.path.join(directory, "postrider.toml"), "w", encoding="utf-8") as file:
                file.write(CONFIG)
            report = run([POSTRIDER, "check", "--json", "--config", os.path.join(directory, "postrider.toml"), directory],
                         expect=1)
        messages = [problem["message"] for problem in json.loads(report)["campaigns"][0]["problems"]]
        known = [message.partition("known are: ")[2] for message in messages if "known are: " in message]
        self.assertEqual(1, len(known), messages)
        self.assertEqual(sorted(known[0].split(", ")), sorted(told))

    def test_what_is_installed_runs(self):
        with tempfile.TemporaryDirectory(prefix="postrider-install-") as prefix:
            run(["cmake", "--install", BUILD, "--prefix", prefix])
            self.assertRegex(run([os.path.join(prefix, "bin", "postrider"), "--version"]), r"^postrider \d")

    def test_the_explained_configuration_is_one_that_check_accepts(self):
        with tempfile.TemporaryDirectory(prefix="postrider-readme-") as directory:
            path = os.path.join(directory, "postrider.toml")
            explained = run([POSTRIDER, "config", "--explain"])
            # The directories of /var are the daemon's alone, and no host has that address.
            text = explained.replace('"/var/', f'"{directory}/').replace('"192.0.2.10"', '"127.0.0.1"')
            self.assertEqual(4, text.count(f'"{directory}/'))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            run([POSTRIDER, "check", "--config", path])


class CampaignSequence(unittest.TestCase):
    """The campaign of the README, with one receiver that takes mail and one domain that puts it off."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="postrider-readme-")
        self.addCleanup(shutil.rmtree, self.directory)
        self.sink = loopback.Sink(POSTRIDER, self.directory, ["--listen", "127.0.0.1:0=plain,temporary=60%"])
        self.addCleanup(self.sink.stop)
        self.daemon = loopback.Daemon(POSTRIDER, self.directory)
        route = re.search(r"^```toml\n(\[\[route\]\]\n.*?)^```", readme(), re.MULTILINE | re.DOTALL).group(1)
        with open(self.daemon.config_path, "w", encoding="utf-8") as file:
            file.write(CONFIG + route.replace(":2525", f":{self.sink.ports()['127.0.0.1']}"))
        self.daemon.start()
        self.addCleanup(self.daemon.stop)

    def write_campaign(self):
        folder = os.path.join(self.directory, CAMPAIGN)
        os.mkdir(folder)
        files = {
            "campaign.toml": example("campaign.toml"),
            "message.eml": example("message.eml"),
            "recipients.jsonl": example("recipients.jsonl") + "".join(
                f'{{"to":"reader{n}@example.net","id":"{n}","name":"Reader"}}\n' for n in range(200)),
        }
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)

    def command(self, words):
        """The README's words, told where this test's daemon and configuration are."""
        place = ["--admin", self.daemon.admin] if words[1] in NEEDS_DAEMON else ["--config", self.daemon.config_path]
        return [POSTRIDER, *words[1:], *place]

    def watch(self, words):
        """It goes on until told to stop; its first page is enough."""
        with subprocess.Popen(self.command(words), stdout=subprocess.PIPE, text=True) as process:
            timer = threading.Timer(SECONDS, process.kill)
            timer.start()
            first = process.stdout.readline()
            timer.cancel()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SECONDS)
        self.assertIn(CAMPAIGN, first)

    def test_the_commands_do_what_is_said_of_them(self):
        self.write_campaign()
        sequence = [words for words in commands() if words[0] == "postrider" and
                    (CAMPAIGN in words or words[1] in ("status", "queue", "find")) and words[1:] != ["status"]]
        self.assertEqual(["check", "render", "plan", "submit", "status", "queue", "find", "pause", "export"],
                         list(dict.fromkeys(words[1] for words in sequence)))
        said = {}
        for words in sequence:
            if "--watch" in words:
                self.watch(words)
                continue
            said[words[1]] = run(self.command(words), self.directory)
            if words[1] == "submit":
                loopback.wait_for("a try of every recipient",
                                  lambda: (lambda totals: totals["delivered"] + totals["deferrals"] >= 201)
                                  (self.daemon.status()["totals"]), self.daemon.process, SECONDS)
        self.assertIn("accepted", said["check"])
        self.assertIn("Dear Ana!", said["render"])
        self.assertIn("example.net", said["queue"])
        self.assertIn("4711", said["find"])
        rest = [json.loads(line) for line in said["export"].splitlines()]
        status = self.daemon.status()
        self.assertEqual(status["totals"]["queued"], len(rest))
        self.assertGreater(len(rest), 50)
        written = {str(n): (f"reader{n}@example.net", "Reader") for n in range(200)}
        written["4711"] = ("ana@example.org", "Ana")
        for row in rest:
            address, name = written[row["id"]]
            self.assertEqual({"to": address, "id": row["id"], "vars": {"name": name}}, row)
        self.assertEqual(["paused"], [campaign["state"] for campaign in status["campaigns"]])
        run(self.command(["postrider", "resume", CAMPAIGN]))
        self.assertEqual(["running"], [campaign["state"] for campaign in self.daemon.status()["campaigns"]])
        run(self.command(["postrider", "reload"]))
        run(self.command(["postrider", "cancel", CAMPAIGN]))
        loopback.wait_for("the campaign's end", lambda: self.daemon.status()["totals"]["queued"] == 0,
                          self.daemon.process, SECONDS)
        self.daemon.stop()
        self.assertEqual(0, self.daemon.process.returncode)


if __name__ == "__main__":
    unittest.main(verbosity=2)
