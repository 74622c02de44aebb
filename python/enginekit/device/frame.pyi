from typing import Final, NamedTuple

PREAMBLE: Final[int]
PAYLOAD_MAX: Final[int]

class Frame(NamedTuple):
    kind: int
    sequence: int
    payload: bytes
    crc: int

class Encoded(NamedTuple):
    wire: bytes
    crc: int

def crc(data: bytes) -> int: ...
def encode(kind: int, sequence: int, payload: bytes) -> Encoded: ...

class Decoder:
    @property
    def damaged(self) -> int: ...
    @property
    def at_rest(self) -> bool: ...
    def reset(self) -> None: ...
    def feed(self, data: bytes) -> list[Frame]: ...
