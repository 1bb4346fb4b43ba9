//! Numbers that are out of their range, in words.

/// A number as its option is written: permissions are octal.
pub(super) fn number(option: &str, n: usize) -> String {
    if option == "mode" { format!("{n:#o}") } else { n.to_string() }
}

/// The numbers that can be used: `from 1 to 1023`, or `1 or more`.
pub(crate) fn range_text(option: &str, min: usize, max: usize) -> String {
    let min = number(option, min);
    if max == usize::MAX { format!("{min} or more") } else { format!("from {min} to {}", number(option, max)) }
}
