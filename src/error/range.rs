//! Numbers that are out of their range, in words.

/// A number as its option is written: permissions are octal.
pub(super) fn number(option: &str, n: usize) -> String {
    if option == "mode" { format!("{n:#o}") } else { n.to_string() }
}

/// The numbers that can be used: `from 1 to 1023`, or `1 or more`. None where `max` is 0: the
/// option cannot be set, which is so of one option only, the `capacity` of a topic of slices.
pub(crate) fn range_text(option: &str, min: usize, max: usize) -> String {
    if max == 0 {
        return "left out: a topic of slices is bounded in bytes, by `capacity_bytes`".to_owned();
    }
    let min = number(option, min);
    if max == usize::MAX { format!("{min} or more") } else { format!("from {min} to {}", number(option, max)) }
}
