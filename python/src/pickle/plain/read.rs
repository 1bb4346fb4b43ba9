//! Reading plain objects: the stack machine of pickles, for the opcodes that `write.rs` uses.

use super::keys::Keys;
use super::write::MOST_DEPTH;
use super::{PROTO, op};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyList, PyString, PyTuple};

/// What messages are read with, one after the other.
///
/// Invariant: between messages the stack and the memo are empty.
pub struct Reader<'py> {
    py: Python<'py>,
    stack: Vec<Bound<'py, PyAny>>,
    memo: Vec<Bound<'py, PyAny>>,
    keys: Option<Keys>,
}

impl<'py> Reader<'py> {
    #[inline]
    pub fn new(py: Python<'py>) -> Reader<'py> {
        Reader { py, stack: Vec::new(), memo: Vec::new(), keys: None }
    }

    /// The object of a pickle of plain objects. `None`: any other pickle, or none at all.
    #[inline]
    pub fn read(&mut self, pickle: &[u8]) -> Option<Bound<'py, PyAny>> {
        let [PROTO, 4 | 5, rest @ ..] = pickle else { return None };
        let mut after = Rest(rest);
        let Some(first) = scalar(self.py, after.byte()?, &mut after) else { return self.object(None, Rest(rest)) };
        // Most messages are one scalar.
        if let [op::STOP] = after.0 {
            return Some(first);
        }
        self.object(Some(first), after)
    }

    fn object(&mut self, first: Option<Bound<'py, PyAny>>, rest: Rest<'_>) -> Option<Bound<'py, PyAny>> {
        self.stack.reserve(16);
        self.stack.extend(first);
        let object = machine(self.py, self, rest);
        self.memo.clear();
        self.stack.clear();
        object
    }

    /// For a while in which any code may run: others may have the table of keys.
    pub fn release_keys(&mut self) {
        self.keys = None;
    }
}

/// What is not read yet.
struct Rest<'p>(&'p [u8]);

impl<'p> Rest<'p> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn bytes(&mut self, length: usize) -> Option<&'p [u8]> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }
}

/// `None`: not the opcode of a scalar, or a scalar that is cut off.
#[inline]
fn scalar<'py>(py: Python<'py>, opcode: u8, rest: &mut Rest<'_>) -> Option<Bound<'py, PyAny>> {
    let number = |n: i64| n.into_pyobject(py).ok().map(Bound::into_any);
    match opcode {
        op::BININT1 => number(i64::from(rest.byte()?)),
        op::BININT2 => number(i64::from(u16::from_le_bytes(rest.array()?))),
        op::BININT => number(i64::from(i32::from_le_bytes(rest.array()?))),
        op::LONG1 if rest.byte()? == 8 => number(i64::from_le_bytes(rest.array()?)),
        op::SHORT_BINUNICODE => {
            let length = usize::from(rest.byte()?);
            text(py, rest.bytes(length)?)
        }
        op::BINUNICODE => {
            let length = u32::from_le_bytes(rest.array()?) as usize;
            text(py, rest.bytes(length)?)
        }
        op::SHORT_BINBYTES => {
            let length = usize::from(rest.byte()?);
            Some(PyBytes::new(py, rest.bytes(length)?).into_any())
        }
        op::BINBYTES => {
            let length = u32::from_le_bytes(rest.array()?) as usize;
            Some(PyBytes::new(py, rest.bytes(length)?).into_any())
        }
        op::BINFLOAT => Some(PyFloat::new(py, f64::from_be_bytes(rest.array()?)).into_any()),
        op::NONE => Some(py.None().into_bound(py)),
        op::NEWTRUE => Some(PyBool::new(py, true).to_owned().into_any()),
        op::NEWFALSE => Some(PyBool::new(py, false).to_owned().into_any()),
        _ => None,
    }
}

fn text<'py>(py: Python<'py>, text: &[u8]) -> Option<Bound<'py, PyAny>> {
    std::str::from_utf8(text).ok().map(|text| PyString::new(py, text).into_any())
}

#[derive(Clone, Copy, Default)]
struct Mark {
    at: usize,
    /// Is what it marks keys and values?
    is_of_dict: bool,
    /// Below it is the place of a list that is made at its end, of the right size.
    is_of_new_list: bool,
}

/// `write.rs` nests no deeper.
#[derive(Default)]
struct Marks {
    marks: [Mark; MOST_DEPTH as usize],
    count: usize,
}

