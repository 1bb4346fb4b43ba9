//! Tests of what `top` draws: frames as text, and as the picture in the README.

use super::lines::Line;
use super::screen::Screen;
use crate::diagnosis::Severity;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use std::collections::VecDeque;

const WIDTH: u16 = 150;
const HEIGHT: u16 = 20;

/// Values from `from` to `to`, late for a large `bend`, with some noise.
fn wave(from: f64, to: f64, bend: f64) -> VecDeque<f64> {
    let at = |i: i32| from + (to - from) * (f64::from(i) / 23.0).powf(bend);
    (0..24).map(|i| at(i) * (1.0 - 0.3 * f64::from(i * 7 % 5) / 4.0)).collect()
}

/// A system in which one consumer was stopped and another was killed with a lease.
fn night() -> Screen {
    let finding = |severity, headline: &str, explanation: &str| (severity, headline.to_owned(), explanation.to_owned());
    let lines = vec![
        Line {
            name: "frames".to_owned(),
            state: "in use".to_owned(),
            carries: "[u8]".to_owned(),
            messages: 37,
            capacity_words: "64.0 MiB".to_owned(),
            puts_per_s: 59.94,
            gets_per_s: 59.9,
            bytes_per_s: 377_000_000.0,
            depths: wave(30.0, 37.0, 1.0),
            puts: wave(59.0, 60.0, 1.0),
            gets: wave(58.0, 60.0, 1.0),
            processes: vec!["2114 camera producer".to_owned(), "2120 encoder consumer".to_owned()],
            ..Line::default()
        },
        Line {
            name: "jobs".to_owned(),
            state: "in use".to_owned(),
            carries: "Job jobs/3".to_owned(),
            messages: 211,
            capacity: Some(1000),
            capacity_words: "1000".to_owned(),
            puts_per_s: 812.0,
            gets_per_s: 806.0,
            bytes_per_s: 104_000.0,
            depths: wave(40.0, 211.0, 2.0),
            puts: wave(500.0, 812.0, 0.7),
            gets: wave(480.0, 806.0, 0.7),
            processes: vec!["1877 scheduler put".to_owned(), "1903 worker get".to_owned(), "1904 worker DEAD".to_owned()],
            findings: vec![finding(
                Severity::Trouble,
                "1904 died with a lease",
                "Process 1904 died (killed, or crashed) while it held 1 message on lease. Its message is not lost: it is delivered \
                 again, before newer ones.",
            )],
        },
        Line {
            name: "orders".to_owned(),
            state: "in use".to_owned(),
            carries: "Order".to_owned(),
            messages: 256,
            capacity: Some(256),
            capacity_words: "256".to_owned(),
            depths: (0..24).map(|i: i32| f64::from(if i < 14 { i * 5 % 7 + 2 } else { 256.min((i - 13) * 51) })).collect(),
            puts: wave(90.0, 0.0, 0.4),
            gets: wave(90.0, 0.0, 0.2),
            processes: vec!["1877 scheduler put".to_owned(), "1889 billing get STOPPED".to_owned()],
            findings: vec![
                finding(
                    Severity::Trouble,
                    "consumer 1889 is stopped",
                    "Process 1889 (billing) is stopped (SIGSTOP, Ctrl-Z, or a debugger): it is alive, so it keeps what it holds, and it \
                     does not run. It holds nothing. It gets from this queue. 256 messages wait for it, or for another consumer.",
                ),
                finding(
                    Severity::Trouble,
                    "full: put waits 41s",
                    "The queue is full (256 of 256 messages, 0 on lease), and process 1877 (scheduler) waits in put, 41s at the \
                     longest. Its consumer is stopped: process 1889 (billing).",
                ),
            ],
            ..Line::default()
        },
        Line {
            name: "ticks".to_owned(),
            state: "in use".to_owned(),
            carries: "Tick tick/2".to_owned(),
            messages: 12,
            capacity: Some(65536),
            capacity_words: "65536".to_owned(),
            puts_per_s: 21_400_000.0,
            gets_per_s: 21_400_000.0,
            bytes_per_s: 1_370_000_000.0,
            depths: (0..24).map(|i| (i * 37 % 23 + 1) as f64).collect(),
            puts: wave(19e6, 22e6, 1.0),
            gets: wave(19e6, 22e6, 1.0),
            processes: vec!["2031 feed producer".to_owned(), "2032 strategy consumer".to_owned()],
            ..Line::default()
        },
        Line {
            name: "uploads".to_owned(),
            state: "stale".to_owned(),
            carries: "[u8]".to_owned(),
            messages: 3,
            capacity_words: "8.00 MiB".to_owned(),
            depths: wave(3.0, 3.0, 1.0),
            processes: vec!["1650 DEAD".to_owned()],
            findings: vec![finding(
                Severity::Trouble,
                "stale: its user died",
                "No process is attached: all of its users were killed.",
            )],
            ..Line::default()
        },
    ];
    let mut screen = Screen { lines, ..Screen::default() };
    screen.select(2);
    screen
}

fn frame(screen: &Screen, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a backend of memory");
    terminal.draw(|frame| screen.draw(frame)).expect("it draws");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    (0..buffer.area.height).map(row).collect()
}

