#!/usr/bin/env python3
"""The function upper as a program."""
import sys

sys.stdout.buffer.write(sys.stdin.buffer.read().upper())
