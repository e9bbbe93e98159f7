"""What the whole-program benchmarks send: a personalised multipart message, recipient lists over few domains or over a
long tail of them, and the receivers of both: fixed hosts for few domains, MX records in a real name server for many."""

import os
import random
import resource
import socket
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from loopback import Failed, spawn, stop, wait_for  # noqa: E402 (the folder is known only now)

ENVELOPE = """\
format = 1
class = "bulk"
envelope_from = "bounces@shop.example"
"""

FILLER = ("We picked this week's articles for you by hand: what is in season, what our readers liked best, and what will "
          "be gone by Sunday. As always, nothing here needs a code, and delivery is free of charge. ")
NAMES = ["Ana", "Björn", "Chloé", "Dmitri", "Eva", "Farid", "Grace", "Hiro", "Íñigo", "Jana"]
CITIES = ["Lisbon", "Malmö", "Lyon", "Tbilisi", "Vienna", "Tunis", "Dublin", "Osaka", "Bilbao", "Brno"]

# More sites than this are not listed one by one in a configuration, they are looked up.
FIXED_DOMAINS_MAX = 200
# 100,000 small domains are hosted by far fewer providers.
MX_SETS = 2000
LONG_TAIL_ZONE = "tail.example"
LONG_TAIL_ADDRESSES = [f"127.0.1.{n}" for n in range(1, 17)]
NAME_SERVER_ADDRESS = "127.0.0.53"


def message(size):
    """About so many bytes on the wire: text and HTML with merge fields in both and in the headers."""
    head = ("From: \"The Shop\" <news@shop.example>\r\n"
            "To: {{name|reader}} <{{to}}>\r\n"
            "Subject: {{name|Reader}}, the news of the week\r\n"
            "List-Unsubscribe: <https://shop.example/unsubscribe/{{id}}>\r\n"
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/alternative; boundary=\"part\"\r\n"
            "\r\n"
            "--part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
            "Dear {{name|reader}},\r\n\r\nYour city: {{city|your city}}. Your number: {{id}}.\r\n"
            "\r\n--part\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
            "<html><body><p>Dear <b>{{name|reader}}</b> in {{city|your city}},</p>\r\n<table>\r\n")
    tail = "</table>\r\n<p>Number {{id}}</p></body></html>\r\n\r\n--part--\r\n"
    made = 250  # Date, Message-ID and what quoted-printable adds
    rows = []
    while len(head) + len(tail) + sum(map(len, rows)) + made < size:
        rows.append(f"<tr><td>Article {len(rows)}</td><td>{FILLER}</td></tr>\r\n")
    return head + "".join(rows) + tail


def few_domains(count):
    return [f"mail{n}.example" for n in range(count)]


def many_domains(count):
    return [f"d{n}.s{n % MX_SETS}.{LONG_TAIL_ZONE}" for n in range(count)]


def spread(recipients, domains, seed):
    """The domain's number of each recipient. Few domains share evenly; of many, each has one recipient and the rest
    falls by Zipf's law (the n-th domain has 1/n of the first), in random order, as real lists are."""
    if domains <= FIXED_DOMAINS_MAX:
        return [row % domains for row in range(recipients)]
    if recipients < domains:
        raise Failed(f"{domains} domains need at least as many recipients")
    harmonic = sum(1 / n for n in range(1, domains + 1))
    rows = list(range(domains))
    left = recipients - domains
    for n in range(domains):
        share = min(left, round((recipients - domains) / harmonic / (n + 1)))
        rows += [n] * share
        left -= share
    rows += [n % domains for n in range(left)]
    random.Random(seed).shuffle(rows)
    return rows


def write_campaign(directory, recipients, domain_names, rows, size):
    """Returns the bytes of merge data in the list: addresses, ids and fields, without their JSON."""
    os.mkdir(directory)
    with open(os.path.join(directory, "campaign.toml"), "w", encoding="utf-8") as file:
        file.write(ENVELOPE + f"recipients = {recipients}\n")
    with open(os.path.join(directory, "message.eml"), "w", encoding="utf-8", newline="") as file:
        file.write(message(size))
    people = [f'"name":"{name}","city":"{city}"' for city in CITIES for name in NAMES]
    people_bytes = [len((name + city).encode()) for city in CITIES for name in NAMES]
    merge = 0
    with open(os.path.join(directory, "recipients.jsonl"), "w", encoding="utf-8", buffering=1 << 20) as file:
        for row, domain in enumerate(rows):
            person = row * 7 % 100
            address = f"reader{row}@{domain_names[domain]}"
            file.write(f'{{"to":"{address}","id":"{row + 1}",{people[person]}}}\n')
            merge += len(address) + len(str(row + 1)) + people_bytes[person]
    return merge


def free_port(addresses, kind=socket.SOCK_STREAM):
    """A port that none of these addresses uses."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, kind) as first:
            first.bind((addresses[0], 0))
            port = first.getsockname()[1]
            taken = []
            try:
                for address in addresses[1:]:
                    one = socket.socket(socket.AF_INET, kind)
                    taken.append(one)
                    one.bind((address, port))
                return port
            except OSError:
                continue
            finally:
                for one in taken:
                    one.close()
    raise Failed("no port is free on all addresses")


def allow_many_files():
    """Thousands of connections need as many descriptors, in the programs that this one starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class NameServer:
    """Knot with one zone: a wildcard MX for each set of domains, and its hosts' addresses on loopback."""

    def __init__(self, directory):
        self.directory = os.path.join(directory, "knot")
        self.process = None
        self.port = None

    def start(self):
        fetched = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "interop", "fetch.py"), "knot"], capture_output=True,
                                 text=True, check=False)
        if fetched.returncode != 0:
            raise Failed("tests/interop/fetch.py knot: " + fetched.stderr.strip())
        os.makedirs(os.path.join(self.directory, "database"))
        self.port = free_port([NAME_SERVER_ADDRESS], socket.SOCK_DGRAM)
        with open(os.path.join(self.directory, "zone"), "w", encoding="ascii") as file:
            file.write(f"$ORIGIN {LONG_TAIL_ZONE}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\n"
                       f"ns A {NAME_SERVER_ADDRESS}\n")
            for n in range(MX_SETS):
                file.write(f"*.s{n} MX 10 mx.s{n}\nmx.s{n} A {LONG_TAIL_ADDRESSES[n % len(LONG_TAIL_ADDRESSES)]}\n")
        with open(os.path.join(self.directory, "knot.conf"), "w", encoding="utf-8") as file:
            file.write(f"""\
server:
    rundir: "{self.directory}"
    listen: {NAME_SERVER_ADDRESS}@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{self.directory}/database"
log:
  - target: stderr
    any: info
zone:
  - domain: {LONG_TAIL_ZONE}
    file: "{self.directory}/zone"
    zonefile-sync: -1
    journal-content: none
""")
        root = os.path.join(ROOT, "build", "interop", "knot", "root")
        libraries = os.path.join(root, "usr", "lib", "x86_64-linux-gnu")
        log = os.path.join(self.directory, "log")
        self.process = spawn([os.path.join(libraries, "ld-linux-x86-64.so.2"), "--library-path", libraries,
                              os.path.join(root, "usr", "sbin", "knotd"), "-c",
                              os.path.join(self.directory, "knot.conf")], log)

        def loaded():
            with open(log, encoding="utf-8", errors="replace") as file:
                return "loaded" in file.read()

        wait_for("the name server", loaded, self.process)

    def stop(self):
        stop(self.process)
