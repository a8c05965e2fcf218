#!/usr/bin/env perl
# The function upper.
use strict;
print uc while <STDIN>;
