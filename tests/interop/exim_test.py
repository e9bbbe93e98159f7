"""Exim receives a campaign of each kind."""

import sending
from mail_servers import Exim
from receiver_case import ReceiverCase


class EximReceives(ReceiverCase):
    SERVER = Exim


# The common case is a base, not a test of its own.
del ReceiverCase

if __name__ == "__main__":
    sending.main()