#[test]
fn a_frame_looks_like_this() {
    insta::assert_snapshot!("night", text(&frame(&night(), WIDTH, HEIGHT)));
}

/// The same system with the long names that services give to queues.
fn long_names() -> Screen {
    let mut screen = night();
    let names = [
        "camera-frames-encoded",
        "billing-orders-incoming-europe-west",
        "billing-orders-incoming-europe-north",
        "billing-orders-outgoing-europe-north",
        "uploads",
    ];
    for (line, name) in screen.lines.iter_mut().zip(names) {
        line.name = name.to_owned();
    }
    screen.selected = Some(names[2].to_owned());
    screen
}

#[test]
fn a_frame_of_80_columns_looks_like_this() {
    insta::assert_snapshot!("night_80", text(&frame(&night(), 80, 24)));
    insta::assert_snapshot!("long_names_80", text(&frame(&long_names(), 80, 24)));
}

#[test]
fn no_two_names_look_alike_however_narrow_it_is() {
    for width in 14..=200 {
        let drawn = text(&frame(&long_names(), width, 24));
        // From the mark to the first space.
        let names: Vec<String> = drawn
            .lines()
            .skip(2)
            .take(5)
            .map(|line| line.chars().skip(2).collect::<String>().split(' ').next().unwrap_or_default().to_owned())
            .collect();
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert!(distinct.len() == 5 && names.iter().all(|name| !name.is_empty()), "{width}: {names:?}\n{drawn}");
        if width >= 80 {
            assert_eq!(
                names,
                long_names()
                    .lines
                    .iter()
                    .map(|line| line.name.clone())
                    .collect::<std::collections::BTreeSet<_>>()
                    .into_iter()
                    .collect::<Vec<_>>(),
                "{width}"
            );
        }
    }
}

#[test]
fn nothing_to_show_is_said() {
    assert!(text(&frame(&Screen::default(), 80, 16)).contains("There are no queues."));
    let filtered = Screen { filter: "no such".to_owned(), ..night() };
    let shown = text(&frame(&filtered, 80, 16));
    assert!(shown.contains("No queue matches the filter.") && shown.contains("0 of 5 queues"), "{shown}");
}

#[test]
fn a_small_terminal_is_enough() {
    for (width, height) in [(1, 1), (20, 3), (40, 10), (80, 24)] {
        frame(&night(), width, height);
    }
}

#[test]
fn without_colours_there_are_none() {
    let mut screen = night();
    screen.palette.coloured = false;
    let buffer = frame(&screen, WIDTH, HEIGHT);
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert!(frame(&night(), WIDTH, HEIGHT).content().iter().any(|cell| cell.fg == Color::Red));
}

/// The README's picture is a frame of the present code. `SHMQ_DRAW=1` draws it again.
#[test]
fn the_picture_in_the_readme_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/top.svg");
    let drawn = svg(&frame(&night(), WIDTH, HEIGHT));
    if std::env::var_os("SHMQ_DRAW").is_some() {
        std::fs::write(path, &drawn).expect("docs can be written");
    }
    let kept = std::fs::read_to_string(path).expect("docs/top.svg");
    assert!(kept == drawn, "docs/top.svg is not what `shmq top` draws: SHMQ_DRAW=1 cargo test -p shmq-cli --lib");
}

const CELL_WIDTH: f64 = 8.4;
const CELL_HEIGHT: f64 = 18.0;
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d7dae0";

fn svg(buffer: &Buffer) -> String {
    let (width, height) = (buffer.area.width as f64 * CELL_WIDTH + 16.0, buffer.area.height as f64 * CELL_HEIGHT + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', \
         Menlo, Consolas, monospace\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACKGROUND}\"/>\n"
    );
    for y in 0..buffer.area.height {
        let mut x = 0;
        while x < buffer.area.width {
            let style = |x| (color(buffer[(x, y)].fg), buffer[(x, y)].modifier);
            let (start, (fill, modifier)) = (x, style(x));
            let mut run = String::new();
            while x < buffer.area.width && style(x) == (fill, modifier) {
                run.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            let reversed = modifier.contains(Modifier::REVERSED);
            if run.trim().is_empty() && !reversed {
                continue;
            }
            let (left, top) = (8.0 + start as f64 * CELL_WIDTH, 8.0 + y as f64 * CELL_HEIGHT);
            let length = (x - start) as f64 * CELL_WIDTH;
            if reversed {
                out += &format!(
                    "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{CELL_HEIGHT}\" fill=\"{fill}\"/>\n"
                );
            }
            let weight = if modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
            let dim = if modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
            let ink = if reversed { BACKGROUND } else { fill };
            let run = run.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            out += &format!(
                "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\" fill=\"{ink}\"{weight}{dim}>{run}</text>\n",
                top + 13.5
            );
        }
    }
    out + "</svg>\n"
}

fn color(color: Color) -> &'static str {
    match color {
        Color::Green => "#7ec77b",
        Color::Red => "#f2777a",
        Color::Yellow => "#e5c07b",
        Color::Cyan => "#5fc3c9",
        Color::Blue => "#75a8f0",
        _ => FOREGROUND,
    }
}
