//! Decodes the bytes of a terminal in raw mode to keys.
//!
//! crossterm's reader is not used: it waits inside one call for the rest of a sequence, does not
//! return when a signal comes, and never ends if the terminal is gone.

/// A key that `top` uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    /// Ctrl-C or Ctrl-D: a terminal in raw mode makes neither a signal nor an end of input of them.
    Interrupt,
}

const ESCAPE: u8 = 0x1b;

/// Bytes that were read; the last may be the beginning of a key.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// Returns the keys in these bytes, and keeps what may be the beginning of one for the next
    /// call.
    pub fn decode(&mut self, more: &[u8]) -> Vec<Key> {
        self.bytes.extend_from_slice(more);
        let mut keys = Vec::new();
        let mut at = 0;
        while let Some((length, key)) = first(&self.bytes[at..]) {
            keys.extend(key);
            at += length;
        }
        self.bytes.drain(..at);
        keys
    }

    /// To be called when nothing came for a while: an unfinished sequence is dropped, and a lone
    /// Escape is the key Escape.
    pub fn pause(&mut self) -> Option<Key> {
        let is_escape = self.bytes == [ESCAPE];
        self.bytes.clear();
        is_escape.then_some(Key::Escape)
    }
}

/// How many bytes the first key takes, and the key if `top` uses it. `None`: it is not complete, or
/// there is none.
fn first(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let (&byte, rest) = bytes.split_first()?;
    let key = match byte {
        ESCAPE => return escape(rest).map(|(length, key)| (length + 1, key)),
        b'\r' | b'\n' => Key::Enter,
        0x03 | 0x04 => Key::Interrupt,
        0x08 | 0x7f => Key::Backspace,
        0x00..0x20 => return Some((1, None)),
        0x20..0x7f => Key::Char(char::from(byte)),
        0x80.. => return character(bytes),
    };
    Some((1, Some(key)))
}

/// What follows an Escape.
fn escape(rest: &[u8]) -> Option<(usize, Option<Key>)> {
    match rest.first()? {
        // `ESC O A`
        b'O' => rest.get(1).map(|&last| (2, arrow(last))),
        // `ESC [ parameters A`
        b'[' => {
            let length = rest[1..].iter().position(|byte| !(0x20..0x40).contains(byte))?;
            Some((length + 2, arrow(rest[length + 1])))
        }
        // The key itself, and then another one.
        _ => Some((0, Some(Key::Escape))),
    }
}

fn arrow(last: u8) -> Option<Key> {
    match last {
        b'A' => Some(Key::Up),
        b'B' => Some(Key::Down),
        _ => None,
    }
}

/// A character outside ASCII.
fn character(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let text = match std::str::from_utf8(&bytes[..bytes.len().min(4)]) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        // No character: its bytes mean nothing.
        Err(error) => return error.error_len().map(|length| (length, None)),
    };
    text.chars().next().map(|first| (first.len_utf8(), Some(Key::Char(first))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys_however_they_are_cut() {
        let bytes = b"q\x1b[A\x1b[1;5B\x1bOA\x1b[15~\xc3\xa9\xff\r\x7f\x03";
        let wanted =
            [Key::Char('q'), Key::Up, Key::Down, Key::Up, Key::Char('\u{e9}'), Key::Enter, Key::Backspace, Key::Interrupt];
        assert_eq!(Decoder::default().decode(bytes), wanted);
        let mut decoder = Decoder::default();
        let one_by_one: Vec<Key> = bytes.iter().flat_map(|byte| decoder.decode(&[*byte])).collect();
        assert_eq!(one_by_one, wanted);
    }

    #[test]
    fn an_escape_is_known_by_what_follows_or_by_a_pause() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"\x1b"), []);
        assert_eq!((decoder.pause(), decoder.pause()), (Some(Key::Escape), None));
        assert_eq!(decoder.decode(b"\x1bq"), [Key::Escape, Key::Char('q')]);
        // A sequence that never ends is none.
        assert_eq!(decoder.decode(b"\x1b[1;"), []);
        assert_eq!((decoder.pause(), decoder.decode(b"q")), (None, vec![Key::Char('q')]));
    }
}
