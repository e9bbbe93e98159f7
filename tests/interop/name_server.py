"""A real authoritative DNS server (Knot) for the zone test., asked directly."""

import addresses
import loopback
from jail import Jail

START_SECONDS = 20

CONFIGURATION = """\
server:
    rundir: /run/knot
    listen: {address}@{port}
    user: root:root
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: /var/lib/knot
log:
  - target: stderr
    any: info
zone:
  - domain: test.
    storage: /etc/knot
    file: test.zone
    zonefile-sync: -1
    journal-content: none
"""

HEAD = """\
$ORIGIN test.
$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
"""


class Knot(Jail):
    def __init__(self, directory, records):
        """records: lines of a zone file, relative to test."""
        super().__init__("knot", directory)
        self.address = addresses.fresh()
        self.port = addresses.free_port(self.address)
        self.endpoint = f"{self.address}:{self.port}"
        self.write("etc/knot/knot.conf", CONFIGURATION.format(address=self.address, port=self.port))
        self.write("etc/knot/test.zone", HEAD + records)
        for folder in ["run/knot", "var/lib/knot"]:
            self.make(folder)
        self.start("/usr/sbin/knotd", "-c", "/etc/knot/knot.conf")
        loopback.wait_for("knot", lambda: addresses.answers(self.address, self.port) and "zone file" in self.tail(),
                          self.process, START_SECONDS)
