//! Text to the standard streams, in the colours that the environment wants.

use super::stream::Stream;
use crate::style::TROUBLE;
use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use std::io::{self, Write};

/// Writes to standard output, colours as the environment wants them. Not by `io::stdout`, to which an output that cannot be written to
/// is one that takes everything.
pub fn print(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let output = Stream::output()?;
    if AutoStream::choice(&io::stdout()) == ColorChoice::Never {
        output.write_all(&[strip_str(text).to_string().as_bytes()]).1
    } else {
        output.write_all(&[text.as_bytes()]).1
    }
}

/// Writes a line to standard error. If nobody reads it, nobody needs it.
pub fn complain(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{TROUBLE}shmq:{TROUBLE:#} {text}");
}
