"""A self-made certificate for host names, from the openssl that fetch.py unpacked."""

from jail import Jail


class Certificate:
    def __init__(self, directory, *names):
        openssl = Jail("openssl", directory)
        openssl.run("/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048",
                    "-nodes", "-days", "2", "-subj", f"/CN={names[0]}", "-keyout", "/tmp/key.pem", "-out",
                    "/tmp/certificate.pem", "-addext", "subjectAltName=" + ",".join("DNS:" + name for name in names))
        self.chain_file = openssl.path("tmp", "certificate.pem")
        with open(self.chain_file, encoding="ascii") as file:
            self.chain = file.read()
        with open(openssl.path("tmp", "key.pem"), encoding="ascii") as file:
            self.key = file.read()
