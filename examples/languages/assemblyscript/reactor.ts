// The function upper as a WebAssembly function.
export function rfaas_alloc(size: u32): usize {
  return heap.alloc(size);
}

export function upper(input: usize, length: u32, output: usize, room: u32): i32 {
  if (length > room) return length;
  for (let i: u32 = 0; i < length; i++) {
    let c = load<u8>(input + i);
    store<u8>(output + i, c >= 97 && c <= 122 ? c - 32 : c);
  }
  return length;
}
