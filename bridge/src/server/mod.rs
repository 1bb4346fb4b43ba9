//! The server: connecting to it; streams, what they must be, and whose they are.
