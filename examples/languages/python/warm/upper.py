#!/usr/bin/env python3
"""The function upper, started once, with numpy."""
import numpy
import rfaas


def upper(data):
    text = numpy.frombuffer(data, numpy.uint8)
    return numpy.where((text >= 97) & (text <= 122), text - 32, text).astype(numpy.uint8)


rfaas.serve(upper)
