//! The function upper as a shared object.
use std::slice;

#[no_mangle]
pub unsafe extern "C" fn upper(args: *const u8, size: u32, res: *mut u8) -> u32 {
    let input = slice::from_raw_parts(args, size as usize);
    let output = slice::from_raw_parts_mut(res, size as usize);
    output.copy_from_slice(input);
    output.make_ascii_uppercase();
    size
}
