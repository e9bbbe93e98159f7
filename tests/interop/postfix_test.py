"""Postfix receives a campaign of each kind."""

import sending
from mail_servers import Postfix
from receiver_case import ReceiverCase


class PostfixReceives(ReceiverCase):
    SERVER = Postfix


# The common case is a base, not a test of its own.
del ReceiverCase

if __name__ == "__main__":
    sending.main()
