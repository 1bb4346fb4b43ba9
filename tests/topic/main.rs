//! Topics, seen from outside: every subscriber sees every message, and none can stop the others.

mod basics;
