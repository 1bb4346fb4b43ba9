//! Objects larger than the ring, in files of their own beside the segment.

#[cfg(test)]
mod model;
