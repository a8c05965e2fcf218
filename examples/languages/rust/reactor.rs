//! The function upper as a WebAssembly function.
use std::alloc::{alloc, Layout};
use std::{ptr, slice};

#[no_mangle]
pub unsafe extern "C" fn rfaas_alloc(size: u32) -> *mut u8 {
    match Layout::from_size_align(size.max(1) as usize, 16) {
        Ok(layout) => alloc(layout),
        Err(_) => ptr::null_mut(),
    }
}

#[no_mangle]
pub unsafe extern "C" fn upper(input: *const u8, len: u32, output: *mut u8, room: u32) -> i32 {
    if len <= room {
        let output = slice::from_raw_parts_mut(output, len as usize);
        output.copy_from_slice(slice::from_raw_parts(input, len as usize));
        output.make_ascii_uppercase();
    }
    len as i32
}
