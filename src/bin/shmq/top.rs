//! `shmq top`: all queues, live.
//!
//! It looks at counters and participants only, through read-only mappings, once an interval; at records only of the selected queue,
//! and only if there are few: so a queue at full speed does not notice.

mod lines;
mod screen;

#[cfg(test)]
mod picture;

use crate::arguments::{Order, Top};
use crate::failure::{self, Failure};
use crate::signals;
use lines::Watch;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use screen::{Palette, Screen};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// How long a key, or a signal, waits to be noticed.
const REACTION: Duration = Duration::from_millis(100);
const INTERVAL_MIN: Duration = Duration::from_millis(50);

pub fn run(arguments: &Top) -> Result<u8, Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new(failure::OTHER, "top needs a terminal; `shmq ls` and `shmq stat --json` do not"));
    }
    signals::install();
    let mut terminal = ratatui::try_init()?;
    let outcome = watch(arguments, &mut terminal);
    ratatui::try_restore()?;
    outcome?;
    signals::noted().map_or(Ok(0), |signal| Err(Failure::of_signal(signal)))
}

fn watch(arguments: &Top, terminal: &mut DefaultTerminal) -> io::Result<()> {
    let interval = arguments.interval.max(INTERVAL_MIN);
    let mut watch = Watch::default();
    let mut screen = Screen {
        order: arguments.sort,
        filter: arguments.filter.clone().unwrap_or_default(),
        palette: Palette::of_environment(),
        ..Screen::default()
    };
    let mut next = Instant::now();
    let mut is_drawn = false;
    while signals::noted().is_none() {
        if Instant::now() >= next {
            if !screen.paused {
                screen.show(watch.look(screen.selected_name()));
                is_drawn = false;
            }
            next = Instant::now() + interval;
        }
        if !is_drawn {
            terminal.draw(|frame| screen.draw(frame))?;
            is_drawn = true;
        }
        let left = next.saturating_duration_since(Instant::now());
        match event::poll(left.min(REACTION)) {
            Ok(false) => {}
            Ok(true) => {
                if let Event::Key(key) = event::read()? {
                    if key.kind != KeyEventKind::Release && !press(&mut screen, key) {
                        return Ok(());
                    }
                }
                // Also after a change of size.
                is_drawn = false;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `false`: quit.
fn press(screen: &mut Screen, key: KeyEvent) -> bool {
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return false;
    }
    if screen.typing {
        match key.code {
            KeyCode::Enter => screen.typing = false,
            KeyCode::Esc => {
                screen.typing = false;
                screen.filter.clear();
            }
            KeyCode::Backspace => drop(screen.filter.pop()),
            KeyCode::Char(character) => screen.filter.push(character),
            _ => {}
        }
        return true;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('/') => screen.typing = true,
        KeyCode::Char('s') => screen.order = after(screen.order),
        KeyCode::Char('r') => screen.reversed = !screen.reversed,
        KeyCode::Char('p') => screen.paused = !screen.paused,
        KeyCode::Down | KeyCode::Char('j') => screen.select(1),
        KeyCode::Up | KeyCode::Char('k') => screen.select(-1),
        _ => {}
    }
    true
}

fn after(order: Order) -> Order {
    match order {
        Order::Name => Order::Messages,
        Order::Messages => Order::Puts,
        Order::Puts => Order::Gets,
        Order::Gets => Order::Bytes,
        Order::Bytes => Order::Name,
    }
}
