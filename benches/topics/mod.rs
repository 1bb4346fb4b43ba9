//! Figures of topics alone, each with the bound that it is to keep: what a publish costs beside
//! many subscribers, what a lossy one costs its publisher, how many system calls wake sleepers, and
//! whether frames are copied.

pub mod cost;
pub mod frames;
pub mod paced;
pub mod sleepers;

use serde_json::{Value, json};
use std::fmt;

/// One figure, with its spread over the repetitions.
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub values: Vec<f64>,
    pub bound: Option<Bound>,
}

/// What a figure's median is to keep.
#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    pub fn new(name: impl Into<String>, unit: &'static str, values: Vec<f64>, bound: Option<Bound>) -> Figure {
        Figure { name: name.into(), unit, values, bound }
    }

    fn spread(&self) -> [f64; 3] {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        [values[values.len() / 2], values[0], values[values.len() - 1]]
    }

    pub fn is_missed(&self) -> bool {
        let [median, ..] = self.spread();
        match self.bound {
            Some(Bound::AtLeast(bound)) => median < bound,
            Some(Bound::AtMost(bound)) => median > bound,
            None => false,
        }
    }

    pub fn json(&self) -> Value {
        let [median, lowest, highest] = self.spread();
        let bound = self.bound.map(|bound| match bound {
            Bound::AtLeast(bound) => json!({ "at_least": bound }),
            Bound::AtMost(bound) => json!({ "at_most": bound }),
        });
        json!({
            "name": self.name, "unit": self.unit, "median": median, "lowest": lowest, "highest": highest,
            "bound": bound, "missed": self.is_missed(),
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, lowest, highest] = self.spread();
        let digits = if median < 10.0 { 3 } else { 0 };
        let spread = format!("{median:>8.digits$} [{lowest:.digits$}..{highest:.digits$}]");
        write!(f, "  {:<66}{spread:<28}{:<16}", self.name, self.unit)?;
        let word = if self.is_missed() { "MISSED" } else { "met" };
        match self.bound {
            Some(Bound::AtLeast(bound)) => write!(f, "| >= {bound}: {word}"),
            Some(Bound::AtMost(bound)) => write!(f, "| <= {bound}: {word}"),
            None => Ok(()),
        }
    }
}
