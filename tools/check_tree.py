#!/usr/bin/env python3
"""Keeps the house in order; run by ctest as `tree`.

  tools/check_tree.py [--compiler CXX] [--commands build/release/compile_commands.json] [--memory FILE]

Checks that
- includes go one way: a folder includes its own files and lower floors, never a sibling or an upper floor;
- a third-party header is included in its one home only;
- every header starts with #pragma once and compiles alone;
- every source file is part of the build;
- lines stay within 120 columns.
Prints every finding as file:line: message and exits 1 if there is any.

What compiled alone is remembered in --memory (default: header_check.json beside the compile commands, else in build/),
with a hash of each file that the compiler read for it: a header is compiled again once one of them, the compiler or the
flags changed. Delete the file to have all compiled.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COLUMNS = 120

FLOORS = {
    "config": 0,
    "throttle": 1, "queue": 1, "engine/io": 1, "engine/tls": 1, "engine/smtp": 1, "engine/message": 1,
    "engine/dns": 2, "engine/policy": 2,
    "engine/intake": 3, "engine/delivery": 3,
    "engine/observe": 4,
    "engine": 5,
    "tools": 6, "tests": 6, "bench": 6,
}

# Header (a prefix, or a whole name) -> the folders that may include it. tests and bench may include what they test with.
HOMES = {
    "liburing": ["engine/io"],
    "linux/io_uring.h": ["engine/io"],
    "ares": ["engine/dns"],
    "openssl/": ["engine/tls", "engine/message"],
    "rocksdb/": ["queue"],
    "prometheus/": ["engine/observe"],
    "CivetServer.h": ["engine/observe"],
    "civetweb.h": ["engine/observe", "tools"],
    "toml++/": ["config"],
    "date/": ["config"],
    "toml.hpp": ["config"],
    "CLI/": ["tools"],
    "spdlog/": ["engine/observe"],
    "re2/": ["throttle"],
    "idn2.h": ["config"],
    "simdjson": ["engine/intake"],
    "zstd.h": ["engine/intake", "engine/observe"],
    "zlib.h": ["engine/intake"],
    "nlohmann/": ["engine/observe", "tools"],
    "gtest/": ["tests"],
    "gmock/": ["tests"],
    "benchmark/": ["bench"],
}
# Test programs look at the same data through the same libraries.
TEST_MAY_INCLUDE = {"openssl/", "nlohmann/", "zstd.h", "zlib.h", "civetweb.h", "rocksdb/", "simdjson", "CLI/", "gtest/",
                    "gmock/", "liburing", "prometheus/"}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def source_files():
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                             capture_output=True, text=True, check=False)
    names = listing.stdout.split("\n") if listing.returncode == 0 else [
        os.path.relpath(os.path.join(folder, name), ROOT)
        for folder, _, files in os.walk(ROOT) if "/build" not in folder for name in files]
    return sorted(name for name in names
                  if name.endswith((".h", ".cc")) and not name.startswith("build/")
                  and os.path.exists(os.path.join(ROOT, name)))


def room_of(name):
    """The folder of the house that a path belongs to: the longest one known, or None."""
    folder = os.path.dirname(name)
    while folder and folder not in FLOORS:
        folder = os.path.dirname(folder)
    return folder or None


def home_of(header):
    return next((known for known in HOMES
                 if (header.startswith(known) if known.endswith("/") else
                     header == known or header in (known + ".h", known + ".hpp") or
                     (known == "ares" and header.startswith("ares")))), None)


def check_includes(name, lines):
    room = room_of(name)
    if room is None:
        yield f"{name}:1: is in no folder of the house"
        return
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, header = match.groups()
        if quote == '"':
            other = room_of(header)
            if not os.path.exists(os.path.join(ROOT, header)):
                yield f'{name}:{number}: "{header}" does not exist from the repository root'
            elif other is None:
                yield f'{name}:{number}: "{header}" is in no folder of the house'
            elif other != room and FLOORS[other] >= FLOORS[room] and FLOORS[room] < 6:
                yield (f"{name}:{number}: {room} (floor {FLOORS[room]}) may not include {other} "
                       f"(floor {FLOORS[other]})")
            elif FLOORS[room] == 6 and other != room and FLOORS[other] == 6 and room == "tools":
                yield f"{name}:{number}: tools may not include {other}"
        else:
            known = home_of(header)
            if known is None:
                continue
            allowed = HOMES[known]
            if room in allowed or room == "bench" or (room == "tests" and known in TEST_MAY_INCLUDE):
                continue
            yield f"{name}:{number}: <{header}> has its home in {', '.join(allowed)}, not in {room}"


def check_text(name, lines):
    if name.endswith(".h"):
        first = next((line for line in lines if line.strip()), "")
        if first.strip() != "#pragma once":
            yield f"{name}:1: a header starts with #pragma once"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield f"{name}:{number}: {len(line)} columns; the limit is {COLUMNS}"


def first_include(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            match = INCLUDE.match(line)
            if match:
                return match.group(2)
    return None


def headers_to_compile(names):
    """Headers that no built source proves by including them first."""
    proven = {first_include(os.path.join(ROOT, name)) for name in names if name.endswith(".cc")}
    return [name for name in names if name.endswith(".h") and name not in proven]


class HeaderMemory:
    """Which headers compiled alone, and from what. A file that cannot be read or is of another form is an empty one."""

    def __init__(self, path, compiler, flags):
        self.path = path
        version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
        self.key = [version, *flags]
        self.digests = {}
        self.headers = {}  # name -> {file: digest}
        try:
            with open(path, encoding="utf-8") as file:
                told = json.load(file)
            if told["key"] == self.key:
                # Kept as numbers into one list of files: the same standard headers stand behind almost every one.
                files = told["files"]
                self.headers = {name: {files[place][0]: files[place][1] for place in places}
                                for name, places in told["headers"].items()}
        except (OSError, ValueError, LookupError, TypeError):
            pass

    def digest(self, path):
        if path not in self.digests:
            try:
                with open(os.path.join(ROOT, path), "rb") as file:
                    self.digests[path] = hashlib.blake2b(file.read(), digest_size=16).hexdigest()
            except OSError:
                self.digests[path] = None
        return self.digests[path]

    def knows(self, name):
        files = self.headers.get(name)
        return bool(files) and all(digest is not None and self.digest(path) == digest
                                   for path, digest in files.items())

    def learn(self, name, files):
        self.headers[name] = {path: self.digest(path) for path in files}

    def save(self, names):
        """Of these headers alone; the others are gone. What cannot be kept costs time, no more."""
        headers = {name: files for name, files in self.headers.items() if name in names}
        files = sorted({entry for of_one in headers.values() for entry in of_one.items()})
        places = {entry: place for place, entry in enumerate(files)}
        text = json.dumps({"key": self.key, "files": files,
                           "headers": {name: sorted(places[entry] for entry in of_one.items())
                                       for name, of_one in headers.items()}})
        try:
            with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(self.path), delete=False) as file:
                file.write(text)
            os.replace(file.name, self.path)
        except OSError:
            pass


def compile_alone(compiler, flags, name):
    """A finding or None, and the files that the compiler read."""
    with tempfile.NamedTemporaryFile("r", suffix=".d") as read:
        result = subprocess.run([compiler, *flags, "-I", ROOT, "-fsyntax-only", "-MD", "-MF", read.name, "-x", "c++", "-"],
                                cwd=ROOT, input=f'#include "{name}"\n', capture_output=True, text=True, check=False)
        # "-: file file \\ ...", in make's form
        files = read.read().partition(":")[2].replace("\\\n", " ").split()
    if result.returncode != 0:
        first = next((line for line in result.stderr.split("\n") if "error" in line), result.stderr.strip())
        return f"{name}:1: does not compile alone: {first}", []
    # From the root: the tree may stand elsewhere next time.
    return None, [os.path.relpath(path, ROOT) if path.startswith(ROOT + os.sep) else path for path in files if path != "-"]


def check_headers(names, compiler, flags, memory_path):
    headers = headers_to_compile(names)
    memory = HeaderMemory(memory_path, compiler, flags)
    unknown = [name for name in headers if not memory.knows(name)]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for name, (finding, files) in zip(unknown,
                                          pool.map(lambda name: compile_alone(compiler, flags, name), unknown)):
            if finding:
                yield finding
            else:
                memory.learn(name, files)
    memory.save(set(headers))


def main():
    parser = argparse.ArgumentParser(description="Checks the order of the house.")
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--commands", help="compile_commands.json of a build")
    parser.add_argument("--memory", help="where it is remembered which headers compiled alone")
    arguments = parser.parse_args()

    names = source_files()
    findings = []
    for name in names:
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            lines = file.read().split("\n")
        findings += check_includes(name, lines)
        findings += check_text(name, lines)

    if arguments.commands:
        with open(arguments.commands, encoding="utf-8") as file:
            built = {os.path.relpath(entry["file"], ROOT) for entry in json.load(file)}
        findings += [f"{name}:1: is not part of the build" for name in names
                     if name.endswith(".cc") and name not in built and not name.startswith("tests/fuzz/")]

    flags = ["-std=c++23", "-I/usr/include/android"]
    memory = arguments.memory or os.path.join(
        os.path.dirname(os.path.abspath(arguments.commands)) if arguments.commands else os.path.join(ROOT, "build"),
        "header_check.json")
    findings += check_headers(names, arguments.compiler, flags, memory)

    for finding in findings:
        print(finding)
    print(f"{len(names)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
