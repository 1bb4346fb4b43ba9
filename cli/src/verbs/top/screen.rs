//! What `top` draws: a table with sparklines, and below it what is known about the selected queue.

use super::columns::{self, Column};
use super::lines::Line;
use crate::arguments::Order;
use crate::diagnosis::Severity;
use crate::text;
use crate::units;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, TableState, Wrap};
use std::collections::VecDeque;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const DETAIL_ROWS: u16 = 9;
/// The rest is only counted, to leave room for the findings.
const PROCESSES_SHOWN: usize = 8;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    pub coloured: bool,
}

impl Default for Palette {
    fn default() -> Palette {
        Palette { coloured: true }
    }
}

impl Palette {
    pub fn of_environment() -> Palette {
        let never = anstream::ColorChoice::global() == anstream::ColorChoice::Never;
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Palette { coloured: !never && (!no_color || anstream::ColorChoice::global() == anstream::ColorChoice::Always) }
    }

    fn of(self, color: Color) -> Style {
        if self.coloured { Style::new().fg(color) } else { Style::new() }
    }
}

#[derive(Debug)]
pub struct Screen {
    pub lines: Vec<Line>,
    pub order: Order,
    pub reversed: bool,
    pub filter: String,
    pub typing: bool,
    pub paused: bool,
    pub palette: Palette,
    /// Name of the selected queue, which stays selected when the order changes.
    pub selected: Option<String>,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen {
            lines: Vec::new(),
            order: Order::Name,
            reversed: false,
            filter: String::new(),
            typing: false,
            paused: false,
            palette: Palette::default(),
            selected: None,
        }
    }
}

impl Screen {
    pub fn show(&mut self, lines: Vec<Line>) {
        self.lines = lines;
    }

    /// The lines that the filter lets through, in order.
    fn shown(&self) -> Vec<&Line> {
        let mut shown: Vec<&Line> = self.lines.iter().filter(|line| line.matches(&self.filter)).collect();
        let key = |line: &Line| match self.order {
            Order::Name => 0.0,
            Order::Messages => line.messages as f64,
            Order::Puts => line.puts_per_s,
            Order::Gets => line.gets_per_s,
            Order::Bytes => line.bytes_per_s,
        };
        shown.sort_by(|a, b| key(b).total_cmp(&key(a)).then_with(|| a.name.cmp(&b.name)));
        if self.reversed {
            shown.reverse();
        }
        shown
    }

    fn selected_index(&self, shown: &[&Line]) -> usize {
        let selected = self.selected.as_deref();
        shown.iter().position(|line| Some(&*line.name) == selected).unwrap_or(0)
    }

    pub fn selected_name(&self) -> Option<&str> {
        let shown = self.shown();
        let index = self.selected_index(&shown);
        let name = &shown.get(index)?.name;
        self.lines.iter().find(|line| line.name == *name).map(|line| &*line.name)
    }

    pub fn select(&mut self, step: isize) {
        let shown = self.shown();
        let index = self.selected_index(&shown).saturating_add_signed(step).min(shown.len().saturating_sub(1));
        self.selected = shown.get(index).map(|line| line.name.clone());
    }

