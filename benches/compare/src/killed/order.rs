//! Which kills a run is asked for.

/// What is asked for.
pub struct Order {
    pub kills: u64,
    /// Kill number n of each rival and victim has the seed `seed + n`.
    pub seed: u64,
    pub python: bool,
    /// Of `--only`.
    pub only: Vec<String>,
}
