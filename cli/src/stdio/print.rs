//! Text for standard output and standard error, with or without colours.

use super::stream::Stream;
use crate::style::TROUBLE;
use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use std::io::{self, Write};

/// Writes to standard output, in the colours that the options and the environment choose.
/// `io::stdout` is not used: it ignores an error of an output that is closed.
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

/// Writes a line to standard error. An error is ignored: there is no other place to report it.
pub fn complain(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{TROUBLE}shmq:{TROUBLE:#} {text}");
}