impl Marks {
    fn push(&mut self, mark: Mark) -> Option<()> {
        *self.marks.get_mut(self.count)? = mark;
        self.count += 1;
        Some(())
    }

    fn pop(&mut self) -> Option<Mark> {
        self.count = self.count.checked_sub(1)?;
        Some(self.marks[self.count])
    }

    /// Is an object at that place above the last mark?
    fn is_below(&self, place: usize) -> bool {
        self.count == 0 || self.marks[self.count - 1].at <= place
    }

    fn is_next_a_key(&self, stack: usize) -> bool {
        let Some(mark) = self.count.checked_sub(1).map(|last| self.marks[last]) else { return false };
        mark.is_of_dict && stack.wrapping_sub(mark.at) % 2 == 0
    }
}

fn machine<'py>(py: Python<'py>, reader: &mut Reader<'py>, mut rest: Rest<'_>) -> Option<Bound<'py, PyAny>> {
    let Reader { stack, memo, keys, .. } = reader;
    let mut marks = Marks::default();
    loop {
        let opcode = rest.byte()?;
        match opcode {
            op::MARK => {
                let is_of_dict = stack.last().is_some_and(|below| below.is_exact_instance_of::<PyDict>());
                marks.push(Mark { at: stack.len(), is_of_dict, is_of_new_list: false })?;
            }
            op::SHORT_BINUNICODE if marks.is_next_a_key(stack.len()) => {
                let length = usize::from(rest.byte()?);
                stack.push(keys.get_or_insert_with(Keys::new).get(py, rest.bytes(length)?)?);
            }
            op::EMPTY_DICT => stack.push(PyDict::new(py).into_any()),
            op::SETITEMS => {
                let mark = marks.pop()?.at;
                let (dict, items) = above(stack, mark)?;
                let dict = dict.cast_exact::<PyDict>().ok()?;
                for pair in items.chunks(2) {
                    let [key, value] = pair else { return None };
                    dict.set_item(key, value).ok()?;
                }
                stack.truncate(mark);
            }
            op::EMPTY_LIST => match rest.0 {
                [op::MARK, items @ ..] => {
                    rest = Rest(items);
                    stack.push(py.None().into_bound(py));
                    marks.push(Mark { at: stack.len(), is_of_dict: false, is_of_new_list: true })?;
                }
                _ => stack.push(PyList::empty(py).into_any()),
            },
            op::APPENDS => {
                let Mark { at: mark, is_of_new_list, .. } = marks.pop()?;
                if is_of_new_list {
                    if mark > stack.len() {
                        return None;
                    }
                    let list = PyList::new(py, stack.drain(mark..)).ok()?;
                    *stack.last_mut()? = list.into_any();
                    continue;
                }
                let (list, items) = above(stack, mark)?;
                let list = list.cast_exact::<PyList>().ok()?;
                for item in items {
                    list.append(item).ok()?;
                }
                stack.truncate(mark);
            }
            op::EMPTY_TUPLE => stack.push(PyTuple::empty(py).into_any()),
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let length = usize::from(opcode - op::TUPLE1) + 1;
                let first = stack.len().checked_sub(length)?;
                if !marks.is_below(first) {
                    return None;
                }
                tuple(py, stack, first)?;
            }
            op::TUPLE => {
                let Mark { at: first, is_of_new_list: false, .. } = marks.pop()? else { return None };
                tuple(py, stack, first)?;
            }
            op::MEMOIZE if marks.is_below(stack.len().checked_sub(1)?) => memo.push(stack.last()?.clone()),
            op::BINGET => stack.push(memo.get(usize::from(rest.byte()?))?.clone()),
            op::STOP => return if rest.0.is_empty() && stack.len() == 1 && marks.count == 0 { stack.pop() } else { None },
            _ => stack.push(scalar(py, opcode, &mut rest)?),
        }
    }
}

/// The container below a mark, and what is above it.
fn above<'s, 'py>(stack: &'s [Bound<'py, PyAny>], mark: usize) -> Option<(&'s Bound<'py, PyAny>, &'s [Bound<'py, PyAny>])> {
    let (below, items) = stack.split_at_checked(mark)?;
    Some((below.last()?, items))
}

fn tuple<'py>(py: Python<'py>, stack: &mut Vec<Bound<'py, PyAny>>, first: usize) -> Option<()> {
    if first > stack.len() {
        return None;
    }
    let tuple = PyTuple::new(py, stack.drain(first..)).ok()?;
    stack.push(tuple.into_any());
    Some(())
}
