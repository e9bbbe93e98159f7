"""Postfix, Exim and OpenSMTPD, each set up to take mail over TLS only and to keep every message in one Maildir."""

import glob
import os
import re
import time

import addresses
from jail import MAIL_USER, Jail

START_SECONDS = 30

# Headers that a receiver puts on top of what it was sent.
TRACE = re.compile(rb"(Return-Path|Delivered-To|X-Original-To|Received|Envelope-to|Delivery-date):", re.IGNORECASE)


def without_trace(stored):
    """A message as it was sent, from its form in a Maildir: CRLF lines, and none of the receiver's own headers."""
    lines = re.sub(rb"\r?\n", b"\n", stored).split(b"\n")
    first = 0
    while first < len(lines) and (TRACE.match(lines[first]) or (first > 0 and lines[first][:1] in (b" ", b"\t"))):
        first += 1
    return b"\r\n".join(lines[first:])


class MailServer(Jail):
    """What the three have in common. name is the host name that the server and its certificate give."""

    SMTPUTF8 = False

    def __init__(self, server, directory, certificate, users=(), groups=()):
        super().__init__(server, directory, users, groups)
        self.name = f"mx.{server}.test"
        self.address = addresses.fresh()
        self.port = addresses.free_port(self.address)
        self.write("etc/tls/certificate.pem", certificate.chain)
        self.write("etc/tls/key.pem", certificate.key, mode=0o600)
        self.make("var/mail", owner=MAIL_USER[1])

    def launch(self, *command, environment=None):
        """Until it answers."""
        self.start(*command, environment=environment)
        deadline = time.monotonic() + START_SECONDS
        while not addresses.answers(self.address, self.port):
            if self.process.poll() is not None:
                raise AssertionError(f"{self.server} ended with code {self.process.returncode}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.server} does not answer after {START_SECONDS} s\n{self.tail()}")
            time.sleep(0.05)
        return self

    def stored(self):
        """Every message kept so far, as its bytes in the Maildir."""
        folder = self.path("var", "mail", "all", "new")
        messages = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), "rb") as file:
                messages.append(file.read())
        return messages


class Postfix(MailServer):
    SMTPUTF8 = True
    MAIN = """\
compatibility_level = 3.6
queue_directory = /var/spool/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
data_directory = /var/lib/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = /var/log/postfix.log
myhostname = {name}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = static:all
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_minimum_uid = 100
smtpd_tls_cert_file = /etc/tls/certificate.pem
smtpd_tls_key_file = /etc/tls/key.pem
smtpd_tls_security_level = encrypt
smtpd_tls_loglevel = 1
smtpd_peername_lookup = no
smtputf8_enable = yes
"""
    MASTER = """\
{address}:{port} inet n - n - - smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
proxymap  unix - - n - - proxymap
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
virtual   unix - n n - - virtual
local     unix - n n - - local
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

    def __init__(self, directory, certificate):
        super().__init__("postfix", directory, certificate, users=[("postfix", 101)], groups=[("postdrop", 102)])
        self.write("etc/postfix/main.cf", self.MAIN.format(name=self.name, uid=MAIL_USER[1]))
        self.write("etc/postfix/master.cf", self.MASTER.format(address=self.address, port=self.port))
        self.make("var/lib/postfix", owner=101)
        self.launch("/usr/sbin/postfix", "start-fg")


class Exim(MailServer):
    SMTPUTF8 = True
    USER, PASSWORD = "mailer", "correct horse: battery staple"
    CONFIGURATION = r"""
primary_hostname = {name}
local_interfaces = {address}
daemon_smtp_ports = {port} : {submission_port} : {implicit_port}
tls_on_connect_ports = {implicit_port}
tls_advertise_hosts = *
tls_certificate = /etc/tls/certificate.pem
tls_privatekey = /etc/tls/key.pem
smtputf8_advertise_hosts = *
auth_advertise_hosts = ${{if and{{{{def:tls_in_cipher}}{{!={{$received_port}}{{{port}}}}}}}{{*}}{{}}}}
host_lookup =
rfc1413_hosts =
keep_environment =
# Its name would be the same for all Exims of the network namespace.
notifier_socket =
never_users =
log_file_path = /var/log/exim4/%slog
# Many messages come down one connection; each is delivered when it comes.
smtp_accept_queue_per_connection = 0
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt

begin acl
mail:
  deny !encrypted = *
       message = TLS first
  accept
rcpt:
  accept condition = ${{if eq{{$received_port}}{{{port}}}}}
  accept authenticated = *
  deny message = Authentication required

begin routers
everything:
  driver = accept
  transport = keep

begin transports
keep:
  driver = appendfile
  maildir_format
  directory = /var/mail/all
  create_directory
  user = {user}
  group = {user}
  return_path_add
  envelope_to_add
  delivery_date_add

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{login}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{login}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
"""

    def __init__(self, directory, certificate):
        super().__init__("exim", directory, certificate, users=[("Debian-exim", 103)])
        self.submission_port = addresses.free_port(self.address)
        self.implicit_port = addresses.free_port(self.address)
        self.write("etc/exim4/exim4.conf",
                   self.CONFIGURATION.format(name=self.name, address=self.address, port=self.port,
                                             submission_port=self.submission_port, implicit_port=self.implicit_port,
                                             user=MAIL_USER[0], login=self.USER, password=self.PASSWORD))
        for folder in ["var/spool/exim4", "var/log/exim4", "run/exim4"]:
            self.make(folder, owner=103)
        os.chown(self.path("etc/tls/key.pem"), 103, 103)
        self.launch("/usr/sbin/exim4", "-bdf", "-q30m")


class OpenSmtpd(MailServer):
    """Debian 12 builds it against OpenSSL 3, where its TLS is broken: every handshake fails for want of the private
    key, which its privilege separation keeps in another process (OpenSMTPD's issue 1171). With legacy_keys OpenSSL
    decodes keys the older way, as it does when an engine offers key methods, and handshakes succeed. Without, it is a
    real receiver that offers STARTTLS and breaks it."""

    CONFIGURATION = """\
pki {name} cert "/etc/tls/certificate.pem"
pki {name} key "/etc/tls/key.pem"
table catchall {{ "@" = "{user}" }}
listen on {address} port {port} {tls} pki {name} hostname {name}
action "keep" maildir "/var/mail/all" virtual <catchall>
match from any for any action "keep"
"""
    OPENSSL = """\
openssl_conf = library
[library]
engines = engines
[engines]
pkcs11 = offers_key_methods
[offers_key_methods]
engine_id = pkcs11
dynamic_path = {engine}
default_algorithms = PKEY
init = 0
"""

    def __init__(self, directory, certificate, legacy_keys=True):
        super().__init__("opensmtpd", directory, certificate, users=[("opensmtpd", 104), ("opensmtpq", 105)])
        self.write("etc/smtpd.conf",
                   self.CONFIGURATION.format(name=self.name, address=self.address, port=self.port, user=MAIL_USER[0],
                                             tls="tls-require" if legacy_keys else "tls"))
        self.write("etc/mailname", self.name + "\n")
        for folder in ["var/lib/opensmtpd/empty", "var/spool"]:
            self.make(folder)
        environment = {}
        if legacy_keys:
            engine, = glob.glob("usr/lib/*/engines-3/pkcs11.so", root_dir=self.root)
            self.write("etc/tls/openssl.cnf", self.OPENSSL.format(engine="/" + engine))
            environment["OPENSSL_CONF"] = "/etc/tls/openssl.cnf"
        self.launch("/usr/sbin/smtpd", "-d", environment=environment)
