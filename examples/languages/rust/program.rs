//! The function upper as a program.
use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut text = Vec::new();
    io::stdin().read_to_end(&mut text)?;
    text.make_ascii_uppercase();
    io::stdout().write_all(&text)
}
