"""Runs one real server in the root that fetch.py unpacked, in mount and process namespaces of its own: its users, spool
and configuration are this run's alone, the unpacked root stays as it was, and with its first process all end."""

import ctypes
import os
import signal
import subprocess

import fetch

# What a server may write, bound over the same folders of its root.
OWN = ["etc", "var", "run", "tmp"]

# Run from the root of the mount namespace, which is not that of a test in a chroot: what is no mount point cannot be
# made private, and mounts that are not private would show outside. The shell stays, as the first process of its
# namespace: the kernel ends it with unshare, and all others with it. A server would not do, for changing its user id
# frees it of that.
ENTER = """\
set -e
outside=${PWD%%"$1"}
root=$outside$1 own=$outside$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
for folder in %s; do mount --bind "$own/$folder" "$root/$folder"; done
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
cd "$root"
chroot . "$@"
exit $?
""" % " ".join(OWN)

# Stored mail belongs to this user in every jail.
MAIL_USER = ("vmail", 2000)
USERS = [("root", 0), ("daemon", 1), ("mail", 8), ("nobody", 65534), MAIL_USER]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with_parent():
    """For Popen's preexec_fn: a test that is killed leaves nothing running."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Jail:
    def __init__(self, server, directory, users=(), groups=()):
        self.server = server
        self.root = os.path.realpath(fetch.root_of(server))
        if not os.path.isdir(self.root):
            raise fetch.Failed(f"{self.root} is missing; tests/interop/fetch.py {server} makes it")
        self.own = os.path.join(os.path.realpath(directory), server)
        self.log = os.path.join(directory, server + ".log")
        self.process = None
        os.makedirs(self.own)
        for folder in OWN:
            subprocess.run(["cp", "-a", os.path.join(self.root, folder), self.own], check=True)
        os.makedirs(self.path("var", "mail"), exist_ok=True)
        os.makedirs(self.path("var", "log"), exist_ok=True)
        os.chmod(self.path("tmp"), 0o1777)
        if not os.path.lexists(self.path("var", "run")):
            os.symlink("/run", self.path("var", "run"))
        everybody = [*USERS, *users]
        self.write("etc/passwd", "".join(f"{name}:x:{id}:{id}::/var/mail:/bin/sh\n" for name, id in everybody))
        self.write("etc/group", "".join(f"{name}:x:{id}:\n" for name, id in [*everybody, *groups]))
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\n")
        # A server that looks its client up is refused at once, for nothing listens there.
        self.write("etc/resolv.conf", "nameserver 127.0.0.1\n")

    def path(self, *names):
        return os.path.join(self.own, *names)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def make(self, folder, owner=0):
        os.makedirs(self.path(folder), exist_ok=True)
        os.chown(self.path(folder), owner, owner)

    def command(self, *command):
        return ["unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child",
                "nsenter", "--mount=/proc/self/ns/mnt", f"--wd={self.root}", "--",
                "sh", "-c", ENTER, "enter", self.root, self.own, *command]

    def run(self, *command, stdin=b"", seconds=30):
        """A command's whole run in the jail; what it said on standard output and standard error."""
        result = subprocess.run(self.command(*command), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                check=False, timeout=seconds, preexec_fn=die_with_parent)
        said = result.stdout.decode(errors="replace")
        if result.returncode != 0:
            raise fetch.Failed(f"{' '.join(command)} ended with {result.returncode}: {said.strip()}")
        return said

    def start(self, *command, environment=None):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(environment or {})},
                                            preexec_fn=die_with_parent)

    def stop(self):
        """At once: what is stored has been read, and killing the first process of the namespace ends the others."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def tail(self, lines=40):
        """The end of what the server said, for a failed test."""
        said = []
        for folder, _, names in os.walk(self.path("var", "log")):
            said += [os.path.join(folder, name) for name in sorted(names)]
        texts = []
        for path in [self.log, *said]:
            if os.path.exists(path) and os.path.getsize(path) > 0:
                with open(path, encoding="utf-8", errors="replace") as file:
                    texts.append(f"--- {os.path.basename(path)}\n" + "".join(file.readlines()[-lines:]))
        return "".join(texts)