    pub fn draw(&self, frame: &mut Frame<'_>) {
        let shown = self.shown();
        // In a small terminal the list gets most of the room.
        let rows = DETAIL_ROWS.min((frame.area().height / 2).saturating_sub(1));
        let [head, table, detail, keys] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(rows), Constraint::Length(1)])
                .areas(frame.area());
        frame.render_widget(self.heading(shown.len()), head);
        let index = self.selected_index(&shown);
        let mut state = TableState::new().with_selected((!shown.is_empty()).then_some(index));
        frame.render_stateful_widget(self.table(&shown, table.width), table, &mut state);
        frame.render_widget(self.detail(shown.get(index).copied()), detail);
        frame.render_widget(self.keys(), keys);
    }

    fn heading(&self, shown: usize) -> Paragraph<'_> {
        let order = match self.order {
            Order::Name => "name",
            Order::Messages => "messages",
            Order::Puts => "puts",
            Order::Gets => "gets",
            Order::Bytes => "bytes",
        };
        let mut text = format!(" {shown} of {} queues   sorted by {order}", self.lines.len());
        if self.reversed {
            text += ", reversed";
        }
        if self.typing || !self.filter.is_empty() {
            text += &format!("   filter: {}{}", text::escaped(&self.filter), if self.typing { "_" } else { "" });
        }
        if self.paused {
            text += "   PAUSED";
        }
        let title = Span::styled(" shmq top ", Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD));
        Paragraph::new(TextLine::from(vec![title, Span::raw(text)]))
    }

    fn table(&self, shown: &[&Line], width: u16) -> Table<'_> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let columns = columns::plan(shown, width);
        let of = |wanted| columns.iter().find(|(column, _)| *column == wanted).map_or(0, |(_, width)| usize::from(*width));
        let names: Vec<String> = shown.iter().map(|line| text::escaped(&line.name)).collect();
        let types: Vec<String> = shown.iter().map(|line| line.carries.clone()).collect();
        let names = columns::abbreviated(&names, of(Column::Name));
        let types = columns::abbreviated(&types, of(Column::Type));
        let row = |(line, (name, carries)): (&&Line, (&String, &String))| {
            Row::new(columns.iter().map(|&(column, width)| match column {
                Column::Name => Cell::new(name.clone()),
                Column::Type => Cell::new(carries.clone()),
                other => self.cell(line, other, usize::from(width)),
            }))
        };
        let rows: Vec<Row<'static>> = shown.iter().zip(names.iter().zip(&types)).map(row).collect();
        Table::new(rows, columns.iter().map(|(_, width)| Constraint::Length(*width)))
            .header(Row::new(columns.iter().map(|(column, _)| column.heading())).style(bold))
            .column_spacing(1)
            .row_highlight_style(Style::new().add_modifier(Modifier::BOLD))
            .highlight_symbol("▶ ")
    }

    fn cell(&self, line: &Line, column: Column, width: usize) -> Cell<'static> {
        let capacity = line.capacity.map(|capacity| capacity as f64);
        let text = |text: String| Cell::new(columns::beginning(&text, width));
        match column {
            Column::Name => text(text::escaped(&line.name)),
            Column::Type => text(line.carries.clone()),
            Column::State => text(line.state.clone()).style(match line.state.as_str() {
                "in use" => self.palette.of(Color::Green),
                "damaged" | "poisoned" => self.palette.of(Color::Red),
                "stale" | "denied" | "unusable" => self.palette.of(Color::Yellow),
                _ => Style::new(),
            }),
            Column::Messages => text(line.depth_in_words()),
            Column::MessagesBars => Cell::new(sparkline(&line.depths, capacity, width)).style(match capacity {
                Some(capacity) if line.messages as f64 >= capacity => self.palette.of(Color::Red),
                Some(capacity) if line.messages as f64 >= capacity * 0.8 => self.palette.of(Color::Yellow),
                _ => self.palette.of(Color::Cyan),
            }),
            Column::Puts => text(units::count(line.puts_per_s)),
            Column::PutsBars => Cell::new(sparkline(&line.puts, None, width)).style(self.palette.of(Color::Green)),
            Column::Gets => text(units::count(line.gets_per_s)),
            Column::GetsBars => Cell::new(sparkline(&line.gets, None, width)).style(self.palette.of(Color::Blue)),
            Column::Bytes => text(units::bytes(line.bytes_per_s)),
            Column::Note => {
                text(line.note()).style(line.findings.first().map_or(Style::new(), |finding| self.severity(finding.0)))
            }
        }
    }

    fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Trouble => self.palette.of(Color::Red).add_modifier(Modifier::BOLD),
            Severity::Notice => self.palette.of(Color::Yellow),
        }
    }

    fn detail(&self, line: Option<&Line>) -> Paragraph<'_> {
        let Some(line) = line else {
            let text = if self.lines.is_empty() { "There are no queues." } else { "No queue matches the filter." };
            return Paragraph::new(text).block(Block::new().borders(Borders::TOP));
        };
        let title = format!(" {} ", text::escaped(&line.name));
        let processes = match line.processes.len().saturating_sub(PROCESSES_SHOWN) {
            _ if line.processes.is_empty() => "no process is attached".to_owned(),
            0 => line.processes.join("  |  "),
            more => format!("{}  |  and {more} more", line.processes[..PROCESSES_SHOWN].join("  |  ")),
        };
        let mut text = vec![TextLine::from(vec![
            Span::styled("processes: ", Style::new().add_modifier(Modifier::BOLD)),
            Span::raw(processes),
        ])];
        for (severity, headline, explanation) in &line.findings {
            let headline = Span::styled(format!("{headline}. "), self.severity(*severity));
            text.push(TextLine::from(vec![headline, Span::raw(explanation.clone())]));
        }
        if line.findings.is_empty() {
            text.push(TextLine::styled("nothing is wrong", self.palette.of(Color::Green)));
        }
        Paragraph::new(text).wrap(Wrap { trim: true }).block(Block::new().borders(Borders::TOP).title(title))
    }

    fn keys(&self) -> Paragraph<'_> {
        let text = if self.typing {
            " type to filter   Enter done   Esc no filter"
        } else {
            " q quit   ↑↓ select   s sort   r reverse   / filter   p pause"
        };
        Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM))
    }
}

