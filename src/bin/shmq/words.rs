//! Numbers and names as people read them, in columns and colours.

use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const NOTICE: Style = AnsiColor::Yellow.on_default();
pub const TROUBLE: Style = AnsiColor::Red.on_default().bold();

/// Writes to standard output, colours as the environment wants them.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
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

/// A name as it is, but for what a terminal would take for a command.
pub fn escaped(name: &str) -> String {
    name.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
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
    let width = |column: usize| {
        rows.iter().map(|row| row[column].text.chars().count()).chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let heading: Vec<Cell> = head.iter().map(|text| Cell::styled(BOLD, *text)).collect();
    let mut out = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.text.chars().count());
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
    }
}
