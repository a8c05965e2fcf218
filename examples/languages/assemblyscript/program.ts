// The function upper as a program.
const chunk = new ArrayBuffer(65536);
for (let n = process.stdin.read(chunk); n > 0; n = process.stdin.read(chunk)) {
  process.stdout.write(String.UTF8.decode(chunk.slice(0, n)).toUpperCase());
}
