#!/usr/bin/env node
// The function upper.
process.stdout.write(require("fs").readFileSync(0, "utf8").toUpperCase());
