#!/bin/sh
# The function upper.
tr a-z A-Z
