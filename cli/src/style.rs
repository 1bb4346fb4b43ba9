//! Styles of text in a terminal.

use anstyle::{AnsiColor, Style};

pub const BOLD: Style = Style::new().bold();
pub const DIM: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const NOTICE: Style = AnsiColor::Yellow.on_default();
pub const TROUBLE: Style = AnsiColor::Red.on_default().bold();

pub fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
