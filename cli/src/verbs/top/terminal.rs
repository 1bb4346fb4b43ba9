//! The terminal, which may go away or stop (Ctrl-S) at any moment.
//!
//! Each wait here ends when a signal comes: [`signals`](crate::signals) makes blocked calls return.

use super::keys::{Decoder, Key};
use crate::poll;
use crate::signals;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub type Drawing = ratatui::Terminal<CrosstermBackend<Output>>;

/// How long a stopped terminal may take to accept the bytes that restore it.
const RESTORE_TIMEOUT: Duration = Duration::from_millis(300);

static IS_LEFT: AtomicBool = AtomicBool::new(true);
static HOOKED: Once = Once::new();

/// Takes over the terminal: raw mode and the alternate screen.
pub fn enter() -> io::Result<Drawing> {
    // It stays, and does nothing where the terminal is not taken.
    HOOKED.call_once(|| {
        let previous_hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            previous_hook(panic);
        }));
    });
    IS_LEFT.store(false, Ordering::Relaxed);
    enable_raw_mode()?;
    let mut output = Output::default();
    let drawing = execute!(output, EnterAlternateScreen).and_then(|()| ratatui::Terminal::new(CrosstermBackend::new(output)));
    if drawing.is_err() {
        leave();
    }
    drawing
}

/// Restores the terminal, if it is still there. Nothing is drawn after that.
pub fn leave() {
    if IS_LEFT.swap(true, Ordering::Relaxed) {
        return;
    }
    // A write that blocks returns.
    signals::interrupt_blocked_calls();
    let mut output = Output { bytes: Vec::new(), end: Some(Instant::now() + RESTORE_TIMEOUT) };
    // If the terminal is gone, there is nothing to restore.
    let _ = execute!(output, Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// Standard output, whole frames at a time.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    /// When to give up; without it, a signal ends a write.
    end: Option<Instant>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        let is_over = |end: Option<Instant>| match end {
            Some(end) => Instant::now() >= end,
            None => IS_LEFT.load(Ordering::Relaxed) || signals::received().is_some(),
        };
        let mut rest = &bytes[..];
        // After `leave`, an unfinished frame is dropped without an error.
        while !rest.is_empty() && !is_over(self.end) {
            match (&*stream(libc::STDOUT_FILENO)).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(libc::STDOUT_FILENO, libc::POLLOUT, 20).map(drop)?
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What came from the keyboard.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    Keys(Vec<Key>),
    /// The terminal is gone: its end of standard input is closed, or hung up.
    Gone,
}

/// Standard input.
#[derive(Debug, Default)]
pub struct Keyboard {
    decoder: Decoder,
}

impl Keyboard {
    /// Waits for keys; returns none if nothing came within `timeout`, or a signal came.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Input> {
        let events = wait(libc::STDIN_FILENO, libc::POLLIN, timeout.as_millis().min(1 << 20) as libc::c_int)?;
        if events & libc::POLLIN != 0 {
            let mut bytes = [0; 1024];
            return match (&*stream(libc::STDIN_FILENO)).read(&mut bytes) {
                Ok(0) => Ok(Input::Gone),
                Ok(count) => Ok(Input::Keys(self.decoder.decode(&bytes[..count]))),
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {
                    Ok(Input::Keys(Vec::new()))
                }
                Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(Input::Gone),
                Err(error) => Err(error),
            };
        }
        if events != 0 {
            return Ok(Input::Gone);
        }
        Ok(Input::Keys(self.decoder.pause().into_iter().collect()))
    }
}

/// Columns and rows, if the terminal knows them.
pub fn size() -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the call writes a winsize, which lives until it returns.
    let is_known = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) } == 0;
    is_known.then_some((size.ws_col, size.ws_row))
}

fn stream(number: RawFd) -> ManuallyDrop<File> {
    // SAFETY: a standard stream stays open as long as this process runs; ManuallyDrop does not
    // close it.
    ManuallyDrop::new(unsafe { File::from_raw_fd(number) })
}

/// Waits until the descriptor is ready for one of the events, and returns them; none after the
/// timeout or a signal.
fn wait(number: RawFd, events: libc::c_short, timeout_ms: libc::c_int) -> io::Result<libc::c_short> {
    match poll::poll(number, events, timeout_ms) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        result => result,
    }
}
