//! Text for a terminal or a shell: escaped, quoted, measured.

use ratatui::text::Span;

/// A name in quotes, escaped: it is text of another program.
pub fn quoted(name: &str) -> String {
    format!("{name:?}")
}

/// A name with its control characters escaped; in quotes if it is empty, or begins or ends with a
/// space.
pub fn escaped(name: &str) -> String {
    if name.is_empty() || name.starts_with(' ') || name.ends_with(' ') {
        return quoted(name);
    }
    name.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// Does a terminal show the name as it is, without escapes?
pub fn is_printable(name: &str) -> bool {
    name.replace(['\\', '\'', '"'], "").escape_debug().eq(name.replace(['\\', '\'', '"'], "").chars())
}

/// How many columns the text takes in a terminal.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A name as an argument of a command in a shell.
pub fn shell_argument(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@%+,".contains(c);
    if name.chars().all(plain) && !name.starts_with('-') {
        return name.to_owned();
    }
    if is_printable(name) {
        return format!("-- '{}'", name.replace('\'', "'\\''"));
    }
    // Control characters and others outside ASCII, as a shell writes them.
    let byte = |byte: u8| match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        0x20..0x7f => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    format!("-- $'{}'", name.bytes().map(byte).collect::<String>())
}

pub fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(escaped("a\u{1b}[2Jb\n'c'"), "a\\u{1b}[2Jb\\n'c'");
        // And names that differ look different.
        assert_eq!([escaped("a"), escaped("a "), escaped(" a")], ["a", "\"a \"", "\" a\""]);
    }
}
