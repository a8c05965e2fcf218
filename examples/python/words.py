#!/usr/bin/env python3
"""Counts the words of a text."""
import rfaas


def words(data):
    return str(len(data.decode().split()))


rfaas.serve(words)
