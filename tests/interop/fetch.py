#!/usr/bin/env python3
"""Unpacks the real servers of packages.txt, each with all it depends on, into a root directory of its own.

  tests/interop/fetch.py [--cache DIRECTORY] [SERVER...]

apt resolves each server as if nothing were installed, so a root holds all it needs and takes nothing from the host; the
mail servers, whose packages exclude each other, need not share one. Nothing is installed and no package script runs.
What was unpacked before is kept as long as apt would choose the same versions."""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "interop")
APT_SECONDS = 240
# One file system tree, as Debian 12 has it: packages that still ship /bin or /lib land below /usr.
MERGED = ["bin", "sbin", "lib", "lib64"]


class Failed(Exception):
    pass


def servers():
    """Server -> its packages, as packages.txt lists them."""
    with open(os.path.join(HERE, "packages.txt"), encoding="utf-8") as file:
        rows = [line.split("#")[0].split() for line in file]
    return {row[0]: row[1:] for row in rows if row}


def root_of(server, cache=CACHE):
    return os.path.join(cache, server, "root")


class Apt:
    def __init__(self, cache):
        self.archives = os.path.join(cache, "archives")
        os.makedirs(os.path.join(self.archives, "partial"), exist_ok=True)
        nothing = os.path.join(cache, "nothing-installed")
        with open(nothing, "w", encoding="utf-8"):
            pass
        self.options = [f"Dir::State::status={nothing}", f"Dir::Cache::archives={self.archives}",
                        "APT::Install-Recommends=false", "APT::Sandbox::User=root", "Acquire::Retries=3",
                        "Debug::NoLocking=true"]
        self.updated = False

    def run(self, *arguments):
        options = [word for option in self.options for word in ("-o", option)]
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(["apt-get", "-y", *options, *arguments], capture_output=True, text=True, check=False,
                              timeout=APT_SECONDS, env=environment)

    def update(self):
        """The lists of a machine that never asked for them, or asked long ago, do not name what the mirror has now."""
        if self.updated:
            return False
        self.updated = True
        print("asking apt for its lists", file=sys.stderr, flush=True)
        subprocess.run(["apt-get", "-qq", "update"], capture_output=True, check=False, timeout=APT_SECONDS)
        return True

    def insist(self, *arguments):
        result = self.run(*arguments)
        if result.returncode != 0 and self.update():
            result = self.run(*arguments)
        if result.returncode != 0:
            raise Failed(f"apt-get {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")
        return result.stdout

    def choose(self, packages):
        """Sorted (package, version) of all that these packages need."""
        simulated = self.insist("--simulate", "install", *packages)
        return sorted(set(re.findall(r"^Inst (\S+) \((\S+) ", simulated, re.MULTILINE)))

    def download(self, packages):
        self.insist("--download-only", "install", *packages)

    def archive(self, package, version):
        prefix = f"{package.split(':')[0]}_{version.replace(':', '%3a')}_"
        for name in os.listdir(self.archives):
            if name.startswith(prefix) and name.endswith(".deb"):
                return os.path.join(self.archives, name)
        raise Failed(f"apt-get downloaded no {prefix}*.deb to {self.archives}")


def unpack(archive, root):
    """A package's files, owners and modes included; directories that are links in the root stay links."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as source:
        subprocess.run(["tar", "--extract", "--keep-directory-symlink", "--exclude=./usr/share/doc",
                        "--exclude=./usr/share/man", "--exclude=./usr/share/locale", "--directory", root],
                       stdin=source.stdout, check=True, timeout=APT_SECONDS)
    if source.returncode != 0:
        raise Failed(f"dpkg-deb could not read {archive}")


def make_root(root, archives):
    shutil.rmtree(root, ignore_errors=True)
    for name in MERGED:
        os.makedirs(os.path.join(root, "usr", name), exist_ok=True)
        os.symlink(os.path.join("usr", name), os.path.join(root, name))
    for archive in archives:
        unpack(archive, root)
    for name in ["dev", "proc", "run", "tmp", "etc", "var"]:
        os.makedirs(os.path.join(root, name), exist_ok=True)


def is_newer(stamp, *sources):
    times = [os.path.getmtime(path) for path in sources if os.path.exists(path)]
    return os.path.getmtime(stamp) > max(times)


def fetch(server, packages, apt, cache):
    """Returns what was done, for a person to read."""
    stamp = os.path.join(cache, server, "versions")
    try:
        with open(stamp, encoding="utf-8") as file:
            present = file.read()
    except FileNotFoundError:
        present = None
    # apt answers the same as long as its lists are the same.
    if present is not None and is_newer(stamp, "/var/lib/apt/lists", os.path.join(HERE, "packages.txt"), __file__):
        return "kept"
    try:
        chosen = apt.choose(packages)
    except Failed as error:
        if present is None:
            raise
        return f"kept; apt could not say whether there is a newer one: {str(error).splitlines()[0]}"
    wanted = "".join(f"{package} {version}\n" for package, version in chosen)
    if wanted == present:
        os.utime(stamp)
        return "kept"
    apt.download(packages)
    os.makedirs(os.path.join(cache, server), exist_ok=True)
    if present is not None:
        os.unlink(stamp)
    make_root(root_of(server, cache), [apt.archive(*one) for one in chosen])
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(wanted)
    return f"unpacked {len(chosen)} packages"


def main():
    parser = argparse.ArgumentParser(description="Unpacks the real servers that the interop tests talk to.")
    parser.add_argument("--cache", default=CACHE, help=f"where to unpack (default {CACHE})")
    parser.add_argument("server", nargs="*", help="one of packages.txt; default all")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("The interop tests need root: they unpack servers with their owners and give each a mount namespace.",
              file=sys.stderr)
        return 1
    known = servers()
    unknown = [name for name in arguments.server if name not in known]
    if unknown:
        parser.error(f"no such server in packages.txt: {', '.join(unknown)}")
    os.makedirs(arguments.cache, exist_ok=True)
    with open(os.path.join(arguments.cache, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        apt = Apt(arguments.cache)
        for server in arguments.server or known:
            begun = time.monotonic()
            try:
                done = fetch(server, known[server], apt, arguments.cache)
            except (Failed, OSError, subprocess.SubprocessError) as error:
                print(f"{server}: {error}", file=sys.stderr)
                return 1
            print(f"{server}: {done} ({time.monotonic() - begun:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
