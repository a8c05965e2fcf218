"""Functions for rfaas: rfaas.serve(function), where function gets bytes and returns bytes or str."""
import os
import struct
import sys
import traceback

# Calls and answers have descriptors of their own: what anything prints goes to the standard error.
_calls, _answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.dup2(2, 1)


def serve(function):
    """Answers calls until there are no more. An exception is an error with its last line as message."""
    while True:
        header = _calls.read(8)
        if len(header) < 8:
            return
        try:
            result, status = function(_calls.read(*struct.unpack("<Q", header))), 0
            result = result.encode() if isinstance(result, str) else memoryview(result).cast("B")
        except Exception as e:
            traceback.print_exc()
            status, result = 1, traceback.format_exception_only(type(e), e)[-1].strip().encode(errors="replace")[:65536]
        _answers.write(struct.pack("<IQ", status, len(result)))
        _answers.write(result)
        sys.stdout.flush()
        sys.stderr.flush()
        _answers.flush()
