//! The columns of the table in a terminal of a given width, how wide each is, and how a text that
//! does not fit is cut.
//!
//! Columns get room in the order of [`BY_PRIORITY`]: names first, sparklines last. The rest of the
//! room goes to columns whose text is cut. Different names and types stay different when they are
//! cut.

use super::lines::Line;
use crate::text;
use crate::text::width;
use std::collections::{HashMap, HashSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Name,
    State,
    Type,
    Messages,
    MessagesBars,
    Puts,
    PutsBars,
    Gets,
    GetsBars,
    Bytes,
    Note,
}

use Column::*;

/// The order in a line, from left to right.
const IN_LINE: [Column; 11] = [Name, State, Type, Messages, MessagesBars, Puts, PutsBars, Gets, GetsBars, Bytes, Note];
/// The order in which columns get room; the columns of the two sides come together.
const BY_PRIORITY: [&[Column]; 9] =
    [&[Name], &[State], &[Messages], &[Note], &[Puts, Gets], &[Bytes], &[Type], &[MessagesBars], &[PutsBars, GetsBars]];
/// The order in which columns get what is left.
const BY_NEED: [Column; 5] = [Note, Type, MessagesBars, PutsBars, GetsBars];
/// A note that is cut to this width still says what is wrong.
const NOTE_MIN_WIDTH: usize = 24;
/// Width of the mark before the selected line.
const MARK_WIDTH: usize = 2;

impl Column {
    pub fn heading(self) -> &'static str {
        match self {
            Name => "NAME",
            State => "STATE",
            Type => "TYPE",
            Messages => "MESSAGES",
            Puts => "PUT/s",
            Gets => "GET/s",
            Bytes => "BYTES/s",
            Note => "NOTE",
            MessagesBars | PutsBars | GetsBars => "",
        }
    }

    /// The width that shows everything, and the least width with which the column is shown.
    fn wants(self, lines: &[&Line]) -> (usize, usize) {
        let of = |text: fn(&Line) -> String| lines.iter().map(|line| width(&text(line))).max().unwrap_or(0);
        let whole = match self {
            Name => of(|line| text::escaped(&line.name)),
            State => of(|line| line.state.clone()),
            Type => of(|line| line.carries.clone()),
            Messages => of(Line::depth_in_words),
            Note => of(Line::note),
            Puts | Gets => 6,
            Bytes => 8,
            MessagesBars => 18,
            PutsBars | GetsBars => 10,
        };
        let whole = whole.max(self.heading().len());
        let least = match self {
            Type | Note => whole.min(10),
            MessagesBars | PutsBars | GetsBars => 6,
            _ => whole,
        };
        (whole, least)
    }
}

/// The columns that fit, and their widths, with one space between two columns.
pub fn plan(lines: &[&Line], total: u16) -> Vec<(Column, u16)> {
    let mut room = usize::from(total).saturating_sub(MARK_WIDTH);
    let mut widths: HashMap<usize, usize> = HashMap::new();
    for columns in BY_PRIORITY {
        let mut least: Vec<usize> = columns.iter().map(|column| column.wants(lines).1).collect();
        if columns == [Name] {
            // Even long names leave room for state and messages: `abbreviated` cuts them.
            let others = [State, Messages].map(|column| column.wants(lines).1 + 1);
            least[0] = least[0].min(room.saturating_sub(others.iter().sum()).max(12)).min(room);
        }
        if columns == [Note] && room > least[0] {
            // The note comes before the rates.
            least[0] = NOTE_MIN_WIDTH.min(Note.wants(lines).0).min(room - 1).max(least[0]);
        }
        let blanks = if columns == [Name] { 0 } else { columns.len() };
        let needed = least.iter().sum::<usize>() + blanks;
        if needed <= room {
            room -= needed;
            widths.extend(columns.iter().map(|column| *column as usize).zip(least));
        }
    }
    for column in BY_NEED {
        if let Some(has) = widths.get_mut(&(column as usize)) {
            let more = (column.wants(lines).0 - *has).min(room);
            *has += more;
            room -= more;
        }
    }
    IN_LINE.into_iter().filter_map(|column| widths.get(&(column as usize)).map(|&width| (column, width as u16))).collect()
}

