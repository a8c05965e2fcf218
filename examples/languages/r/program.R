#!/usr/bin/env Rscript
# The function upper.
cat(toupper(readLines(file("stdin"), warn = FALSE)), sep = "\n")
