//! Numbers and names as people read them, in columns and colours.

use crate::bytes::Stream;
use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use ratatui::text::Span;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const NOTICE: Style = AnsiColor::Yellow.on_default();
pub const TROUBLE: Style = AnsiColor::Red.on_default().bold();

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

pub fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A name in quotes: text of others goes to the terminal escaped.
pub fn quoted(name: &str) -> String {
    format!("{name:?}")
}

/// A name as it is, but for what a terminal would take for a command; in quotes if it begins or ends with a blank, or is nothing else.
pub fn escaped(name: &str) -> String {
    if name.is_empty() || name.starts_with(' ') || name.ends_with(' ') {
        return quoted(name);
    }
    name.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// Does a terminal show it, and all of it?
pub fn is_shown_as_it_is(name: &str) -> bool {
    name.replace(['\\', '\'', '"'], "").escape_debug().eq(name.replace(['\\', '\'', '"'], "").chars())
}

/// Columns that a text takes in a terminal.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// `0`, `999`, `12.3k`, `4.56M`.
pub fn count(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// `0 B`, `999 B`, `1.50 KiB`.
pub fn bytes(number: f64) -> String {
    scaled(number, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
}

fn scaled(mut number: f64, base: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while number >= base - 0.5 && unit + 1 < units.len() {
        number /= base;
        unit += 1;
    }
    let decimals = match number {
        _ if unit == 0 => 0,
        n if n < 9.995 => 2,
        n if n < 99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}{}", units[unit])
}

/// `1 message`, `2 messages`.
pub fn messages(count: u64) -> String {
    plural(count, "message", "messages")
}

pub fn plural(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// `0.3s`, `12s`, `5m`, `3h`, `9d`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=9 => format!("{:.1}s", time.as_secs_f64()),
        10..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

pub fn age(created: SystemTime) -> Duration {
    SystemTime::now().duration_since(created).unwrap_or_default()
}

/// A text in a style, whose width is that of the text alone.
#[derive(Clone, Debug)]
pub struct Cell {
    pub text: String,
    pub style: Style,
}

impl Cell {
    pub fn plain(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: Style::new() }
    }

    pub fn styled(style: Style, text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style }
    }
}

/// Columns as wide as their widest cell; the last one as it comes. `right` says which are numbers.
pub fn columns(head: &[&str], right: &[usize], rows: &[Vec<Cell>]) -> String {
    let wide = |column: usize| rows.iter().map(|row| width(&row[column].text)).chain([head[column].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(wide).collect();
    let heading: Vec<Cell> = head.iter().map(|text| Cell::styled(BOLD, *text)).collect();
    let mut out = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column].saturating_sub(width(&cell.text)));
            let text = painted(cell.style, &cell.text);
            match column {
                _ if column + 1 == row.len() => out.push_str(&text),
                _ if right.contains(&column) => out.push_str(&format!("{padding}{text}  ")),
                _ => out.push_str(&format!("{text}{padding}  ")),
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        assert_eq!(
            [0.0, 999.0, 1000.0, 12_345.0, 999_999.0].map(count),
            ["0", "999", "1.00k", "12.3k", "1.00M"].map(str::to_owned)
        );
        assert_eq!([1023.0, 1536.0, 65536.0].map(bytes), ["1023 B", "1.50 KiB", "64.0 KiB"].map(str::to_owned));
        let seconds = [0, 9, 60, 600, 10_000, 1_000_000].map(|s| duration(Duration::from_secs(s)));
        assert_eq!(seconds, ["0.0s", "9.0s", "60s", "10m", "2h", "11d"].map(str::to_owned));
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(escaped("a\u{1b}[2Jb\n'c'"), "a\\u{1b}[2Jb\\n'c'");
        // Nor look like each other.
        assert_eq!([escaped("a"), escaped("a "), escaped(" a")], ["a", "\"a \"", "\" a\""]);
    }
}