/// Cuts texts to at most `most` columns, so that different texts stay different. A `…` stands for
/// what was cut out; texts that are equal after that end in a number.
pub fn abbreviated(texts: &[String], most: usize) -> Vec<String> {
    // How much of the end to keep: names differ at the end more often than in the middle.
    let kept = most.saturating_sub(1);
    let cuts = [kept / 2, kept * 3 / 4, kept / 4, kept, 0].map(|end| texts.iter().map(|text| cut(text, most, end)).collect());
    let collisions = |short: &Vec<String>| {
        let whole: HashSet<&String> = texts.iter().collect();
        whole.len() - short.iter().collect::<HashSet<_>>().len().min(whole.len())
    };
    let best = cuts.into_iter().min_by_key(collisions).unwrap_or_default();
    let mut first: HashMap<String, &String> = HashMap::new();
    let mut numbers: HashMap<&String, usize> = HashMap::new();
    let number = |(short, text): (String, _)| {
        if *first.entry(short.clone()).or_insert(text) == text {
            return short;
        }
        let next = numbers.len() + 2;
        let mark = format!("~{}", numbers.entry(text).or_insert(next));
        cut(&short, most.saturating_sub(mark.len()), 0) + &mark
    };
    best.into_iter().zip(texts).map(number).collect()
}

/// Cuts a text to at most `most` columns, and keeps `end` columns of its end.
fn cut(text: &str, most: usize, end: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let take = |characters: &mut dyn Iterator<Item = char>, most: usize| {
        let mut left = most;
        let mut taken = String::new();
        for character in characters {
            let wide = width(character.encode_utf8(&mut [0; 4]));
            if wide > left {
                break;
            }
            left -= wide;
            taken.push(character);
        }
        taken
    };
    let end: String = take(&mut text.chars().rev(), end.min(most.saturating_sub(1))).chars().rev().collect();
    let begin = take(&mut text.chars(), most.saturating_sub(1 + width(&end)));
    if most == 0 { String::new() } else { format!("{begin}…{end}") }
}

/// The beginning of a text, of at most `most` columns.
pub fn beginning(text: &str, most: usize) -> String {
    cut(text, most, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str) -> Line {
        Line { name: name.to_owned(), state: "in use".to_owned(), carries: "u64".to_owned(), ..Line::default() }
    }

    fn widths(names: &[&str], total: u16) -> Vec<(Column, u16)> {
        let lines: Vec<Line> = names.iter().map(|name| line(name)).collect();
        plan(&lines.iter().collect::<Vec<_>>(), total)
    }

    #[test]
    fn a_plan_fits_and_names_come_first() {
        let long = "x".repeat(200);
        for name in ["a", "orders-of-the-north", &long] {
            for total in 0..300 {
                let plan = widths(&[name], total);
                let used: usize = plan.iter().map(|(_, width)| usize::from(*width)).sum::<usize>() + plan.len().saturating_sub(1);
                assert!(used + MARK_WIDTH <= usize::from(total).max(MARK_WIDTH), "{total}: {plan:?}");
                let of = |wanted| plan.iter().find(|(column, _)| *column == wanted).map(|(_, width)| usize::from(*width));
                // If there is room left, the name is whole.
                if of(State).is_some_and(|_| name.len() + 30 < usize::from(total)) {
                    assert_eq!(of(Name), Some(name.len().max(4)), "{total}: {plan:?}");
                }
                if of(MessagesBars).is_some() {
                    assert!(of(Type).is_some() && of(Note).is_some() && of(Bytes).is_some(), "{total}: {plan:?}");
                }
            }
        }
        assert_eq!(widths(&["orders-of-the-north"], 80)[0], (Name, 19));
    }

    #[test]
    fn what_differs_differs_when_it_is_cut() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(abbreviated(&names(&["short", "exactly-10"]), 10), ["short", "exactly-10"]);
        assert_eq!(abbreviated(&names(&["service-orders-1", "service-orders-2"]), 10), ["servi…rs-1", "servi…rs-2"]);
        let middle = abbreviated(&names(&["aaaaaaaa-1-bbbbbbbb", "aaaaaaaa-2-bbbbbbbb", "aaaaaaaa-2-bbbbbbbb"]), 8);
        assert_eq!(middle, ["aaaa…bbb", "aaaa……~2", "aaaa……~2"]);
        let all: Vec<String> = (0..300).map(|n| format!("{}{n:03}{}", "a".repeat(50), "b".repeat(50))).collect();
        for most in 5..110 {
            let short = abbreviated(&all, most);
            assert!(short.iter().all(|text| width(text) <= most), "{most}");
            assert_eq!(short.iter().collect::<HashSet<_>>().len(), all.len(), "{most}");
        }
        // Wide characters take two columns.
        assert_eq!(abbreviated(&names(&["\u{6ce8}\u{6587}\u{961f}\u{5217}"]), 5), ["\u{6ce8}…\u{5217}"]);
        assert_eq!((cut("abc", 0, 0), cut("abc", 1, 0), cut("abc", 2, 5)), (String::new(), "…".to_owned(), "…c".to_owned()));
    }
}
