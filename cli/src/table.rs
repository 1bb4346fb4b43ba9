//! A table of columns for the terminal.

use crate::style::{BOLD, painted};
use crate::text::width;
use anstyle::Style;

/// A text in a style. The width is that of the text alone.
#[derive(Clone, Debug)]
pub struct TableCell {
    pub text: String,
    pub style: Style,
}

impl TableCell {
    pub fn plain(text: impl Into<String>) -> TableCell {
        TableCell { text: text.into(), style: Style::new() }
    }

    pub fn styled(style: Style, text: impl Into<String>) -> TableCell {
        TableCell { text: text.into(), style }
    }
}

/// A table whose columns are as wide as their widest cell, except the last one. `right` lists the
/// columns of numbers.
pub fn columns(head: &[&str], right: &[usize], rows: &[Vec<TableCell>]) -> String {
    let wide = |column: usize| rows.iter().map(|row| width(&row[column].text)).chain([head[column].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(wide).collect();
    let heading: Vec<TableCell> = head.iter().map(|text| TableCell::styled(BOLD, *text)).collect();
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