/// The newest `width` values as bars, the last at the right; scaled to `full`, or to the highest of
/// them.
fn sparkline(values: &VecDeque<f64>, full: Option<f64>, width: usize) -> String {
    let newest = values.iter().skip(values.len().saturating_sub(width));
    let highest = full.unwrap_or_else(|| newest.clone().fold(0.0, |highest: f64, value| highest.max(*value)));
    let bars: String = newest
        .map(|&value| match value {
            value if value <= 0.0 || highest <= 0.0 => ' ',
            value => BARS[((value / highest * BARS.len() as f64).ceil() as usize).clamp(1, BARS.len()) - 1],
        })
        .collect();
    format!("{bars:>width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_values() {
        let values: VecDeque<f64> = [0.0, 1.0, 4.0, 8.0].into();
        assert_eq!(sparkline(&values, None, 6), "   ▁▄█");
        assert_eq!(sparkline(&values, Some(16.0), 4), " ▁▂▄");
        assert_eq!(sparkline(&values, None, 2), "▄█");
        assert_eq!(sparkline(&VecDeque::new(), None, 2), "  ");
    }

    #[test]
    fn lines_are_sorted_filtered_and_selected_by_name() {
        let line = |name: &str, messages| Line { name: name.to_owned(), carries: "u64".to_owned(), messages, ..Line::default() };
        let mut screen = Screen { lines: vec![line("b", 1), line("a", 3), line("c", 2)], ..Screen::default() };
        let names = |screen: &Screen| screen.shown().iter().map(|line| line.name.clone()).collect::<String>();
        assert_eq!(names(&screen), "abc");
        screen.select(1);
        assert_eq!(screen.selected_name(), Some("b"));
        screen.order = Order::Messages;
        assert_eq!(names(&screen), "acb");
        assert_eq!(screen.selected_name(), Some("b"), "wherever it went");
        screen.select(1);
        assert_eq!(screen.selected_name(), Some("b"), "it is the last");
        screen.reversed = true;
        assert_eq!(names(&screen), "bca");
        screen.filter = "C".to_owned();
        assert_eq!((names(&screen).as_str(), screen.selected_name()), ("c", Some("c")));
        screen.filter = "U6".to_owned();
        assert_eq!(names(&screen), "bca", "types count as well");
        screen.filter = "nothing".to_owned();
        assert_eq!(screen.selected_name(), None);
    }
}
