"""Frames on a serial line: the device's own C, csrc/src/frame.c."""

from libc.stdint cimport uint8_t, uint16_t

from typing import NamedTuple


cdef extern from "eng/frame.h" nogil:
    enum:
        ENG_FRAME_PREAMBLE
        ENG_FRAME_HEADER
        ENG_FRAME_CHECK
        ENG_FRAME_PAYLOAD_MAX
        ENG_FRAME_CRC_START

    ctypedef struct eng_frame_header:
        uint8_t kind
        uint8_t sequence
        uint16_t size

    ctypedef struct eng_frame_encoder:
        uint16_t crc

    ctypedef struct eng_frame_decoder:
        eng_frame_header header
        uint16_t crc

    ctypedef enum eng_frame_event:
        ENG_FRAME_NONE
        ENG_FRAME_START
        ENG_FRAME_BYTE
        ENG_FRAME_GOOD
        ENG_FRAME_BAD

    uint16_t eng_frame_crc_block(uint16_t crc, const uint8_t *data, size_t size)
    void eng_frame_encode(eng_frame_encoder *e, uint8_t kind, uint8_t sequence, const uint8_t *head, uint16_t head_size,
                          const uint8_t *body, uint16_t body_size)
    bint eng_frame_next(eng_frame_encoder *e, uint8_t *wire)
    void eng_frame_reset(eng_frame_decoder *d)
    eng_frame_event eng_frame_decode(eng_frame_decoder *d, uint8_t wire, uint8_t *byte)
    bint eng_frame_at_rest(const eng_frame_decoder *d)


PREAMBLE = ENG_FRAME_PREAMBLE
PAYLOAD_MAX = ENG_FRAME_PAYLOAD_MAX


class Frame(NamedTuple):
    """A proven frame: kind and sequence number in 0..255, payload, and the CRC of its stuffed bytes."""

    kind: int
    sequence: int
    payload: bytes
    crc: int


class Encoded(NamedTuple):
    """A frame for the wire, and the CRC of its stuffed bytes."""

    wire: bytes
    crc: int


cdef uint8_t _octet(str name, int value) except? 255:
    if not 0 <= value <= 255:
        raise ValueError(f"encode: {name} is {value}; expected 0 to 255")
    return <uint8_t>value


def crc(data: bytes) -> int:
    """Compute the CRC-16/IBM-3740 of some bytes.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    int
        In 0..65535.

    Examples
    --------
    >>> hex(crc(b"123456789"))
    '0x29b1'
    """
    cdef const uint8_t[::1] view = data
    return eng_frame_crc_block(ENG_FRAME_CRC_START, &view[0] if view.shape[0] > 0 else NULL, <size_t>view.shape[0])


def encode(int kind, int sequence, payload: bytes) -> Encoded:
    """Write a frame.

    Parameters
    ----------
    kind, sequence : int
        0 to 255.
    payload : bytes
        At most `PAYLOAD_MAX`.

    Returns
    -------
    Encoded
        Preamble, stuffed header and payload, check and delimiter; and the CRC.

    Raises
    ------
    ValueError
        If a number is out of range or the payload too long.

    Examples
    --------
    >>> encode(1, 2, b"").wire.hex(" ")
    '00 00 00 00 03 01 02 01 01 8c 90 9a 00'
    """
    cdef const uint8_t[::1] view = payload
    if view.shape[0] > ENG_FRAME_PAYLOAD_MAX:
        raise ValueError(f"encode: the payload has {view.shape[0]} bytes; at most {ENG_FRAME_PAYLOAD_MAX} fit a frame")
    cdef uint16_t size = <uint16_t>view.shape[0]
    cdef const uint8_t *body = &view[0] if size > 0 else NULL
    cdef eng_frame_encoder encoder
    cdef uint8_t byte = 0
    eng_frame_encode(&encoder, _octet("kind", kind), _octet("sequence", sequence), NULL, 0, body, size)
    wire = bytearray()
    while eng_frame_next(&encoder, &byte):
        wire.append(byte)
    return Encoded(bytes(wire), encoder.crc)


cdef class Decoder:
    """Finds frames in a stream of bytes, however it is cut.

    Attributes
    ----------
    damaged : int
        How often something came that was no frame, or a damaged one.
    """

    cdef eng_frame_decoder _state
    cdef bytearray _payload
    cdef readonly int damaged

    def __cinit__(self):
        self.damaged = 0
        self._payload = bytearray()
        eng_frame_reset(&self._state)

    def reset(self) -> None:
        """Forget what is under way; the next frame needs its whole preamble."""
        eng_frame_reset(&self._state)

    @property
    def at_rest(self) -> bool:
        """Whether no frame is under way."""
        return eng_frame_at_rest(&self._state)

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes off the wire.

        Parameters
        ----------
        data : bytes

        Returns
        -------
        list of Frame
            The frames that these bytes completed, in order.

        Examples
        --------
        >>> decoder = Decoder()
        >>> decoder.feed(encode(1, 2, b"abc").wire)[0].payload
        b'abc'
        """
        cdef const uint8_t[::1] view = data
        cdef Py_ssize_t i
        cdef uint8_t byte = 0
        cdef eng_frame_event event
        frames = []
        for i in range(view.shape[0]):
            event = eng_frame_decode(&self._state, view[i], &byte)
            if event == ENG_FRAME_BYTE:
                self._payload.append(byte)
            elif event == ENG_FRAME_START:
                self._payload.clear()
            elif event == ENG_FRAME_GOOD:
                frames.append(Frame(self._state.header.kind, self._state.header.sequence, bytes(self._payload), self._state.crc))
                self._payload.clear()
            elif event == ENG_FRAME_BAD:
                self.damaged += 1
        return frames
