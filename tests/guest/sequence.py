# SPDX-License-Identifier: Apache-2.0
"""The other end of the wires on which the guest of sequence.c sends its packets."""

import re
import socket
import struct
import threading

FRAME = struct.Struct('>I14x')      # its length, addresses and type; then its number
NUMBER = struct.Struct('<Q38x')


class Receiver:
    """Hears each card that connects to a path; .heard has the numbers of each, in turn."""

    def __init__(self, path):
        self.heard = []
        self.readers = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            card, _ = self.socket.accept()
            self.heard.append([])
            reader = threading.Thread(target=self.read, args=(card, self.heard[-1]), daemon=True)
            self.readers.append(reader)
            reader.start()

    @staticmethod
    def read(card, numbers):
        with card, card.makefile('rb', 1 << 16) as stream:
            while frame := stream.read(FRAME.size + NUMBER.size):
                assert FRAME.unpack_from(frame)[0] == len(frame) - 4
                numbers.extend(NUMBER.unpack_from(frame, FRAME.size))

    def all_of(self, one):
        """When the last VM has ended, after it has said how many it has sent in all."""
        for reader in self.readers:
            reader.join()
        return self.heard, int(re.search(rb'sent (\d+)\n', one.out)[1])
