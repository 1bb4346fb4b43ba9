//! Large frames without a copy: a camera process writes each frame in the segment, where its reader
//! reads it.
//!
//! `cargo run --release --example zero_copy`

use std::error::Error;
use std::time::Instant;

use shmq::{Process, PutError, Queue};

const WIDTH: usize = 1920;
const HEIGHT: usize = 1080;
const FRAMES: u64 = 200;

/// Plain data: no padding, no pointers, any bits are a frame. So it can be written and read in
/// place.
#[shmq::message]
struct Frame {
    number: u64,
    pixels: [[u8; WIDTH]; HEIGHT],
}

fn main() -> Result<(), Box<dyn Error>> {
    let frames = Queue::<Frame>::new(4)?;
    let camera = Process::spawn(|| film(&frames))?;

    let start = Instant::now();
    for expected in 0..FRAMES {
        // A lease is the message itself. It keeps its room in the ring until it is dropped.
        let frame = frames.lease()?;
        assert_eq!(frame.number, expected);
        assert!(frame.pixels.iter().all(|row| *row == [expected as u8; WIDTH]));
    }
    let seconds = start.elapsed().as_secs_f64();
    assert!(camera.join()?.success());

    let megabytes = (FRAMES * size_of::<Frame>() as u64) as f64 / 1e6;
    println!("{FRAMES} frames of {WIDTH}x{HEIGHT} in {seconds:.3} s: {:.0} MB/s written once, read once", megabytes / seconds);
    Ok(())
}

/// The camera: every frame is one shade of grey.
fn film(frames: &Queue<Frame>) -> Result<(), PutError> {
    for number in 0..FRAMES {
        // A loan is room in the ring. The reader sees nothing of it before `commit`; if this
        // process dies here, it never does.
        let mut frame = frames.loan()?;
        frame.number = number;
        for row in &mut frame.pixels {
            row.fill(number as u8);
        }
        frame.commit()?;
    }
    Ok(())
}
