//! `shmq top`: all queues, live.
//!
//! Once an interval it reads counters and participants, through read-only mappings. It reads
//! records of the selected queue only, and only if there are few: so it does not slow a busy queue
//! down.

mod columns;
mod keys;
mod lines;
mod screen;
mod terminal;

#[cfg(test)]
mod picture;

use crate::arguments::{Order, Top};
use crate::failure::{self, Failure};
use crate::poll;
use crate::signals;
use crate::stdio::at_start;
use keys::Key;
use lines::Watch;
use screen::{Palette, Screen};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};
use terminal::{Drawing, Input, Keyboard};

/// A change of size, or a signal, is noticed within this time.
const REACTION: Duration = Duration::from_millis(100);
const INTERVAL_MIN: Duration = Duration::from_millis(50);

pub fn run(arguments: &Top) -> Result<u8, Failure> {
    at_start::output()?;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::new(failure::OTHER, "top needs a terminal; `shmq ls` and `shmq stat --json` do not"));
    }
    signals::install();
    let outcome = terminal::enter().and_then(|mut drawing| watch(arguments, &mut drawing));
    terminal::leave();
    if let Some(signal) = signals::received() {
        return Err(Failure::of_signal(signal));
    }
    match outcome {
        Ok(End::Asked) => Ok(0),
        Ok(End::TerminalGone) => Err(Failure::of_signal(libc::SIGHUP)),
        Err(_) if poll::is_hung_up(libc::STDOUT_FILENO) => Err(Failure::of_signal(libc::SIGHUP)),
        Err(error) => Err(error.into()),
    }
}

/// Why `top` ends.
enum End {
    Asked,
    TerminalGone,
}

fn watch(arguments: &Top, drawing: &mut Drawing) -> io::Result<End> {
    let interval = arguments.interval.max(INTERVAL_MIN);
    let mut watch = Watch::default();
    let mut keyboard = Keyboard::default();
    let mut screen = Screen {
        order: arguments.sort,
        filter: arguments.filter.clone().unwrap_or_default(),
        palette: Palette::of_environment(),
        ..Screen::default()
    };
    let mut next = Instant::now();
    let mut is_drawn = false;
    let mut size = terminal::size();
    while signals::received().is_none() {
        if Instant::now() >= next {
            if !screen.paused {
                screen.show(watch.read(screen.selected_name()));
                is_drawn = false;
            }
            next = Instant::now() + interval;
        }
        if !is_drawn && signals::received().is_none() {
            drawing.draw(|frame| screen.draw(frame))?;
            is_drawn = true;
        }
        let left = next.saturating_duration_since(Instant::now());
        match keyboard.wait(left.min(REACTION))? {
            Input::Gone => return Ok(End::TerminalGone),
            Input::Keys(keys) => {
                is_drawn &= keys.is_empty();
                for key in keys {
                    if !press(&mut screen, key) {
                        return Ok(End::Asked);
                    }
                }
            }
        }
        let size_before = std::mem::replace(&mut size, terminal::size());
        is_drawn &= size == size_before;
    }
    Ok(End::Asked)
}

/// `false`: quit.
fn press(screen: &mut Screen, key: Key) -> bool {
    match key {
        Key::Interrupt => return false,
        Key::Enter => screen.typing = false,
        Key::Escape if screen.typing => {
            screen.typing = false;
            screen.filter.clear();
        }
        Key::Backspace if screen.typing => drop(screen.filter.pop()),
        Key::Char(character) if screen.typing => screen.filter.push(character),
        _ if screen.typing => {}
        Key::Char('q') | Key::Escape => return false,
        Key::Char('/') => screen.typing = true,
        Key::Char('s') => screen.order = after(screen.order),
        Key::Char('r') => screen.reversed = !screen.reversed,
        Key::Char('p') => screen.paused = !screen.paused,
        Key::Down | Key::Char('j') => screen.select(1),
        Key::Up | Key::Char('k') => screen.select(-1),
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
